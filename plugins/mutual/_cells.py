"""From features to unit vectors of cells: MuSc's LNAMD, and grids of different sides."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import FEATURES, DetectorError
from clipvet.plugins.mutual._options import ID

__all__ = ["Grid", "aggregated", "centred", "enlarged", "grid_of", "local_vectors"]

Grid: TypeAlias = tuple[int, int]
"""Rows and columns."""


def local_vectors(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors of one view's cells, without a class token: float32 [N, W].

    Args:
        name: of the feature.
        values: of one view: [N, W], or [1 + N, W] for features with a class token.

    Raises:
        DetectorError: the feature has no cells.
    """
    if values.ndim != 2:
        raise DetectorError(f"{ID}: {name} has no vector for each cell: choose another feature")
    spec = FEATURES.get(name)
    return values[1:] if spec is not None and spec.tokens == "class+grid" else values


def grid_of(name: str, cells: int, patches: Grid) -> Grid:
    """Rows and columns of so many cells, row by row: the bundle's patches, or else a square.

    Raises:
        DetectorError: they fill no square.
    """
    if cells == math.prod(patches):
        return patches
    side = math.isqrt(cells)
    if side * side != cells:
        raise DetectorError(f"{ID}: the {cells} vectors of {name} fill no square grid")
    return side, side


def centred(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    """Vectors [N, W] minus the mean of all their numbers, as they are stored: float16.

    MuSc divides by the standard deviation, too; that cancels once vectors have unit length.
    """
    stored: NDArray[np.float16] = (vectors - vectors.mean(dtype=np.float64)).astype(np.float16)
    return stored


def aggregated(vectors: NDArray[Any], grid: Grid, side: int) -> NDArray[np.float32]:
    """Unit vectors of square neighbourhoods: ``unit(sum of side x side cells)``, float32 [N, W].

    Cells beyond the border count as zero, as MuSc pads them; its division by side^2 cancels.

    Args:
        vectors: [N, W], centred, row by row.
        grid: rows and columns, N in all.
        side: odd.
    """
    rows, columns = grid
    sums = np.asarray(vectors, np.float32)
    if side > 1:
        sums = sums.reshape(rows, columns, -1)
        for axis in (0, 1):
            sums = _summed(sums, side // 2, axis)
        sums = sums.reshape(rows * columns, -1)
    length = np.sqrt(np.einsum("nw,nw->n", sums, sums, dtype=np.float64)).astype(np.float32)
    unit: NDArray[np.float32] = np.divide(
        sums, length[:, None], out=np.zeros_like(sums), where=length[:, None] > 0
    )
    return unit


def enlarged(values: NDArray[np.float64], grid: Grid, target: Grid) -> NDArray[np.float64]:
    """A map [N] of one grid on a finer one, bilinear with half-pixel centres: [target N]."""
    if grid == target:
        return values
    down, across = (_interpolation(*sides) for sides in zip(grid, target, strict=True))
    fine: NDArray[np.float64] = down @ values.reshape(grid) @ across.T
    return fine.ravel()


def _summed(values: NDArray[np.float32], reach: int, axis: int) -> NDArray[np.float32]:
    """Each entry plus up to ``reach`` neighbours on both sides along an axis."""
    total = values.copy()
    ends = np.moveaxis(total, axis, 0)
    source = np.moveaxis(values, axis, 0)
    for step in range(1, min(reach, len(source) - 1) + 1):
        ends[step:] += source[:-step]
        ends[:-step] += source[step:]
    return total


def _interpolation(size: int, target: int) -> NDArray[np.float64]:
    """Weights [target, size] of linear interpolation between cells that cover the same length."""
    place = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    low = np.minimum(place.astype(int), max(size - 2, 0))
    weights = np.zeros((target, size))
    weights[np.arange(target), low] = 1 - (place - low)
    if size > 1:
        weights[np.arange(target), low + 1] = place - low
    return weights
