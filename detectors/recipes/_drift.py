"""Has the line moved since calibration? Passed images against the good images of the recipe.

Images that passed are good ones, if the line is as it was; then their scores and those of the
calibration's images that would have passed, too, come from one distribution. Window after window
is compared by the two-sample Kolmogorov-Smirnov test (exact for windows of this size). The k-th
window of a detector is tested at 6 / (pi k)^2 of ``RATE`` over the number of detectors; these
levels sum to ``RATE``, so a line that has not moved is warned of with at most that probability,
however long the run. What is assumed: images that are independent, as in the promise itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.records._records import Record

__all__ = ["Drift", "LineWatch"]

RATE: Final = 0.01
WINDOW: Final = 100


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A window of passed images that does not look like the good images of the recipe.

    Attributes:
        detector: whose scores differ.
        first, last: record ids of the window's ends.
        images: passed images in it.
        p_value: of the Kolmogorov-Smirnov test.
        median, calibrated: median score of the window, and of the calibration.
        moved: where the scores went.
    """

    detector: str
    first: str
    last: str
    images: int
    p_value: float
    median: float
    calibrated: float
    moved: Literal["higher", "lower", "apart"]

    @property
    def sentence(self) -> str:
        """For whoever reads the summary."""
        how = "spread differently from" if self.moved == "apart" else f"{self.moved} than"
        return (
            f"the line has moved since calibration: {self.images} passed images from {self.first} "
            f"to {self.last} score {how} the good images of the recipe on {self.detector} (median "
            f"{self.median:.4g}, was {self.calibrated:.4g}; Kolmogorov-Smirnov p = "
            f"{self.p_value:.1g}): look at them, and fit again if they are good"
        )


class LineWatch:
    """Compares the images that pass with the good images of a recipe, ``window`` at a time.

    Args:
        recipe: that judges.
        window: passed images that are compared at once.

    Attributes:
        drifts: what was found so far, at most the first and the latest of each detector.
    """

    def __init__(self, recipe: Recipe, *, window: int = WINDOW) -> None:
        self._recipe = recipe
        self._window = window
        self._ids: list[str] = []
        self._scores: dict[str, list[float]] = {name: [] for name in recipe.calibrations}
        self._windows = 0
        self._found: dict[str, list[Drift]] = {}

    @property
    def drifts(self) -> list[Drift]:
        """By detector, in the order of the images."""
        return [drift for found in self._found.values() for drift in found]

    def see(self, record: Record) -> None:
        """Take note of a record; those that did not pass say nothing about the line."""
        if record.verdict != "pass":
            return
        scores: dict[str, float] = {}
        for one in record.detections:
            if one.detector in self._scores and one.score is not None:
                scores[one.detector] = max(one.score, scores.get(one.detector, one.score))
        if len(scores) < len(self._scores):
            return
        self._ids.append(record.image.id)
        for name, score in scores.items():
            self._scores[name].append(score)
        if len(self._ids) == self._window:
            self._compare()

    @cached_property
    def _calibrated(self) -> Mapping[str, NDArray[np.float64]]:
        # When the first window is full: exact arithmetic on every image of a large calibration
        # takes a while, and short runs come to nothing.
        return _passing(self._recipe)

    def _compare(self) -> None:
        self._windows += 1
        level = RATE * 6 / (math.pi * self._windows) ** 2 / max(1, len(self._scores))
        for name, scores in self._scores.items():
            drift = _difference(name, self._ids, scores, self._calibrated[name], level)
            if drift is not None:
                self._found[name] = [*self._found.get(name, [])[:1], drift]
            scores.clear()
        self._ids.clear()


def _passing(recipe: Recipe) -> Mapping[str, NDArray[np.float64]]:
    """For each detector, the calibration scores of the images that the recipe lets pass."""
    names = list(recipe.calibrations)
    rows = zip(*(one.scores.tolist() for one in recipe.calibrations.values()), strict=True)
    passed = np.array(
        [recipe.verdict(dict(zip(names, row, strict=True))) == "pass" for row in rows]
    )
    return {name: one.scores[passed] for name, one in recipe.calibrations.items()}


def _difference(
    name: str,
    ids: Sequence[str],
    scores: Sequence[float],
    calibrated: NDArray[np.float64],
    level: float,
) -> Drift | None:
    if not len(calibrated):
        return None
    from scipy.stats import ks_2samp  # half a second, and only long runs come here

    test = ks_2samp(scores, calibrated)
    if test.pvalue > level:
        return None
    median, was = float(np.median(scores)), float(np.median(calibrated))
    quartiles = np.quantile(calibrated, (0.25, 0.75))
    within = quartiles[0] <= median <= quartiles[1]
    return Drift(
        detector=name,
        first=ids[0],
        last=ids[-1],
        images=len(ids),
        p_value=float(test.pvalue),
        median=median,
        calibrated=was,
        moved="apart" if within else "higher" if median > was else "lower",
    )
