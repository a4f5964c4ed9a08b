"""The detector: features of a batch in, anomaly scores and heatmaps out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Artefact,
    Batch,
    Context,
    Detector,
    DetectorError,
    Query,
    RecipeError,
    Score,
    Task,
    UsageError,
    counted,
    top_mean,
    unit_rows,
)
from clipvet.plugins.winclip._coreset import Coreset
from clipvet.plugins.winclip._maps import distance_map, text_scores
from clipvet.plugins.winclip._memory import ID, Memory
from clipvet.plugins.winclip._options import WinClipOptions
from clipvet.plugins.winclip._text import Prototypes
from clipvet.plugins.winclip._windows import Cover

__all__ = ["WinClip"]


class WinClip(Detector):
    """WinCLIP from an object name; WinCLIP+ once it has seen good images.

    Score: anomaly probability, 0..1 (with references, its mean with a distance in 0..1).
    Heatmap: float32 [rows, columns] of the bundle's patch grid, 0..1 (0..2 if fusion is "sum").
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "anomaly"
    needs: frozenset[str] = frozenset({"cls_embed", "win2_embed", "win3_embed", "hidden_4"})
    Options: ClassVar[type[WinClipOptions]] = WinClipOptions
    learns: ClassVar[bool] = True
    options: WinClipOptions

    def __init__(self, options: WinClipOptions | None = None) -> None:
        super().__init__(options)
        self.memory_: Memory | None = None
        self.needs = self._needs()

    @property
    def heatmap_range(self) -> tuple[float, float]:
        """For pictures without a recipe; distances to references are small numbers."""
        if self.memory_ is not None and self.options.fusion == "references":
            return (0.0, 0.1)
        return (0.0, 2.0) if self.options.fusion == "sum" else (0.0, 1.0)

    def prepare(self, context: Context) -> None:
        """Lay out the windows; check that the references, if any, belong to this bundle.

        Raises:
            UsageError: a window does not fit the bundle's patch grid.
            RecipeError: the references were fitted on another bundle or with other options.
        """
        bundle = context.bundle
        for side in self.options.scales:
            if side > min(bundle.grid):
                rows, columns = bundle.grid
                raise UsageError(
                    f"winclip: a {side}x{side} window does not fit the {rows}x{columns} patches "
                    f"of bundle {bundle.id}: leave {side} out of winclip.scales"
                )
        if self.memory_ is not None:
            self._check(self.memory_, context)
        self.context_ = context
        self.covers_: dict[int, Cover] = {
            side: Cover.of(bundle.grid, side) for side in self.options.scales
        }
        self.prototypes_ = Prototypes(self.options, context.encode_text)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Remember the first ``max_references`` good images; with 0 of them, stay zero-shot."""
        if not self.options.max_references:
            return
        size = self.options.coreset or None
        banks: defaultdict[str, Coreset] = defaultdict(lambda: Coreset(size))
        shots = 0
        for batch, index in self._references(batches):
            shots += batch.views[index].index == 0
            patches = self._patches(batch.features, index)
            banks["patch"].offer(unit_rows(patches).astype(np.float32))
            for side, vectors in self._windows(batch.features, index).items():
                banks[f"win{side}"].offer(unit_rows(vectors).astype(np.float32))
        if not shots:
            raise DetectorError("winclip: there is no good image to refer to: give at least one")
        seen = {name: bank.seen for name, bank in banks.items()}
        self.memory_ = Memory.of(
            {name: bank.vectors for name, bank in banks.items()},
            bundle=self.context_.bundle,
            patch_tokens=self.options.patch_tokens,
            shots=shots,
            coreset=None if size is None else {"size": size, "seen": seen},
        )

    def save(self, folder: Path) -> None:
        """Write the references; a detector that stayed zero-shot writes nothing."""
        if self.memory_ is not None:
            self.memory_.artefact.save(folder)

    def load(self, folder: Path) -> None:
        """Read the references; raises ArtefactMissing or RecipeError if that cannot be done."""
        if self.options.max_references:
            self.memory_ = Memory(Artefact.load(folder, detector=ID))

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score and one heatmap for each view, each from its own numbers alone."""
        return [
            [self._score_view(batch.features, index, _object_name(queries))]
            for index, queries in enumerate(batch.queries)
        ]

    def _score_view(
        self, features: Mapping[str, NDArray[np.float32]], index: int, name: str
    ) -> Score:
        windows = self._windows(features, index)
        text, heatmap = text_scores(
            features["cls_embed"][index : index + 1],
            windows,
            covers=self.covers_,
            direction=self.prototypes_.direction(name),
            options=self.options,
        )
        value, memory = text, self.memory_
        details = {
            "method": self.options.method(memory.shots if memory else 0),
            "object": name,
            "text_score": text,
        }
        if memory is not None:
            patches = self._patches(features, index)
            distance = distance_map(patches, windows, covers=self.covers_, banks=memory.banks)
            reference = top_mean(distance, self.options.top_share)
            details["reference_score"] = reference
            alone = self.options.image_score == "references"
            value = reference if alone else (text + reference) / 2
            heatmap = self._fuse(heatmap, distance)
        if self.options.image_score == "map_max" and heatmap is not None:
            value = top_mean(heatmap, self.options.top_share)
        grid: NDArray[np.float32] | None = None
        if heatmap is not None:
            grid = heatmap.astype(np.float32).reshape(self.context_.bundle.grid)
        return Score(value=float(np.float32(value)), heatmap=grid, details=details)

    def _fuse(
        self, text_map: NDArray[np.float64] | None, distance: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if text_map is None or self.options.fusion == "references":
            return distance
        total = text_map + distance
        return total if self.options.fusion == "sum" else total / 2

    def _patches(
        self, features: Mapping[str, NDArray[np.float32]], index: int
    ) -> NDArray[np.float32]:
        patches: NDArray[np.float32]
        if self.options.patch_tokens == "raw":
            patches = features["hidden_4"][index, 1:]  # without the class token
        else:
            patches = features["patch_tokens"][index]
        return patches

    def _windows(
        self, features: Mapping[str, NDArray[np.float32]], index: int
    ) -> dict[int, NDArray[np.float32]]:
        windows: dict[int, NDArray[np.float32]] = {
            side: features[f"win{side}_embed"][index] for side in self.options.scales
        }
        for side, vectors in windows.items():
            # A broken window branch gives one embedding for all (anomalib under open_clip >= 2.26
            # does); the map would be flat and look like an answer.
            if len(vectors) > 1 and not np.any(vectors[1:] != vectors[0]):
                raise DetectorError(
                    f"winclip: bundle {self.context_.bundle.id} gives one embedding for all "
                    f"{side}x{side} windows: export it again"
                )
        return windows

    def _references(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, int]]:
        """The views of the first ``max_references`` images; a view 0 begins an image."""
        images = 0
        for batch in batches:
            for index, view in enumerate(batch.views):
                images += view.index == 0
                if images > self.options.max_references:
                    kept = counted(self.options.max_references, "good image")
                    self.context_.warn(
                        f"winclip keeps the first {kept} as references: raise "
                        "winclip.max_references to keep more"
                    )
                    return
                yield batch, index

    def _needs(self) -> frozenset[str]:
        needs = {"cls_embed", *(f"win{side}_embed" for side in self.options.scales)}
        # Asked for before there are references, too: fit reads it, and it costs a copy of what
        # the tower computes anyway.
        if self.options.max_references:
            needs.add("hidden_4" if self.options.patch_tokens == "raw" else "patch_tokens")
        return frozenset(needs)

    def _check(self, memory: Memory, context: Context) -> None:
        memory.artefact.check(context.bundle)
        if memory.patch_tokens != self.options.patch_tokens:
            raise RecipeError(
                f"winclip: the references hold {memory.patch_tokens} patch tokens, the options ask "
                f"for {self.options.patch_tokens}: set winclip.patch_tokens or fit again"
            )
        if memory.coreset != self.options.coreset:
            raise RecipeError(
                f"winclip: the references were kept with winclip.coreset={memory.coreset}, the "
                f"options say {self.options.coreset}: set winclip.coreset or fit again"
            )
        for side in self.options.scales:
            if f"win{side}" not in memory.banks:
                raise RecipeError(
                    f"winclip: the references hold no {side}x{side} windows: "
                    f"leave {side} out of winclip.scales or fit again"
                )


def _object_name(queries: Sequence[Query]) -> str:
    return next((query.object for query in queries if query.object), "object")
