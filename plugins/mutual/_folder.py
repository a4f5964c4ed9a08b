"""Images that score each other, a block of them in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.mutual._cells import Grid, aggregated, enlarged
from clipvet.plugins.mutual._options import FEWEST, MutualOptions
from clipvet.plugins.mutual._scores import (
    Floats,
    Nearest,
    Vectors,
    closest_count,
    mean_of_closest,
)

__all__ = ["Compared", "Load", "finest", "merged_map", "score_each_other"]

Load: TypeAlias = Callable[[int, str], NDArray[Any]]
"""(place of an image, name of a feature) -> its centred vectors [N, W]."""

_MEMORY = 512 << 20
"""Bytes of distances and vectors that are held at once."""


class Compared:
    """Which images of a set are compared with which.

    Args:
        digests: of the content of each.
        owners: a number for each; views of one picture share it.
    """

    def __init__(self, digests: Sequence[bytes], owners: Sequence[int]) -> None:
        # An image explains itself, and so does its copy, or another tile of the same picture.
        self._content = np.unique(np.array(digests, dtype=object), return_inverse=True)[1]
        self._owner = np.asarray(owners)

    def others(self, image: int) -> NDArray[np.bool_]:
        """True for the images that one is compared with."""
        others: NDArray[np.bool_] = (self._content != self._content[image]) & (
            self._owner != self._owner[image]
        )
        return others

    def __len__(self) -> int:
        return len(self._owner)

    def fewest(self) -> int:
        """Images that the one with the fewest others is compared with."""
        return min((int(self.others(i).sum()) for i in range(len(self._owner))), default=0)


def score_each_other(
    load: Load,
    grids: Mapping[str, Grid],
    compared: Compared,
    options: MutualOptions,
    *,
    memory: int = _MEMORY,
) -> NDArray[np.float64]:
    """The map of each image, on the finest grid: float64 [images, N], 0..2.

    Distances of a block of images to all others are held at once; within it one product serves
    both images of a pair. With few enough images there is one block, and every product serves.

    Args:
        load: reads vectors, from disk.
        grids: of each feature.
        compared: which images are compared; each with at least ``FEWEST``.
        options: neighbourhoods, share and radius.
        memory: bytes to hold at once.
    """
    if compared.fewest() < FEWEST:
        raise ValueError(f"an image is compared with fewer than {FEWEST}")
    target, images = finest(grids.values()), len(compared)
    total = np.zeros((images, target[0] * target[1]))
    for name, grid in grids.items():
        cells, width = load(0, name).shape
        block = max(1, min(images, memory // (4 * cells * (images + width))))
        nearest, own = Nearest(grid, options.radius), np.zeros((images, cells))
        for side in options.neighbourhoods:
            vectors = partial(_aggregated, load, name, grid, side)
            for first in range(0, images, block):
                rows = range(first, min(first + block, images))
                distances = _distances(vectors, rows, images, nearest)
                for image in rows:
                    to_others = distances[image - first, compared.others(image)]
                    count = closest_count(len(to_others), options.share)
                    own[image] += mean_of_closest(to_others, count)
        for image in range(images):
            total[image] += enlarged(own[image], grid, target)
    return total / (len(grids) * len(options.neighbourhoods))


def finest(grids: Iterable[Grid]) -> Grid:
    """The grid with the most cells."""
    return max(grids, key=lambda grid: grid[0] * grid[1])


def merged_map(maps: Mapping[str, Floats], grids: Mapping[str, Grid]) -> Floats:
    """Mean of the maps of several features, on the finest of their grids: float64 [N]."""
    target = finest(grids.values())
    parts = [enlarged(values, grids[name], target) for name, values in maps.items()]
    mean: Floats = np.mean(parts, axis=0)
    return mean


def _aggregated(load: Load, name: str, grid: Grid, side: int, image: int) -> Vectors:
    return aggregated(load(image, name), grid, side)


def _distances(
    vectors: Callable[[int], Vectors], rows: range, images: int, nearest: Nearest
) -> Vectors:
    """Distances of the images ``rows`` to all: float32 [rows, images, N]; 0 to themselves."""
    own = [vectors(image) for image in rows]
    distances = np.zeros((len(rows), images, len(own[0])), np.float32)
    for other in range(images):
        if other not in rows:
            its = vectors(other)
            for place, image in enumerate(own):
                distances[place, other] = nearest.one_way(image, its)
            continue
        there = other - rows.start
        for place in range(there):
            forth, back = nearest.both_ways(own[place], own[there])
            distances[place, other], distances[there, rows.start + place] = forth, back
    return distances
