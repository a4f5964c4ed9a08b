"""Numbers that are not finite: found where they arise, before a detector makes a score of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["finite_mean", "not_finite", "spoilt"]


def not_finite(features: Mapping[str, NDArray[Any]], count: int) -> list[set[str]]:
    """For each view the names of its features that hold NaN or an infinity.

    A maximum or a comparison can swallow a NaN, so a detector may give a fair-looking score.

    Args:
        features: arrays [V, ...].
        count: V.
    """
    found: list[set[str]] = [set() for _ in range(count)]
    for name, array in features.items():
        values = array.reshape(count, -1)
        with np.errstate(all="ignore"):
            suspects = np.flatnonzero(~np.isfinite(values.sum(axis=1)))
        for index in suspects:  # a sum of large numbers may be infinite, too
            if not np.isfinite(values[index]).all():
                found[index].add(name)
    return found


def spoilt(bundle: str, names: Collection[str]) -> str:
    """What a bundle did that gave such features."""
    listed = ", ".join(sorted(names))
    return f"bundle {bundle} gave numbers that are not finite for this image (in {listed})"


def finite_mean(scores: Sequence[float]) -> float:
    """Mean of a domain gate's scores; one that is no number is as far outside as there is."""
    if not all(map(math.isfinite, scores)):
        return sys.float_info.max
    return math.fsum(scores) / len(scores)
