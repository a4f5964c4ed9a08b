"""Arithmetic on embeddings and maps that more than one detector needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["top_mean", "unit_rows"]


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Vectors [..., E] at unit length, float64; a row of zeros stays zero."""
    wide = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)
    return unit


def top_mean(values: NDArray[np.floating], share: float) -> float:
    """Mean of the largest ``share`` (0..1) of a map's cells, of one cell at least."""
    count = max(1, round(share * values.size))
    return float(np.sort(values, axis=None)[-count:].mean())
