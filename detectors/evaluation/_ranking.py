"""Metrics of a ranking: what is caught and what is flagged in vain, at every threshold.

The same arithmetic serves images, draws of a bootstrap (one row each) and pixels (one entry for
each distinct score). Definitions and sources: ``docs/eval.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranking", "trapezoid"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Counts of what scores at least as high as each distinct score; higher is worse.

    Attributes:
        scores: float64 [m], distinct, falling: the thresholds.
        caught: float64 [..., m], defects at or above each; the last entry counts all of them.
        alarms: float64 [..., m], good ones at or above each; the last entry counts all of them.
    """

    scores: Floats
    caught: Floats
    alarms: Floats

    @classmethod
    def of(cls, scores: Floats, defect: NDArray[np.bool_], weights: Floats | None = None) -> Self:
        """Rank items.

        Args:
            scores: float64 [n].
            defect: bool [n]; both values occur.
            weights: float64 [..., n], how often each item counts; None is once.
        """
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of each tie
        counts = np.ones(len(scores)) if weights is None else weights
        counts, bad = counts[..., order], defect[order]
        return cls(
            scores=falling[last],
            caught=np.cumsum(counts * bad, axis=-1)[..., last],
            alarms=np.cumsum(counts * ~bad, axis=-1)[..., last],
        )

    @property
    def recall(self) -> Floats:
        """True positive rate at each threshold [..., m]."""
        return self.caught / self.caught[..., -1:]

    @property
    def false_alarm_rate(self) -> Floats:
        """False positive rate at each threshold [..., m]."""
        return self.alarms / self.alarms[..., -1:]

    @property
    def precision(self) -> Floats:
        """Share of defects among what is flagged [..., m]."""
        return self.caught / np.maximum(self.caught + self.alarms, np.finfo(np.float64).tiny)

    def auroc(self) -> Floats:
        """Area under the ROC curve: P(defect > good) + P(defect = good) / 2."""
        return trapezoid(self.false_alarm_rate, self.recall)

    def average_precision(self) -> Floats:
        """Sum of precision times the step in recall."""
        steps = np.diff(self.recall, prepend=0.0, axis=-1)
        return np.asarray(np.sum(steps * self.precision, axis=-1))

    def f1(self) -> Floats:
        """F1 at each threshold [..., m]."""
        total = self.caught + self.alarms + self.caught[..., -1:]
        return 2.0 * self.caught / total

    def f1_max_threshold(self) -> float:
        """Halfway from the lowest score that the best F1 flags to the next lower one."""
        best = int(np.argmax(self.f1()))
        if best == len(self.scores) - 1:
            return float(np.nextafter(self.scores[best], -np.inf))
        return float((self.scores[best] + self.scores[best + 1]) / 2.0)

    def fpr95_defect_positive(self) -> Floats:
        """Share of good ones flagged at the strictest threshold that catches 95 % of defects."""
        enough = 20.0 * self.caught >= 19.0 * self.caught[..., -1:]
        first = np.argmax(enough, axis=-1)[..., None]
        return np.asarray(np.take_along_axis(self.false_alarm_rate, first, axis=-1)[..., 0])

    def fpr95_good_positive(self) -> Floats:
        """Share of defects accepted at the strictest threshold that accepts 95 % of good ones."""
        allowed = 20.0 * self.alarms <= self.alarms[..., -1:]
        return np.asarray(1.0 - np.max(np.where(allowed, self.recall, 0.0), axis=-1))


def trapezoid(x: Floats, y: Floats) -> Floats:
    """Area under straight lines from (0, 0) through the points, along the last axis."""
    steps = np.diff(x, prepend=0.0, axis=-1)
    before = np.concatenate([np.zeros_like(y[..., :1]), y[..., :-1]], axis=-1)
    return np.asarray(np.sum(steps * (y + before) / 2.0, axis=-1))
