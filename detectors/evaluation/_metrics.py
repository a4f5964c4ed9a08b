"""Metrics of images, pixels and decisions, with their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._intervals import CONFIDENCE, clopper_pearson
from clipvet.detectors.evaluation._pixels import AUPRO_LIMIT, PixelTable
from clipvet.detectors.evaluation._ranking import Ranking, trapezoid
from clipvet.detectors.evaluation._schema import (
    Decisions,
    Estimate,
    ImageMetrics,
    PixelMetrics,
    Rate,
)
from clipvet.detectors.records._records import Verdict

__all__ = [
    "decisions",
    "image_metrics",
    "pixel_metrics",
    "promise_p_value",
    "ranking_of",
    "rate",
]

_NUMBERS_AT_A_TIME = 1 << 21

_METRICS: dict[str, Callable[[Ranking], NDArray[np.float64]]] = {
    "auroc": Ranking.auroc,
    "average_precision": Ranking.average_precision,
    "f1_max": lambda ranking: ranking.f1().max(axis=-1),
    "fpr95_defect_positive": Ranking.fpr95_defect_positive,
    "fpr95_good_positive": Ranking.fpr95_good_positive,
}

Scores = NDArray[np.float64]


def image_metrics(
    good: Scores, defects: Sequence[Scores], *, draws: int, seed: int
) -> ImageMetrics | None:
    """Metrics of good images against defects, with percentile bootstrap intervals.

    Args:
        good: float64 [n], scores of good images.
        defects: scores of defective images, one array for each type: the strata, beside the
            good images, within which each draw resamples.
        draws: of the bootstrap; 0 makes each interval the value itself.
        seed: of the draws.

    Returns:
        None if one of the two sides is empty.
    """
    strata = [good, *defects]
    scores = np.concatenate(strata)
    if not len(good) or len(scores) == len(good):
        return None
    defect = np.arange(len(scores)) >= len(good)
    ranking = Ranking.of(scores, defect)
    values = {name: float(metric(ranking)) for name, metric in _METRICS.items()}
    drawn: dict[str, list[Scores]] = {name: [np.array([value])] for name, value in values.items()}
    if draws:
        drawn = {name: [] for name in values}
    for weights in _draws([len(part) for part in strata], draws, seed):
        resampled = Ranking.of(scores, defect, weights)
        for name, metric in _METRICS.items():
            drawn[name].append(metric(resampled))
    tail = (1.0 - CONFIDENCE) / 2.0
    estimates = {}
    for name, value in values.items():
        low, high = np.quantile(np.concatenate(drawn[name]), (tail, 1.0 - tail))
        estimates[name] = Estimate(value=value, low=float(low), high=float(high))
    return ImageMetrics(
        good=len(good),
        defect=len(scores) - len(good),
        f1_max_threshold=ranking.f1_max_threshold(),
        **estimates,
    )


def ranking_of(good: Scores, defects: Sequence[Scores]) -> Ranking:
    """The ranking behind :func:`image_metrics`."""
    scores = np.concatenate([good, *defects])
    return Ranking.of(scores, np.arange(len(scores)) >= len(good))


def pixel_metrics(table: PixelTable, *, good: int, defect: int) -> PixelMetrics:
    """Metrics of pixels; ``good`` and ``defect`` say how many images they are from."""
    ranking = table.ranking()
    return PixelMetrics(
        good=good,
        defect=defect,
        pixels=table.pixels,
        regions=table.regions,
        exact=table.exact,
        auroc=float(ranking.auroc()),
        average_precision=float(ranking.average_precision()),
        f1_max=float(ranking.f1().max()),
        f1_max_threshold=ranking.f1_max_threshold(),
        aupro=float(trapezoid(*table.overlap_curve())) / AUPRO_LIMIT,
    )


def decisions(verdicts: Sequence[Verdict | None]) -> Decisions:
    """Count verdicts."""
    counts = Counter(verdicts)
    n = counts["flag"] + counts["abstain"] + counts["pass"]
    return Decisions(
        n=n,
        flagged=rate(counts["flag"], n),
        abstained=rate(counts["abstain"], n),
        passed=counts["pass"],
        errors=counts["error"],
    )


def rate(count: int, n: int) -> Rate | None:
    """A share with its Clopper-Pearson interval; None of nothing."""
    if n == 0:
        return None
    low, high = clopper_pearson(count, n)
    return Rate(count=count, n=n, value=count / n, low=low, high=high)


def promise_p_value(count: int, n: int, *, rate: float, calibrated: int) -> float:
    """P(at least ``count`` of ``n`` good images are flagged), if the promise holds exactly.

    The long-run rate of a threshold from ``calibrated`` images is itself Beta(a, b), see
    ``docs/recipes.md``; so the count is beta-binomial.
    """
    from scipy.special import betaln

    a = math.floor((calibrated + 1) * Fraction(str(rate)))
    b = calibrated + 1 - a
    flagged = np.arange(count, n + 1)
    ways = -np.log(n + 1) - betaln(flagged + 1, n - flagged + 1)
    return float(np.exp(ways + betaln(flagged + a, n - flagged + b) - betaln(a, b)).sum())


def _draws(sizes: Sequence[int], draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each item is drawn, [draws, n] in parts: with replacement within each stratum."""
    rng = np.random.default_rng(seed)
    total = sum(sizes)
    at_a_time = max(1, _NUMBERS_AT_A_TIME // total)
    for first in range(0, draws, at_a_time):
        rows = min(at_a_time, draws - first)
        parts = [
            rng.multinomial(size, np.full(size, 1.0 / size), size=rows) for size in sizes if size
        ]
        yield np.concatenate(parts, axis=1).astype(np.float64)
