"""A few vectors that cover many: greedy k-centre of a stream of patches.

Roth et al. 2022, section 3.2 and algorithm 1 (Sener and Savarese, ICLR 2018): each vector that is
added to the coreset is the one farthest from those that are in it. Distances are those of the
vectors themselves; anomalib and the authors' code compare random projections, which is faster on
a GPU and makes two fits of the same images differ.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coreset", "k_centre"]

Floats: TypeAlias = NDArray[np.float32]

# From how many vectors each that is kept is chosen, at most. With 8 of them, 10,000 images of 784
# patches with 152 numbers, of which 5,000 are kept, take 49 MB.
_SAMPLED: Final = 8


class Coreset:
    """At most ``most`` of all vectors that it is shown, and at most the share ``share``.

    A uniform sample of ``8 * most`` of them is held (Vitter 1985: every vector draws a number, the
    lowest stay), so memory does not grow with the stream. The same vectors in the same order give
    the same coreset, however they are cut into batches.

    Args:
        share: of the vectors that is kept, above 0, at most 1.
        most: how many, at most.
        seen: vectors that were shown before, of which ``kept`` are left.
        kept: float32 [k, D] of an earlier coreset.
        owners: [k], the image of each of them.

    Attributes:
        seen: how many vectors it was shown, the earlier ones among them.
    """

    def __init__(
        self,
        share: float,
        most: int,
        *,
        seen: int = 0,
        kept: Floats | None = None,
        owners: NDArray[np.integer] | None = None,
    ) -> None:
        self.share = share
        self.most = most
        self.seen = seen
        self._earlier = [] if kept is None or owners is None else [(kept, owners)]
        # Not the seed of anything else, and another one for each stream that goes on.
        self._rng = np.random.default_rng([2106, 8265, seen])
        self._held: list[tuple[Floats, NDArray[np.integer]]] = []
        self._draws: list[NDArray[np.float64]] = []

    def offer(self, vectors: Floats, owner: int) -> None:
        """Show it the vectors [n, D] of a view of one image."""
        self.seen += len(vectors)
        self._held.append((vectors, np.full(len(vectors), owner)))
        self._draws.append(self._rng.random(len(vectors)))
        if sum(map(len, self._draws)) > 2 * _SAMPLED * self.most:
            self._thin()

    def sample(self, count: int) -> tuple[Floats, NDArray[np.integer]]:
        """Draw at most ``count`` of the vectors offered: [n, D], and the image of each."""
        vectors, owners = _joined(self._held)
        chosen = np.sort(np.argsort(np.concatenate(self._draws), kind="stable")[:count])
        return vectors[chosen], owners[chosen]

    def choose(self) -> tuple[Floats, NDArray[np.integer]]:
        """The coreset [at most most, D], of the vectors shown, unchanged; and their images."""
        self._thin()
        vectors, owners = _joined(self._earlier + self._held)
        size = max(1, min(self.most, int(self.share * self.seen)))
        if size < len(vectors):
            centre = vectors.mean(axis=0, dtype=np.float64)
            start = int(((vectors - centre) ** 2).sum(axis=1).argmin())
            chosen = np.sort(k_centre(vectors, size, start=start))
            vectors, owners = vectors[chosen], owners[chosen]
        return vectors, owners

    def _thin(self) -> None:
        draws, most = np.concatenate(self._draws), _SAMPLED * self.most
        if len(draws) > most:
            stay = np.sort(np.argpartition(draws, most)[:most])
            vectors, owners = _joined(self._held)
            self._held, self._draws = [(vectors[stay], owners[stay])], [draws[stay]]


def k_centre(points: Floats, size: int, *, start: int) -> NDArray[np.intp]:
    """Choose points so that none is far from all chosen ones, greedily.

    Args:
        points: float32 [n, D].
        size: how many, 1..n.
        start: index of the first.

    Returns:
        Indices [size], in the order in which they were chosen.
    """
    centred = points - points.mean(axis=0, dtype=np.float64).astype(np.float32)
    squares = np.einsum("nd,nd->n", centred, centred)
    nearest = np.full(len(points), np.inf, np.float32)
    chosen = np.empty(size, np.intp)
    chosen[0] = start
    for place in range(1, size):
        last = chosen[place - 1]
        squared = centred @ (-2 * centred[last])
        squared += squares
        squared += squares[last]
        np.minimum(nearest, squared, out=nearest)
        nearest[last] = -np.inf  # chosen once, even among copies
        chosen[place] = nearest.argmax()
    return chosen


def _joined(
    parts: list[tuple[Floats, NDArray[np.integer]]],
) -> tuple[Floats, NDArray[np.integer]]:
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
