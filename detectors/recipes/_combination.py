"""Several detectors, one verdict: what is combined, and how that combination is calibrated.

The combination is one number per image, S, a function of the detectors' scores that rises with
each of them. An image exceeds it if S is above a cut. The first half of the held-out images says
what is usual for each detector; the second half, which S has not seen, calibrates S as if it came
from one detector. So the promise is that of the combined verdict. With m the median and w the
interquartile range of a detector in the first half, z = (s - m) / w:

    any        S = max of z                     one detector above m + cut * w is enough
    all        S = min of z                     all of them must be above
    weighted   S = sum of c * e / sum of c      c: weights; e: evidence of one detector

e = -ln p with the p-value p of s among the first half, which ends at 1 / (n + 1); above the
largest score there, e goes on with the distance from it in units of w, as the tail of an
exponential distribution does: a score far out is not taken for one just outside. ``any`` and
``all`` are computed in rationals: rounding flags no image that the promise counts as passed.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._counting import counted
from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._calibration import (
    Calibration,
    Threshold,
    calibrating_images,
    percent,
    rank,
)

__all__ = [
    "MOST_WEIGHT",
    "Combination",
    "JointCalibration",
    "Statistic",
    "Usual",
    "calibrate_jointly",
    "check_weights",
    "float_not_above",
]

Combination = Literal["any", "all", "weighted"]
"""How detectors make one verdict: any of them flags, all of them do, or their weighted p-values."""

MOST_WEIGHT = 1e6
_MOST_EVIDENCE = 1e9


@dataclass(frozen=True, kw_only=True, eq=False)
class JointCalibration:
    """A combination and the cut above which it is exceeded.

    Attributes:
        statistic: the combination.
        values: S of the calibrating images, in the order of the split.
        cut: exact; above it the combination is exceeded.
        threshold: the same as a float, and where it comes from.
    """

    statistic: Statistic
    values: tuple[Fraction, ...]
    cut: Fraction
    threshold: Threshold

    @cached_property
    def values_(self) -> list[Fraction]:
        """The values, sorted."""
        return sorted(self.values)

    @cached_property
    def thresholds(self) -> Mapping[str, Threshold]:
        """Detector -> its own threshold; empty in weighted, where no detector has one."""
        limits = self.statistic.limits(self.cut)
        return {name: replace(self.threshold, value=value) for name, value in limits.items()}

    def p_value(self, value: Fraction) -> float:
        """(1 + number of calibrating images with S >= ``value``) / (n + 1).

        Without a confidence, and with a cut that good images alone made, ``value`` is above the
        cut exactly if this is at most the rate.
        """
        n = len(self.values_)
        return (1 + n - bisect_left(self.values_, value)) / (n + 1)

    def cut_at(self, cut: Fraction, origin: str) -> Self:
        """The same combination with a cut that promises no rate, and where it comes from."""
        threshold = Threshold(
            value=float_not_above(cut), origin=origin, rate=None, n=len(self.values)
        )
        return replace(self, cut=cut, threshold=threshold)


def calibrate_jointly(
    calibrations: Mapping[str, Calibration],
    rate: float,
    *,
    confidence: float | None = None,
    combination: Combination = "any",
    weights: Mapping[str, float] | None = None,
    outcome: str = "flag",
) -> JointCalibration:
    """The cut that good images exceed with probability at most ``rate``.

    A single detector is calibrated on all its images, several on the second half of them.

    Args:
        calibrations: detector -> calibration, all on the same images in the same order.
        rate: of the combined verdict.
        confidence: see :func:`rank`.
        combination: how the detectors make one verdict.
        weights: of the detectors in ``weighted``; those left out have 1.
        outcome: what a good image does that exceeds it, for the sentence.

    Raises:
        UsageError: too few images for this rate, or calibrations on different images.
    """
    names, several = list(calibrations), list(calibrations.values())
    if len({calibration.images for calibration in several}) != 1:
        raise UsageError(
            f"{', '.join(names)} were calibrated on different images: fit them together"
        )
    total = several[0].n
    n = calibrating_images(total, len(several))
    place = rank(n, rate, confidence)
    statistic = Statistic(
        combination=combination,
        usual={
            name: Usual.of(one.scores[: total - n or total]) for name, one in calibrations.items()
        },
        weights=dict(weights or {}),
    )
    rows = zip(*(one.scores[total - n :].tolist() for one in several), strict=True)
    values = tuple(statistic.of(dict(zip(names, row, strict=True))) for row in rows)
    cut = sorted(values)[place - 1]
    sure = "" if confidence is None else f", with confidence {percent(confidence)}"
    images = counted(n, f"held-out {several[0].unit}", f"held-out {several[0].counted}")
    origin = (
        f"split-conformal on {images}{statistic.together()}: "
        f"at most {percent(rate)} of {several[0].counted} {outcome}{sure}"
    )
    return JointCalibration(
        statistic=statistic,
        values=values,
        cut=cut,
        threshold=Threshold(
            value=float_not_above(cut), origin=origin, rate=rate, n=n, confidence=confidence
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """The combination S, and each detector's part in it.

    Of a single detector S is the raw score, whatever the combination.

    Attributes:
        combination: how.
        usual: detector -> what is usual for it.
        weights: detector -> c > 0 in ``weighted``; those left out have 1.
    """

    combination: Combination
    usual: Mapping[str, Usual]
    weights: Mapping[str, float] = field(default_factory=dict)

    def terms(self, scores: Mapping[str, float]) -> dict[str, Fraction]:
        """Each detector's part of S: its raw score if it is the only one, else z or e.

        Args:
            scores: of every detector of the combination, at least.
        """
        return {name: self._term(one, scores[name]) for name, one in self.usual.items()}

    def of(self, scores: Mapping[str, float]) -> Fraction:
        """S of one image."""
        terms = self.terms(scores)
        if self.combination == "any" or len(terms) == 1:
            return max(terms.values())
        if self.combination == "all":
            return min(terms.values())
        weights = [self.weights.get(name, 1.0) for name in terms]
        weighed = (c * float(term) for c, term in zip(weights, terms.values(), strict=True))
        return Fraction(sum(weighed) / sum(weights))

    def limits(self, cut: Fraction) -> dict[str, float]:
        """Detector -> raw score above which it exceeds its part of ``cut``; none in weighted."""
        if len(self.usual) == 1:
            return dict.fromkeys(self.usual, float_not_above(cut))
        if self.combination == "weighted":
            return {}
        return {
            name: float_not_above(one.centre + cut * one.scale) for name, one in self.usual.items()
        }

    def together(self) -> str:
        """Which detectors, and how: part of a sentence; empty for a single one."""
        names = list(self.usual)
        if len(names) == 1:
            return ""
        if self.combination == "weighted":
            names = [f"{name} ({self.weights.get(name, 1):g})" for name in names]
            return f", weighted p-values of {' and '.join(names)}"
        how = "together" if self.combination == "any" else "all at once"
        return f", {' and '.join(names)} {how}"

    def _term(self, usual: Usual, score: float) -> Fraction:
        if len(self.usual) == 1:
            return Fraction(score)
        if self.combination == "weighted":
            return Fraction(usual.evidence(score))
        return (Fraction(score) - usual.centre) / usual.scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Usual:
    """What is usual for one detector.

    Attributes:
        centre, scale: median and interquartile range (where that is 0, the range, then a
            sliver), as exact values of floats.
        scores_: float64 [n], sorted.
    """

    centre: Fraction
    scale: Fraction
    scores_: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> Usual:
        """From the scores of good images; float64 [n]."""
        low, median, high = (float(value) for value in np.quantile(scores, (0.25, 0.5, 0.75)))
        scale = high - low or float(np.ptp(scores)) or max(abs(median) * 1e-6, 1e-9)
        return cls(centre=Fraction(median), scale=Fraction(scale), scores_=np.sort(scores))

    def evidence(self, score: float) -> float:
        """-ln p, and beyond the largest score its distance from there in units of the scale."""
        n = len(self.scores_)
        at_least = n - int(np.searchsorted(self.scores_, score, side="left"))
        beyond = max(0.0, score - float(self.scores_[-1])) / float(self.scale)
        return math.log((n + 1) / (1 + at_least)) + min(beyond, _MOST_EVIDENCE)


def check_weights(
    combination: Combination, weights: Mapping[str, float], *, flagging: Collection[str]
) -> None:
    """Raise UsageError for a weight that means nothing."""
    if weights and combination != "weighted":
        raise UsageError(f"weights belong to the combination weighted, not to {combination}")
    for name, weight in weights.items():
        if name not in flagging:
            raise UsageError(f"a weight for {name}, which is no detector that could flag")
        if not 0 < weight <= MOST_WEIGHT:
            raise UsageError(
                f"a weight of {weight:g} for {name}: give a number above 0 and at most "
                f"{MOST_WEIGHT:g}, or leave the detector out"
            )


def float_not_above(value: Fraction) -> float:
    """The largest float <= value: a float exceeds it exactly if it exceeds ``value``."""
    try:
        nearest = float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max
    return math.nextafter(nearest, -math.inf) if Fraction(nearest) > value else nearest
