"""From raw scores of good images to p-values and thresholds that keep a promise.

Split-conformal prediction (Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002): if the n
held-out good images and a new good image are exchangeable, the new score exceeds the
ceil((n + 1)(1 - a))-th smallest held-out score with probability at most a. A threshold that keeps
a with a confidence over the draw of the held-out images is a higher order statistic (Wilks 1941;
Vovk 2012). What is promised, and what is not: ``docs/recipes.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._counting import counted
from clipvet.detectors.errors import UsageError

if TYPE_CHECKING:
    from clipvet.detectors.recipes._audit import Audit

__all__ = [
    "RATES",
    "Calibration",
    "Threshold",
    "calibrating_images",
    "images_needed",
    "percent",
    "rank",
    "strictest_rate",
]

RATES = (0.01, 0.02, 0.05, 0.1)
"""The rates that are tried, strictest first, when none is asked for."""

_EXACT_UP_TO = 20_000  # images; beyond, one image more is asked for than a power of that size


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score above ``value`` flags.

    Attributes:
        value: in units of the raw score.
        origin: one sentence that says where the value comes from.
        rate: promised rate of false alarms of the verdict that this threshold is part of; None
            if it was chosen on bad images, and promises none.
        n: held-out good images behind it.
        confidence: with which the rate holds over the draw of these images; None: on average.
    """

    value: float
    origin: str
    rate: float | None
    n: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What one detector said about good images that it had not learned from.

    With groups (several images of one part), a group counts once, with its largest score.

    Attributes:
        images: ids of the n held-out images, or names of groups, in the order of the split.
        scores: float64 [n], in the same order; finite.
        map_maxima: float64 [n], largest value of each heatmap; empty without heatmaps.
        map_low: median over the images of the median of each heatmap; None without heatmaps.
        provider: execution provider that computed the features.
        fitted_on: ids of the images that the detector learned from.
        audit: all these images one by one; None if nobody kept them.
    """

    images: tuple[str, ...]
    scores: NDArray[np.float64]
    map_maxima: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    map_low: float | None = None
    provider: str = ""
    fitted_on: tuple[str, ...] = ()
    audit: Audit | None = None

    @property
    def n(self) -> int:
        """Number of held-out images, or groups of images."""
        return len(self.scores)

    @property
    def counted(self) -> str:
        """What ``n`` counts, in words."""
        return "groups of good images" if self._grouped else "good images"

    @property
    def unit(self) -> str:
        """One of them."""
        return "group of good images" if self._grouped else "good image"

    @property
    def _grouped(self) -> bool:
        return self.audit is not None and bool(self.audit.group_by)

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

    def threshold(self, rate: float, confidence: float | None = None) -> float:
        """The score that a good image exceeds with probability at most ``rate``.

        Raises:
            UsageError: n images cannot promise this rate; names the n that can.
        """
        return float(self.scores_[rank(self.n, rate, confidence) - 1])

    def map_threshold(self, rate: float, confidence: float | None = None) -> float | None:
        """The least float32 that the map of a good image reaches with probability <= ``rate``."""
        if not len(self.map_maxima):
            return None
        place = rank(len(self.map_maxima), rate, confidence) - 1
        exceeded = np.sort(self.map_maxima)[place]
        return float(np.nextafter(np.float32(exceeded), np.float32(np.inf)))

    def heatmap_range(
        self, rate: float, confidence: float | None = None
    ) -> tuple[float, float] | None:
        """Lowest and highest score that pictures show; the threshold of the map lies midway.

        The lowest is ``map_low``: what a good part says about itself stays dark.
        """
        middle = self.map_threshold(rate, confidence)
        if middle is None or self.map_low is None:
            return None
        reach = max(middle - self.map_low, abs(middle) * 1e-6, 1e-9)
        return middle - reach, middle + reach


def rank(n: int, rate: float, confidence: float | None = None) -> int:
    """Which of n scores, counted from the smallest, is the threshold.

    Without a confidence k = ceil((n + 1)(1 - rate)). With one, the smallest k from there on with
    P(Beta(k, n + 1 - k) >= 1 - rate) = P(Binomial(n, rate) > n - k) >= confidence: of the
    calibrations that could have been drawn, that share keeps the rate in the long run. In exact
    arithmetic: 0.1 means one tenth, not its float.

    Raises:
        UsageError: n images cannot promise this; names the n that can.
    """
    if n < images_needed(rate, confidence):
        sure = "" if confidence is None else f" with confidence {percent(confidence)}"
        other = f"at least 1/{n + 1}" if confidence is None else "higher, or less confidence"
        raise UsageError(
            f"a false-alarm rate of {percent(rate)}{sure} cannot be promised from "
            f"{counted(n, 'held-out good image')}: it takes at least "
            f"{images_needed(rate, confidence)}, or a rate of {other}"
        )
    least = max(math.ceil((n + 1) * (1 - _exact(rate))), 1)
    return least if confidence is None else max(least, _confident_rank(n, rate, confidence))


def calibrating_images(held_out: int, detectors: int) -> int:
    """How many of the held-out images the promise rests on."""
    return held_out if detectors <= 1 else held_out - held_out // 2


def images_needed(rate: float, confidence: float | None = None) -> int:
    """The smallest n that can promise ``rate``.

    That is rate >= 1 / (n + 1); with a confidence also (1 - rate)^n <= 1 - confidence.
    """
    exact = _exact(rate)
    n = math.ceil(1 / exact) - 1
    if confidence is None:
        return n
    left = 1 - _exact_confidence(confidence)
    about = math.log(left) / math.log1p(-rate)
    if about > _EXACT_UP_TO:
        return math.ceil(about) + 1
    n = max(n, math.floor(about) - 1)
    while (1 - exact) ** n > left:
        n += 1
    return n


def strictest_rate(
    n: int, confidence: float | None = None
) -> tuple[float, tuple[float, int] | None]:
    """The strictest of ``RATES`` that n images allow, and the next stricter with its n.

    Raises:
        UsageError: n does not even allow the loosest.
    """
    for index, rate in enumerate(RATES):
        if n >= images_needed(rate, confidence):
            stricter = RATES[index - 1] if index else None
            return rate, (stricter, images_needed(stricter, confidence)) if stricter else None
    loosest = RATES[-1]
    sure = "" if confidence is None else f" with confidence {percent(confidence)}"
    raise UsageError(
        f"{counted(n, 'held-out good image')} cannot promise any false-alarm rate of "
        f"{percent(loosest)} or less{sure}: give at least {images_needed(loosest, confidence)}"
    )


def percent(rate: float) -> str:
    """``0.05`` -> ``5 %``."""
    return f"{100 * rate:g} %"


@lru_cache(maxsize=64)
def _confident_rank(n: int, rate: float, confidence: float) -> int:
    """The smallest k with P(Binomial(n, rate) <= n - k) <= 1 - confidence.

    Counted down from k = n; in integers, over the common denominator of all terms.
    """
    exact = _exact(rate)
    out, among = exact.numerator, exact.denominator
    left = (1 - _exact_confidence(confidence)) * among**n
    tail = term = (among - out) ** n  # none of the n exceeds the threshold
    k = n
    while k > 1:
        exceeding = n - k + 1
        term = term * (n - exceeding + 1) * out // (exceeding * (among - out))
        tail += term
        if tail > left:
            break
        k -= 1
    return k


def _exact(rate: float) -> Fraction:
    if not 0 < rate < 1:
        raise UsageError(f"a false-alarm rate of {rate:g} is none: give a number between 0 and 1")
    return Fraction(str(rate))


def _exact_confidence(confidence: float) -> Fraction:
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence:g} is none: give a number between 0 and 1")
    return Fraction(str(confidence))
