"""From the features of a view to one vector for each of its patches.

Roth et al. 2022, section 3.1: features of several layers, each averaged over a neighbourhood,
resized to one grid and joined. The numbers are those of anomalib 2.7.0 (``AvgPool2d(3, 1, 1)``,
which counts the zeros beyond the border, then bilinear interpolation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import FEATURES
from clipvet.detectors.clip import BundleInfo

__all__ = ["Space", "average_pool", "check_space", "features_of", "resize_grid"]

Floats = NDArray[np.float32]

_WITH_GRID = frozenset({"grid", "class+grid"})


@dataclass(frozen=True, kw_only=True)
class Space:
    """Features that are joined into one vector for each patch.

    Attributes:
        name: the features, joined by "+": ``hidden_2+hidden_3``.
        grids: of each feature, in order: cells (rows, columns).
        neighbourhood: side of the square of cells over which each is averaged.
    """

    name: str
    grids: tuple[tuple[int, int], ...]
    neighbourhood: int = 1

    @classmethod
    def of(cls, name: str, bundle: BundleInfo, neighbourhood: int) -> Self:
        """The space of a bundle whose features these are."""
        grids = tuple(bundle.feature_grid(feature) for feature in features_of(name))
        return cls(name=name, grids=grids, neighbourhood=neighbourhood)

    @property
    def grid(self) -> tuple[int, int]:
        """Cells (rows, columns) of the joined features: the finest of their grids."""
        return max(self.grids)

    def patches(self, features: Mapping[str, Floats], index: int) -> Floats:
        """Join the features of one view.

        Args:
            features: of a batch.
            index: the view.

        Returns:
            float32 [rows * columns, D], row by row.
        """
        maps = []
        for name, (rows, columns) in zip(features_of(self.name), self.grids, strict=True):
            tokens = features[name][index]
            cells = tokens[1:] if FEATURES[name].tokens == "class+grid" else tokens
            pooled = average_pool(cells.reshape(rows, columns, -1), self.neighbourhood)
            maps.append(resize_grid(pooled, self.grid))
        return np.concatenate(maps, axis=-1).reshape(self.grid[0] * self.grid[1], -1)


def features_of(space: str) -> tuple[str, ...]:
    """Names of the features that a space joins, in order."""
    return tuple(space.split("+"))


def check_space(name: str) -> None:
    """Raise ``ValueError`` unless every feature of a space has a value for each cell of a grid."""
    features = features_of(name)
    if len(set(features)) < len(features):
        raise ValueError(f"{name!r} names a feature twice")
    for feature in features:
        if feature not in FEATURES or FEATURES[feature].tokens not in _WITH_GRID:
            known = ", ".join(each for each, spec in FEATURES.items() if spec.tokens in _WITH_GRID)
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


def resize_grid(values: NDArray[Any], grid: Sequence[int]) -> NDArray[Any]:
    """Resize a map bilinearly; the centres of the corner cells are not aligned (torch's default).

    Args:
        values: [rows, columns, ...].
        grid: (rows, columns) of the result.
    """
    for axis, size in enumerate(grid):
        values = _resize_axis(values, axis, size)
    return values


def _resize_axis(values: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    # Multiply and add, not a BLAS product, whose rounding may depend on where an array lies.
    have = values.shape[axis]
    if have == size:
        return values
    places = np.clip((np.arange(size) + 0.5) * (have / size) - 0.5, 0, have - 1)
    low = np.floor(places).astype(np.intp)
    high = np.minimum(low + 1, have - 1)
    shape = [1] * values.ndim
    shape[axis] = size
    part = (places - low).astype(values.dtype).reshape(shape)
    resized: NDArray[Any] = (
        np.take(values, low, axis) * (1 - part) + np.take(values, high, axis) * part
    )
    return resized
