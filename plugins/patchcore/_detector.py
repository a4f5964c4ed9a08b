"""The detector: features of a batch in, distances to good images out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from clipvet.detectors import (
    Artefact,
    ArtefactMissing,
    Batch,
    Context,
    Detector,
    Score,
    Task,
    top_mean,
)
from clipvet.plugins.patchcore._fitting import learn
from clipvet.plugins.patchcore._maps import fuse, reweighted, smooth
from clipvet.plugins.patchcore._memory import ID, Memory
from clipvet.plugins.patchcore._options import PatchCoreOptions
from clipvet.plugins.patchcore._patches import Space, features_of

__all__ = ["PatchCore"]


class PatchCore(Detector):
    """Compare each patch with a memory of the patches of good images.

    Score: a distance of at least 0, as the option ``image_score`` says; with several spaces the
    mean of their distances, each in units of its standard deviation between good images.
    Heatmap: float32 [rows, columns] of the finest grid among the features, likewise.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "anomaly"
    needs: frozenset[str] = frozenset({"hidden_3", "hidden_4"})
    Options: ClassVar[type[PatchCoreOptions]] = PatchCoreOptions
    learns: ClassVar[bool] = True
    learns_on: ClassVar[bool] = True
    options: PatchCoreOptions

    def __init__(self, options: PatchCoreOptions | None = None) -> None:
        super().__init__(options)
        self.memory_: Memory | None = None
        self.needs = frozenset(name for space in self.options.spaces for name in features_of(space))

    @property
    def heatmap_range(self) -> tuple[float, float]:
        """For pictures without a recipe: 0 to 8 standard deviations between good images."""
        if self.memory_ is None or len(self.options.spaces) > 1:
            return (0.0, 8.0)
        return (0.0, 8.0 * self.memory_.banks[self.options.spaces[0]].unit)

    def prepare(self, context: Context) -> None:
        """Check what was loaded against the bundle and the options.

        Raises:
            RecipeError: it was learned on another bundle, with other options, or is damaged.
        """
        self.context_ = context
        self.spaces_ = tuple(
            Space.of(name, context.bundle, side)
            for name, side in zip(self.options.spaces, self.options.sides, strict=True)
        )
        if self.memory_ is not None:
            self.memory_.check(context.bundle, self.options)
            _ = self.memory_.searches  # now, not at the first image

    def fit(self, batches: Iterable[Batch]) -> None:
        """Remember the patches of good images, beside those that :meth:`load` read.

        Raises:
            DetectorError: there is no good image.
        """
        self.memory_ = learn(
            batches,
            self.spaces_,
            self.options,
            bundle=self.context_.bundle,
            earlier=self.memory_,
        )

    def save(self, folder: Path) -> None:
        """Write the memory; without one, nothing."""
        if self.memory_ is not None:
            self.memory_.artefact.save(folder)

    def load(self, folder: Path) -> None:
        """Read a memory; raises ArtefactMissing or RecipeError if that cannot be done."""
        self.memory_ = Memory(Artefact.load(folder, detector=ID))

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score and one heatmap for each view, each from its own patches alone."""
        memory = self.memory_
        if memory is None:
            raise ArtefactMissing(
                f"{ID} needs good images: fit a recipe (detect fit), or give --references"
            )
        return [[self._score_view(memory, batch, index)] for index in range(len(batch))]

    def _score_view(self, memory: Memory, batch: Batch, index: int) -> Score:
        options, several = self.options, len(self.spaces_) > 1
        maps, peaks, factors = [], [], []
        for space, share in zip(self.spaces_, options.shares, strict=True):
            patches = space.patches(batch.features, index)
            bank = memory.searches[space.name]
            distances, nearest = bank.nearest(patches)
            maps.append(distances.reshape(space.grid))
            if options.image_score == "reweighted":
                peaks.append(reweighted(patches, distances, nearest, bank, options.num_neighbours))
            # One space needs no unit: its distances are the paper's.
            factors.append(share / memory.banks[space.name].unit if several else 1.0)
        heatmap = fuse(maps, factors)
        if options.image_score == "reweighted":
            value = sum(factor * peak for factor, peak in zip(factors, peaks, strict=True))
        else:
            share = options.top_share if options.image_score == "top_share" else 0.0
            value = top_mean(heatmap, share)
        return Score(
            value=float(np.float32(value)),
            heatmap=smooth(heatmap, options.smoothing).astype(np.float32),
            details={"method": options.method(memory.images)},
        )
