"""The nearest vector of a memory: exact, in blocks, the same bits whatever BLAS does.

A matrix product finds which vectors may be nearest, to within what float32 rounds; the distances
to these few are then taken from differences. So a vector of the memory is at a distance of
exactly 0 from itself, and no distance depends on how many threads multiplied.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows

__all__ = ["Distance", "VectorBank"]

Distance: TypeAlias = Literal["l2", "cosine"]
Floats: TypeAlias = NDArray[np.float32]

_BLOCK: Final = 1024
"""Vectors of the memory at a time: 784 x 1024 products are 3 MB, about what a core caches."""

_PAIRS: Final = 1 << 14
"""Pairs whose difference is taken at a time: 25 MB in float64 with 192 numbers each."""

_ROUNDING: Final = 2.0**-24
"""Half a step of float32: the relative error of one operation."""


class VectorBank:
    """Vectors to search, prepared once; :meth:`nearest` may be called from many threads.

    Args:
        vectors: float32 [R, D], at least one.
        distance: "l2" is the Euclidean one; "cosine" is 1 - cosine, 0..2.

    Attributes:
        rows: int64 [R'], the first of each set of equal vectors: they alone are searched.
    """

    def __init__(self, vectors: Floats, distance: Distance) -> None:
        self.distance = distance
        points = self._points(vectors)
        self.rows = _first_of_equal(points)
        self._vectors = points[self.rows]
        # Distances are small beside the distance from the origin; about the mean less is lost.
        self._centre = self._vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = self._vectors - self._centre
        self._scaled = -2 * centred
        self._squares = np.einsum("rd,rd->r", centred, centred)
        self._longest = float(np.sqrt(self._squares.max()))

    def nearest(self, queries: Floats) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Find the nearest vector of each query.

        Args:
            queries: float32 [n, D].

        Returns:
            float64 [n] distances, at least 0, and [n] rows of the bank (of equally near ones the
            first).
        """
        points = self._points(queries)
        centred = points - self._centre
        reach = np.sqrt(np.einsum("nd,nd->n", centred, centred)) + self._longest
        # Twice the worst that the product of D terms may be off (Higham 2002, section 3.1).
        slack = 2 * (points.shape[1] + 4) * np.float32(_ROUNDING) * reach**2
        least = np.full(len(points), np.inf, np.float32)
        found: list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]] = []
        for start in range(0, len(self._scaled), _BLOCK):
            block = slice(start, start + _BLOCK)
            squared = centred @ self._scaled[block].T
            squared += self._squares[block]
            least_here = squared.min(axis=1)
            np.minimum(least, least_here, out=least)
            limit = least + slack
            near = np.flatnonzero(least_here <= limit)
            if len(near) < len(points):
                squared, limit = squared[near], limit[near]
            # Of the flat array: on a mask of two dimensions nonzero takes three times as long.
            place = np.flatnonzero(squared <= limit[:, None])
            row, column = np.divmod(place, squared.shape[1])
            found.append((near[row], start + column, squared.ravel()[place]))
        query, vector, value = (np.concatenate(part) for part in zip(*found, strict=True))
        close = value <= (least + slack)[query]
        return self._nearest_of(points, query[close], vector[close])

    def neighbours(self, row: int, count: int) -> NDArray[np.intp]:
        """The ``count`` rows nearest to a row of the bank, itself first; all if there are fewer."""
        place = int(np.searchsorted(self.rows, row))
        squared = ((self._vectors - self._vectors[place]).astype(np.float64) ** 2).sum(axis=1)
        squared[place] = -1
        return self.rows[np.argsort(squared, kind="stable")[:count]]

    def distances(self, query: Floats, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """From one query [D] to some rows of the bank: float64 [len(rows)]."""
        points = self._points(query[None])
        vectors = np.searchsorted(self.rows, rows)
        squared = self._squared(points, np.zeros(len(rows), np.intp), vectors)
        return self._distance(squared)

    def _points(self, vectors: Floats) -> Floats:
        if self.distance == "l2":
            return vectors
        return unit_rows(vectors).astype(np.float32)

    def _nearest_of(
        self, points: Floats, query: NDArray[np.intp], vector: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The nearest of the candidate pairs of each query; every query has one at least."""
        squared = self._squared(points, query, vector)
        order = np.lexsort((vector, squared, query))
        first = order[np.append(True, np.diff(query[order]) > 0)]
        return self._distance(squared[first]), self.rows[vector[first]]

    def _squared(
        self, points: Floats, query: NDArray[np.intp], vector: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        squared = np.empty(len(query))
        for start in range(0, len(query), _PAIRS):
            some = slice(start, start + _PAIRS)
            gap = points[query[some]].astype(np.float64) - self._vectors[vector[some]]
            squared[some] = (gap * gap).sum(axis=1)
        return squared

    def _distance(self, squared: NDArray[np.float64]) -> NDArray[np.float64]:
        # Half the squared distance of unit vectors is 1 - cosine.
        return np.sqrt(squared) if self.distance == "l2" else np.minimum(squared / 2, 2.0)


def _first_of_equal(points: Floats) -> NDArray[np.intp]:
    """Rows of [R, D] without those that are equal to an earlier one, ascending."""
    whole = np.ascontiguousarray(points).view(
        np.dtype((np.void, points.itemsize * points.shape[1]))
    )
    first: NDArray[np.intp] = np.sort(np.unique(whole.ravel(), return_index=True)[1])
    return first
