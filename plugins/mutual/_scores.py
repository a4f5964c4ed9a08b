"""How badly other images explain each cell: MuSc's mutual scores, and its rescoring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.mutual._cells import Grid

__all__ = ["Floats", "Nearest", "Vectors", "closest_count", "mean_of_closest", "rescored"]

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]

_ROWS = 1024  # of the similarities of images that are in memory at once


class Nearest:
    """Distances of cells to the nearest cell of another image; reuses one matrix of products.

    Args:
        grid: rows and columns of both images, N cells.
        radius: cells that are farther apart than so many, in rows or columns, are not compared;
            None compares all.
    """

    def __init__(self, grid: Grid, radius: int | None) -> None:
        rows, columns = grid
        self._cosines = np.empty((rows * columns, rows * columns), np.float32)
        self._far: NDArray[np.bool_] | None = None
        if radius is not None and radius < max(grid) - 1:
            row, column = np.divmod(np.arange(rows * columns), columns)
            apart = [np.abs(place[:, None] - place) for place in (row, column)]
            self._far = np.maximum(*apart) > radius

    def one_way(self, image: Vectors, other: Vectors) -> Vectors:
        """``min_q |z_p - z'_q|`` for each cell p of an image: float32 [N], 0..2.

        Args:
            image: unit vectors [N, W].
            other: likewise, of the other image.
        """
        return _distance(self._products(image, other).max(axis=1))

    def both_ways(self, image: Vectors, other: Vectors) -> tuple[Vectors, Vectors]:
        """The distances of each image's cells to the other, from one matrix product."""
        cosines = self._products(image, other)
        return _distance(cosines.max(axis=1)), _distance(cosines.max(axis=0))

    def _products(self, image: Vectors, other: Vectors) -> Vectors:
        np.matmul(image, other.T, out=self._cosines)
        if self._far is not None:
            np.copyto(self._cosines, -1.0, where=self._far)
        return self._cosines


def closest_count(images: int, share: float) -> int:
    """k: how many of so many other images count, at least one."""
    return max(1, math.floor(share * images + 1e-9))


def mean_of_closest(distances: NDArray[np.float32], count: int) -> Floats:
    """Mean of the ``count`` smallest of each column: float64 [N].

    Args:
        distances: [m, N], to m other images.
        count: at most m.
    """
    # In ascending order: the sum does not depend on the order of the images.
    smallest = (
        np.partition(distances, count - 1, axis=0)[:count]
        if count < len(distances)
        else (distances)
    )
    mean: Floats = np.sort(smallest, axis=0).mean(axis=0, dtype=np.float64)
    return mean


def rescored(scores: Floats, units: NDArray[Any], counts: Sequence[int]) -> Floats:
    """Scores averaged over images that look alike (RsCIN): float64 [n], 0..1.

    Scores are scaled to 0..1 over the set. For each k every image takes the mean over the k
    images that resemble it most, itself included, weighted by cosine; the mean over all k counts.

    Args:
        scores: [n].
        units: unit embeddings of the images [n, E].
        counts: the list of k; more than n is n.
    """
    span = float(np.ptp(scores))
    scaled = (scores - scores.min()) / span if span else np.zeros_like(scores)
    units = np.asarray(units, np.float64)
    largest = min(max(counts), len(scores))
    means = np.zeros_like(scores)
    for first in range(0, len(scores), _ROWS):
        cosines = units[first : first + _ROWS] @ units.T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :largest]
        weights = np.take_along_axis(cosines, order, axis=1)
        for count in counts:
            of_k = weights[:, :count]
            part = (of_k * scaled[order[:, :count]]).sum(axis=1) / of_k.sum(axis=1)
            means[first : first + _ROWS] += part / len(counts)
    return means


def _distance(cosines: Vectors) -> Vectors:
    """``sqrt(2 - 2 cos)``; MuSc takes the root before it averages, so cosines would not do."""
    distance: Vectors = np.sqrt(np.maximum(2.0 - 2.0 * cosines, 0.0))
    return distance
