"""From raw scores of good images to p-values and thresholds that keep a promise.

Split-conformal prediction (Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002): if the n
held-out good images and a new good image are exchangeable, the new score exceeds the
ceil((n + 1)(1 - a))-th smallest held-out score with probability at most a. What is promised,
and what is not: ``docs/recipes.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.errors import UsageError

__all__ = [
    "RATES",
    "Calibration",
    "Threshold",
    "calibrating_images",
    "images_needed",
    "joint_thresholds",
    "percent",
    "strictest_rate",
]

RATES = (0.01, 0.02, 0.05, 0.1)
"""The rates that are tried, strictest first, when none is asked for."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score above ``value`` flags.

    Attributes:
        value: in units of the raw score.
        origin: one sentence that says where the value comes from.
        rate: promised rate of false alarms of the verdict that this threshold is part of.
        n: held-out good images behind the promise.
    """

    value: float
    origin: str
    rate: float
    n: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What one detector said about good images that it had not learned from.

    Attributes:
        images: ids of the n held-out images, in the order of the split.
        scores: float64 [n], in the same order; finite.
        map_maxima: float64 [n], largest value of each heatmap; empty without heatmaps.
        map_low: median over the images of the median of each heatmap; None without heatmaps.
        provider: execution provider that computed the features.
        fitted_on: ids of the images that the detector learned from.
    """

    images: tuple[str, ...]
    scores: NDArray[np.float64]
    map_maxima: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    map_low: float | None = None
    provider: str = ""
    fitted_on: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of held-out images."""
        return len(self.scores)

    @cached_property
    def scores_(self) -> NDArray[np.float64]:
        """The scores, sorted."""
        return np.sort(self.scores)

    def p_value(self, score: float) -> float:
        """(1 + number of held-out scores >= ``score``) / (n + 1).

        For a good image, at most a with probability at most a; ``score`` exceeds
        ``threshold(a)`` exactly if this is <= a.
        """
        at_least = self.n - int(np.searchsorted(self.scores_, score, side="left"))
        return (1 + at_least) / (self.n + 1)

    def threshold(self, rate: float) -> float:
        """The score that a good image exceeds with probability at most ``rate``.

        Raises:
            UsageError: n images cannot promise this rate; names the n that can.
        """
        return float(self.scores_[_rank(self.n, rate) - 1])

    def map_threshold(self, rate: float) -> float | None:
        """The least float32 that the map of a good image reaches with probability <= ``rate``."""
        if not len(self.map_maxima):
            return None
        exceeded = np.sort(self.map_maxima)[_rank(len(self.map_maxima), rate) - 1]
        return float(np.nextafter(np.float32(exceeded), np.float32(np.inf)))

    def heatmap_range(self, rate: float) -> tuple[float, float] | None:
        """Lowest and highest score that pictures show; the threshold of the map lies midway.

        The lowest is ``map_low``: what a good part says about itself stays dark.
        """
        middle = self.map_threshold(rate)
        if middle is None or self.map_low is None:
            return None
        reach = max(middle - self.map_low, abs(middle) * 1e-6, 1e-9)
        return middle - reach, middle + reach


def joint_thresholds(
    calibrations: Mapping[str, Calibration], rate: float, *, outcome: str = "flag"
) -> dict[str, Threshold]:
    """One threshold per detector, such that *any* of them is exceeded with at most ``rate``.

    A single detector is calibrated on all its images. With several, the first half of the
    images gives each detector's median and scale (interquartile range); the second half
    calibrates the largest standardised score, T; a detector's threshold is median + T * scale.
    Computed in rationals: rounding flags no image that the promise counts as passed.

    Args:
        calibrations: detector -> calibration, all on the same images in the same order.
        rate: of the verdict "any of them".
        outcome: what a good image does that exceeds one, for the sentence.

    Raises:
        UsageError: too few images for this rate, or calibrations on different images.
    """
    if not calibrations:
        return {}
    names, several = list(calibrations), list(calibrations.values())
    if len({calibration.images for calibration in several}) != 1:
        raise UsageError(
            f"{', '.join(names)} were calibrated on different images: fit them together"
        )
    total = several[0].n
    n = calibrating_images(total, len(several))
    rank = _rank(n, rate)
    if len(several) == 1:
        values = [several[0].threshold(rate)]
        origin = f"split-conformal on {n} held-out good images"
    else:
        scaling = [_centre_and_scale(one.scores[: total - n]) for one in several]
        combined = sorted(
            max((Fraction(s) - c) / w for s, (c, w) in zip(row, scaling, strict=True))
            for row in zip(*(one.scores[total - n :].tolist() for one in several), strict=True)
        )
        limit = combined[rank - 1]
        values = [_float_not_above(c + limit * w) for c, w in scaling]
        origin = f"split-conformal on {n} held-out good images, {' and '.join(names)} together"
    promise = f"{origin}: at most {percent(rate)} of good images {outcome}"
    return {
        name: Threshold(value=value, origin=promise, rate=rate, n=n)
        for name, value in zip(names, values, strict=True)
    }


def calibrating_images(held_out: int, detectors: int) -> int:
    """How many of the held-out images the promise rests on."""
    return held_out if detectors <= 1 else held_out - held_out // 2


def images_needed(rate: float) -> int:
    """The smallest n that can promise ``rate``: rate >= 1 / (n + 1)."""
    return math.ceil(1 / _exact(rate)) - 1


def strictest_rate(n: int) -> tuple[float, tuple[float, int] | None]:
    """The strictest of ``RATES`` that n images allow, and the next stricter with its n.

    Raises:
        UsageError: n does not even allow the loosest.
    """
    for index, rate in enumerate(RATES):
        if n >= images_needed(rate):
            stricter = RATES[index - 1] if index else None
            return rate, (stricter, images_needed(stricter)) if stricter else None
    loosest = RATES[-1]
    raise UsageError(
        f"{n} held-out good images cannot promise any false-alarm rate of "
        f"{percent(loosest)} or less: give at least {images_needed(loosest)}"
    )


def percent(rate: float) -> str:
    """``0.05`` -> ``5 %``."""
    return f"{100 * rate:g} %"


def _rank(n: int, rate: float) -> int:
    """ceil((n + 1)(1 - rate)) in exact arithmetic: 0.1 means one tenth, not its float."""
    rank = math.ceil((n + 1) * (1 - _exact(rate)))
    if rank > n:
        raise UsageError(
            f"a false-alarm rate of {percent(rate)} cannot be promised from {n} held-out good "
            f"images: it takes at least {images_needed(rate)}, or a rate of at least 1/{n + 1}"
        )
    return max(rank, 1)


def _exact(rate: float) -> Fraction:
    if not 0 < rate < 1:
        raise UsageError(f"a false-alarm rate of {rate:g} is none: give a number between 0 and 1")
    return Fraction(str(rate))


def _centre_and_scale(scores: Sequence[float] | NDArray[np.float64]) -> tuple[Fraction, Fraction]:
    """Median and interquartile range; where that is 0, the range, then a sliver."""
    low, median, high = (float(value) for value in np.quantile(scores, (0.25, 0.5, 0.75)))
    scale = high - low or float(np.ptp(scores)) or max(abs(median) * 1e-6, 1e-9)
    return Fraction(median), Fraction(scale)


def _float_not_above(value: Fraction) -> float:
    """The largest float <= value: a float exceeds it exactly if it exceeds ``value``."""
    nearest = float(value)
    return math.nextafter(nearest, -math.inf) if Fraction(nearest) > value else nearest
