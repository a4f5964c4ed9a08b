"""Which patches make up each window of a grid (WinCLIP, section 4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["window_indices"]


def window_indices(grid: int, side: int) -> NDArray[np.int64]:
    """Patch numbers of every side x side window with stride 1, all fully inside.

    Args:
        grid: patches along one side of the square grid.
        side: patches along one side of a window, at most ``grid``.

    Returns:
        int64 [(grid - side + 1)**2, side**2]; windows and patches in row-major order, 0-based,
        the class token not counted.
    """
    starts = np.arange(grid - side + 1)
    inside = np.arange(side)
    rows = starts[:, None, None, None] + inside[None, None, :, None]
    columns = starts[None, :, None, None] + inside[None, None, None, :]
    return (rows * grid + columns).reshape(len(starts) ** 2, side * side).astype(np.int64)
