"""How far a measured share may be from that of all images like these."""

from __future__ import annotations

__all__ = ["CONFIDENCE", "clopper_pearson"]

CONFIDENCE = 0.95
"""Of every interval that is printed or kept."""


def clopper_pearson(count: int, n: int) -> tuple[float, float]:
    """The interval of a proportion, ``count`` of ``n`` > 0 (Clopper and Pearson 1934).

    It holds the true share with a probability of at least :data:`CONFIDENCE`, however small n is.
    """
    from scipy.special import betaincinv

    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1.0 - tail)) if count < n else 1.0
    return low, high
