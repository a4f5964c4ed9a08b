"""The detector: pixels in, how little they look like those of a working camera out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Artefact,
    Batch,
    Context,
    Detector,
    DetectorError,
    ImageGroup,
    Score,
    Task,
    counted,
)
from clipvet.plugins.quality._duplicates import duplicate_groups
from clipvet.plugins.quality._hashes import fingerprint, perceptual_hash
from clipvet.plugins.quality._measures import measure, shrunk
from clipvet.plugins.quality._options import CHECKS, ID, QualityOptions
from clipvet.plugins.quality._scale import UNFITTED, Scale, words

__all__ = ["Quality"]


class Quality(Detector):
    """Dark, overexposed, flat, empty, blurred or torn pictures, and duplicates within a run.

    Score: the largest of up to eight deviations from what good images have, in robust standard
    deviations; 0 is a usual picture. No heatmap. It reads pixels alone: no view is encoded for it.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "quality"
    Options: ClassVar[type[QualityOptions]] = QualityOptions
    learns: ClassVar[bool] = True
    keeps: frozenset[str] = frozenset({"fingerprint", "hash"})
    options: QualityOptions

    def __init__(self, options: QualityOptions | None = None) -> None:
        super().__init__(options)
        self.scale_: Scale | None = None

    def prepare(self, context: Context) -> None:
        """Remember the bundle, which an artefact has to name; nothing depends on it."""
        self._bundle = context.bundle
        self._judged = np.isin(CHECKS, self.options.checks)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Learn median and spread of each measure.

        Raises:
            DetectorError: there is no good image.
        """
        rows = [
            measure(view.pixels, shrunk(view.pixels)) for batch in batches for view in batch.views
        ]
        if not rows:
            raise DetectorError(f"{ID}: there is no good image to learn from: give at least one")
        self.scale_ = Scale.learned(rows)

    def save(self, folder: Path) -> None:
        """Write median and spread."""
        if self.scale_ is not None:
            Artefact(
                detector=ID,
                bundle=self._bundle,
                facts={"images": self.scale_.images, "checks": list(CHECKS)},
                tensors=self.scale_.tensors(),
            ).save(folder)

    def load(self, folder: Path) -> None:
        """Read an artefact; raises ArtefactMissing or RecipeError if that cannot be done."""
        self.scale_ = Scale.of(Artefact.load(folder, detector=ID))

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view, from its own pixels alone."""
        return [[self._score(view.pixels)] for view in batch.views]

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Iterator[ImageGroup]:
        """Groups of images that are the same, or nearly; they have no part in any score."""
        return duplicate_groups(store, near=self.options.near)

    def _score(self, pixels: NDArray[np.uint8]) -> Score:
        small = shrunk(pixels)
        measures = measure(pixels, small)
        scale = UNFITTED if self.scale_ is None else self.scale_
        deviations = scale.deviations(measures)
        deviations[~self._judged] = np.nan
        details: dict[str, Any] = {
            "method": self._method(scale),
            **dict(zip(CHECKS, measures.tolist(), strict=True)),
            "fingerprint": fingerprint(small),
            "hash": perceptual_hash(small),
        }
        if np.isnan(deviations).all():  # nothing to go by: a usual picture
            return Score(value=0.0, details=details)
        worst = int(np.nanargmax(deviations))
        check = CHECKS[worst]
        because = words(check, float(measures[worst]), float(scale.centre[worst]))
        details |= {"worst": check, "because": because}
        return Score(value=float(np.float32(deviations[worst])), details=details)

    def _method(self, scale: Scale) -> str:
        learned = counted(scale.images, "good image") if scale.images else "unfitted: a fixed scale"
        return f"worst measure ({', '.join([learned, *self.options.settings()])})"
