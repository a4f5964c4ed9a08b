"""From the features of a view to one vector for each of its patches.

Roth et al. 2022, section 3.1: features of several layers, each averaged over a neighbourhood,
resized to one grid and joined. The numbers are those of anomalib 2.7.0 (``AvgPool2d(3, 1, 1)``,
which counts the zeros beyond the border, then bilinear interpolation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import FEATURES, DetectorError

__all__ = ["Space", "average_pool", "check_space", "resize_grid"]

Floats = NDArray[np.float32]

# What FeatureSpec says of tokens: with the class token in front of the patches, or patches alone.
_WITH_CLASS_TOKEN, _PATCHES_ALONE = "1+N", "N"


@dataclass(frozen=True)
class Space:
    """Features that are joined into one vector for each patch.

    Attributes:
        name: the features, joined by "+": ``hidden_2+hidden_3``.
        neighbourhood: side of the square over which each is averaged.
    """

    name: str
    neighbourhood: int = 1

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(self.name.split("+"))

    def patches(self, features: Mapping[str, Floats], index: int) -> tuple[Floats, tuple[int, int]]:
        """The vectors of one view.

        Args:
            features: of a batch.
            index: the view.

        Returns:
            float32 [rows * columns, D], row by row, and the grid (rows, columns): the finest one
            among the features.
        """
        maps = [
            average_pool(_grid_of(name, features[name][index]), self.neighbourhood)
            for name in self.features
        ]
        grid: tuple[int, int] = max(m.shape[:2] for m in maps)
        joined = np.concatenate([resize_grid(m, grid) for m in maps], axis=-1)
        return joined.reshape(grid[0] * grid[1], -1), grid


def check_space(name: str) -> None:
    """Raise ``ValueError`` unless every feature of a space has a value for each patch."""
    features = name.split("+")
    if len(set(features)) < len(features):
        raise ValueError(f"{name!r} names a feature twice")
    for feature in features:
        if not _is_of_patches(feature):
            known = ", ".join(each for each in FEATURES if _is_of_patches(each))
            raise ValueError(f"{feature!r} is no feature of patches; known are {known}")


def average_pool(values: Floats, side: int) -> Floats:
    """Average over side x side cells, zeros beyond the border.

    Args:
        values: [rows, columns, D].
        side: odd.
    """
    if side == 1:
        return values
    reach = side // 2
    rows, columns = values.shape[:2]
    padded = np.pad(values, ((reach, reach), (reach, reach), (0, 0)))
    total = np.zeros_like(values)
    for down in range(side):
        for across in range(side):
            total += padded[down : down + rows, across : across + columns]
    return total / np.float32(side * side)


def resize_grid(values: NDArray[np.floating], grid: Sequence[int]) -> NDArray[np.floating]:
    """Resize a map bilinearly; the centres of the corner cells are not aligned (torch's default).

    Args:
        values: [rows, columns, ...].
        grid: (rows, columns) of the result.
    """
    for axis, size in enumerate(grid):
        values = _resize_axis(values, axis, size)
    return values


def _resize_axis(values: NDArray[np.floating], axis: int, size: int) -> NDArray[np.floating]:
    """Multiply and add, not a BLAS product: its rounding may depend on where an array lies."""
    have = values.shape[axis]
    if have == size:
        return values
    places = np.clip((np.arange(size) + 0.5) * (have / size) - 0.5, 0, have - 1)
    low = np.floor(places).astype(np.intp)
    high = np.minimum(low + 1, have - 1)
    shape = [1] * values.ndim
    shape[axis] = size
    part = (places - low).astype(values.dtype).reshape(shape)
    return np.take(values, low, axis) * (1 - part) + np.take(values, high, axis) * part


def _is_of_patches(name: str) -> bool:
    tokens = FEATURES[name].shape[1:2] if name in FEATURES else ()
    return tokens in {(_WITH_CLASS_TOKEN,), (_PATCHES_ALONE,)}


def _grid_of(name: str, tokens: Floats) -> Floats:
    """Tokens [n, D] of one view as a map [rows, columns, D], without the class token."""
    patches = tokens[1:] if FEATURES[name].shape[1] == _WITH_CLASS_TOKEN else tokens
    side = isqrt(len(patches))
    if side * side != len(patches):
        raise DetectorError(f"patchcore: {name} has {len(patches)} patches, which is no square")
    return patches.reshape(side, side, -1)
