"""Whether scores fall into two groups, and which of them is larger."""

from __future__ import annotations

import numpy as np

from clipvet.plugins.mutual._scores import Floats

__all__ = ["mostly_high"]

_SEPARATE = 0.82
"""Share of the variance that the best split explains: 0.64 of a normal distribution, 0.75 of a
uniform one, 0.86 of two normal ones five standard deviations apart."""
_FEWEST = 24  # of fewer images any scores may look split


def mostly_high(scores: Floats) -> bool:
    """Whether the scores fall into two groups of which the larger has the higher scores.

    Otsu's split: the two groups between which most of the variance lies.

    Args:
        scores: [n].
    """
    ordered = np.sort(scores)
    count = len(ordered)
    total = float(ordered.var()) * count
    if count < _FEWEST or not total:
        return False
    low = np.arange(1, count)
    sums = np.cumsum(ordered)[:-1]
    gap = (ordered.sum() - sums) / (count - low) - sums / low
    between = low * (count - low) / count * gap**2
    best = int(np.argmax(between))
    return bool(between[best] > _SEPARATE * total and count - low[best] > low[best])
