"""A few vectors that stand for many: greedy k-centre on a stream (PatchCore, section 3.2).

Roth et al., *Towards Total Recall in Industrial Anomaly Detection*, CVPR 2022; greedy k-centre:
Gonzalez 1985; Sener and Savarese 2018.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["PROJECTED", "Coreset", "greedy_k_centre"]

PROJECTED = 128
"""Dimensions in which distances are compared while choosing, as in the authors' code of PatchCore:
the squared distance of two vectors keeps to within about 12 % (sqrt(2 / 128), one standard
deviation; Johnson and Lindenstrauss 1984)."""

# How many vectors wait for each that is kept: more make fewer, longer reductions.
_WAITING = 4

# Squared distances of unit vectors in float32 carry an error of about 1e-6.
_SAME = 1e-6


class Coreset:
    """At most ``size`` of all vectors that it is shown, spread so that each has one nearby.

    Vectors within ``radius`` of one that is kept are passed over. The others wait, and once
    there are many, what is kept and what waits are reduced to ``size`` vectors by greedy k-centre;
    its covering radius is the new ``radius``. So memory holds ``5 * size`` vectors and one block,
    however many are shown. The same vectors in the same order give the same coreset, however
    they are cut into blocks of whole images; another order gives another one.

    Args:
        size: the most vectors that are kept; None keeps all.

    Attributes:
        seen: how many vectors it was shown.
        radius: Euclidean, after projection; 0 while everything is kept.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.seen = 0
        self.radius = 0.0
        self._blocks: list[NDArray[np.float32]] = []  # what is kept comes first
        self._held = 0
        self._centres: NDArray[np.float32] | None = None  # what is kept, projected

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The coreset, float32 [at most size, D]; of the vectors shown, unchanged."""
        if self.size is not None and self._held > self.size:
            self._reduce(self.size)
        return np.concatenate(self._blocks)

    def offer(self, vectors: NDArray[np.float32]) -> None:
        """Show it the vectors [n, D] of one image, all of about the same length."""
        self.seen += len(vectors)
        if self._centres is not None:
            points = _projected(vectors)
            vectors = vectors[_squared(points, self._centres) > max(self.radius**2, _SAME)]
        self._blocks.append(vectors)
        self._held += len(vectors)
        if self.size is not None and self._held > (1 + _WAITING) * self.size:
            self._reduce(self.size)

    def _reduce(self, size: int) -> None:
        vectors = np.concatenate(self._blocks)
        points = _projected(vectors)
        chosen, self.radius = greedy_k_centre(points, size)
        self._blocks, self._held = [vectors[chosen]], len(chosen)
        self._centres = points[chosen]


def greedy_k_centre(points: NDArray[np.float32], size: int) -> tuple[NDArray[np.intp], float]:
    """Of some points those that are farthest from one another, beginning with the first.

    Each next one is the point that is farthest from all that were chosen. The covering radius
    is at most twice the least that any ``size`` points have.

    Args:
        points: [n, d].
        size: how many to choose.

    Returns:
        Indices [min(size, n)] in the order of choice, and the covering radius: no point is
        farther than that from a chosen one.
    """
    size = min(size, len(points))
    squares = np.einsum("nd,nd->n", points, points)
    nearest = np.full(len(points), np.inf, dtype=points.dtype)
    chosen = np.empty(size, dtype=np.intp)
    last = 0
    for place in range(size):
        chosen[place] = last
        # einsum: so small a product is done before the threads of a BLAS have woken up.
        products = np.einsum("nd,d->n", points, points[last])
        np.minimum(nearest, squares + squares[last] - 2 * products, out=nearest)
        nearest[last] = -1  # never twice, not even among copies
        last = int(nearest.argmax())
    return chosen, float(np.sqrt(max(nearest[last], 0.0)))


def _squared(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distance [n] of each point to the nearest centre."""
    products = points @ centres.T
    products *= -2
    products += np.einsum("md,md->m", centres, centres)
    nearest: NDArray[np.float32] = products.min(axis=1) + np.einsum("nd,nd->n", points, points)
    return nearest


def _projected(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sparse random projection (Li et al. 2006) to ``PROJECTED`` dimensions, always the same."""
    width = vectors.shape[1]
    if width <= PROJECTED:
        return vectors
    return vectors @ _projection(width)


@cache
def _projection(width: int) -> NDArray[np.float32]:
    from sklearn.random_projection import SparseRandomProjection

    projection = SparseRandomProjection(PROJECTED, random_state=0).fit(np.zeros((1, width)))
    matrix: NDArray[np.float32] = projection.components_.toarray().T.astype(np.float32)
    return matrix
