"""Where the scores of a run lie beside those of the good images that calibrated it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.records._records import Verdict

__all__ = ["Histogram", "histogram"]

_BINS = 48
_NAMES = ("flag", "abstain", "error", "none", "pass")


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts of scores in equal bins.

    Attributes:
        low, high: outer edges of the bins.
        run: verdict ("none" without one) -> images of the run in each bin.
        good: held-out good images in each bin; None without a calibration.
        thresholds: above which a score is flagged.
    """

    low: float
    high: float
    run: dict[str, list[int]]
    good: list[int] | None
    thresholds: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        return {
            "low": self.low,
            "high": self.high,
            "run": self.run,
            "good": self.good,
            "thresholds": list(self.thresholds),
        }


def histogram(
    judged: Iterable[tuple[float, Verdict | None]],
    *,
    good: NDArray[np.float64] | None,
    thresholds: Sequence[float],
) -> Histogram | None:
    """Count scores.

    Args:
        judged: scores of the run with their verdicts.
        good: scores of the calibration, if it is known.
        thresholds: to be in reach of the bins.

    Returns:
        None if there is no score.
    """
    found = list(judged)
    if not found:
        return None
    scores = np.array([score for score, _ in found])
    known = np.empty(0) if good is None else good
    edges = _edges(np.concatenate([scores, known, np.array(thresholds)]))
    return Histogram(
        low=edges[0],
        high=edges[1],
        run=_by_verdict(scores, [verdict for _, verdict in found], edges),
        good=None if good is None else _counts(good, edges),
        thresholds=tuple(thresholds),
    )


def _edges(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    reach = (high - low) * 0.02 or max(abs(high) * 1e-3, 1e-9)
    return low - reach, high + reach


def _by_verdict(
    scores: NDArray[np.float64], verdicts: Sequence[Verdict | None], edges: tuple[float, float]
) -> dict[str, list[int]]:
    names = np.array([verdict or "none" for verdict in verdicts])
    return {name: _counts(scores[names == name], edges) for name in _NAMES if (names == name).any()}


def _counts(scores: NDArray[np.float64], edges: tuple[float, float]) -> list[int]:
    return [int(count) for count in np.histogram(scores, bins=_BINS, range=edges)[0]]
