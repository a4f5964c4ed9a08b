"""A few vectors that stand for many: k-medoids of a sample of a stream, the rare ones first.

Roth et al., *Towards Total Recall in Industrial Anomaly Detection*, CVPR 2022, section 3.2, keep a
coreset of their patches by greedy k-centre. That keeps whatever lies farthest from all else, once
and never again, which is what a defect looks like: see benchmarks/NOTES.md. Here a vector counts
the more, the farther it is from every vector of *other* images, and what is kept is in the middle
of what it stands for. Weighted k-means: MacQueen 1967; in mini batches: Sculley 2010.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["PROJECTED", "Coreset", "rarity", "weighted_medoids"]

PROJECTED = 128
"""Dimensions in which distances are compared while choosing, as in the authors' code of PatchCore:
the squared distance of two vectors keeps to within about 12 % (sqrt(2 / 128), one standard
deviation; Johnson and Lindenstrauss 1984)."""

# From how many vectors each that is kept is chosen. With 2 % kept they are a third of all.
_SAMPLED = 16

# A weight is this power of a distance: what is far from all others decides the score of an image.
_POWER = 4

_TINY = 1e-30  # a sum of nothing but copies

_BLOCK = 2048  # rows of distances at a time


class Coreset:
    """At most ``size`` of all vectors that it is shown.

    A uniform sample of ``16 * size`` of them is held (Vitter 1985: every vector draws a number, the
    lowest stay), so memory does not grow with the stream; ``vectors`` chooses among these.
    The same vectors in the same order give the same coreset, however they are cut into batches;
    another order gives another one.

    Args:
        size: the most vectors that are kept; None keeps all.

    Attributes:
        seen: how many vectors it was shown.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.seen = 0
        self._images = 0
        self._rng = np.random.default_rng([2208, 5])  # not the seed of anything else
        self._blocks: list[NDArray[np.float32]] = []
        self._owners: list[NDArray[np.int64]] = []  # which image a vector is of
        self._draws: list[NDArray[np.float64]] = []

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The coreset, float32 [at most size, D]; of the vectors shown, unchanged."""
        self._thin()
        vectors = np.concatenate(self._blocks)
        if self.size is None or len(vectors) <= self.size:
            return vectors
        points = _projected(vectors)
        rare = rarity(points, np.concatenate(self._owners)) ** _POWER
        # Half of the weight for all alike: what is common must not be left without a vector.
        weights = 1 + rare / max(rare.mean(), _TINY)
        return vectors[weighted_medoids(points, weights, self.size)]

    def offer(self, vectors: NDArray[np.float32]) -> None:
        """Show it the vectors [n, D] of one image, all of about the same length."""
        self.seen += len(vectors)
        self._blocks.append(vectors)
        if self.size is None:
            return
        self._owners.append(np.full(len(vectors), self._images))
        self._draws.append(self._rng.random(len(vectors)))
        self._images += 1
        if sum(map(len, self._blocks)) > 2 * _SAMPLED * self.size:
            self._thin()

    def _thin(self) -> None:
        if self.size is None:
            return
        draws, most = np.concatenate(self._draws), _SAMPLED * self.size
        if len(draws) > most:
            stay = np.sort(np.argpartition(draws, most)[:most])
            self._blocks = [np.concatenate(self._blocks)[stay]]
            self._owners = [np.concatenate(self._owners)[stay]]
            self._draws = [draws[stay]]


def rarity(points: NDArray[np.float32], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far each point is from the nearest one of another owner.

    Args:
        points: [n, d].
        owners: [n], the image that each is of.

    Returns:
        Euclidean distances [n]; all 1 if there is one owner.
    """
    if np.all(owners == owners[0]):
        return np.ones(len(points))
    squares = np.einsum("nd,nd->n", points, points)
    nearest = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        some = slice(start, start + _BLOCK)
        squared = points[some] @ points.T
        squared *= -2
        squared += squares
        squared[owners[some, None] == owners] = np.inf
        nearest[some] = squared.min(axis=1) + squares[some]
    distances: NDArray[np.float64] = np.sqrt(nearest.clip(min=0))
    return distances


def weighted_medoids(
    points: NDArray[np.float32], weights: NDArray[np.float64], size: int
) -> NDArray[np.intp]:
    """The points in the middle of the clusters of weighted k-means.

    Args:
        points: [n, d].
        weights: [n], above 0.
        size: how many clusters, at most n.

    Returns:
        Indices [at most size], ascending; the same points give the same ones.
    """
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(0)
    start = rng.choice(len(points), size, replace=False, p=weights / weights.sum())
    means = MiniBatchKMeans(
        size, init=points[start], n_init=1, batch_size=16_384, max_iter=3, random_state=0,
        reassignment_ratio=0.0, max_no_improvement=None,
    ).fit(points, sample_weight=weights)  # fmt: skip
    cluster = means.labels_
    aside = ((points - means.cluster_centers_[cluster]) ** 2).sum(axis=1)
    order = np.lexsort((aside, cluster))
    first = np.append(True, cluster[order][1:] != cluster[order][:-1])
    return np.sort(order[first])


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
