"""Bilinear resampling of small grids, in numpy, monotone and without overshoot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["centres", "sample_grid"]


def centres(start: float, stop: float, count: int) -> NDArray[np.float64]:
    """Centres of ``count`` equal cells between ``start`` and ``stop``: float64 [count]."""
    return start + (np.arange(count, dtype=np.float64) + 0.5) * ((stop - start) / count)


def sample_grid(
    grid: NDArray[Any],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
) -> NDArray[Any]:
    """Sample ``grid`` [gh, gw] at fractional positions, where 0.5 is the centre of cell 0.

    Positions beyond the outermost centres take the value of the outermost cell, which is what
    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`` does. Raising a
    cell never lowers a sample, not even by rounding, and no sample leaves the grid's range.

    Returns:
        [len(rows), len(columns)] in the grid's dtype.
    """
    across = _interpolate(grid, rows)
    samples = _interpolate(across.T, columns).T
    return np.ascontiguousarray(np.clip(samples, grid.min(), grid.max()))


def _interpolate(grid: NDArray[Any], positions: NDArray[np.float64]) -> NDArray[Any]:
    last = grid.shape[0] - 1
    place = np.clip(positions - 0.5, 0.0, last)
    lower = np.floor(place).astype(np.intp)
    upper = np.minimum(lower + 1, last)
    weight = (place - lower)[:, None]
    # a(1 - w) + bw and not a + (b - a)w: only in this form is every rounded step monotone in a.
    below, above = (1.0 - weight).astype(grid.dtype), weight.astype(grid.dtype)
    result: NDArray[Any] = grid[lower] * below + grid[upper] * above
    return result
