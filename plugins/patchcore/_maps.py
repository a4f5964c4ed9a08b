"""Maps of distances: those of several spaces made one, smoothed, and the weight of its peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.patchcore._patches import resize_grid
from clipvet.plugins.patchcore._search import VectorBank

__all__ = ["fuse", "reweighted", "smooth"]

Floats = NDArray[np.float64]


def fuse(maps: Sequence[Floats], factors: Sequence[float]) -> Floats:
    """Add maps on the finest grid among them.

    Args:
        maps: [rows, columns] each, of any grids.
        factors: of each map.
    """
    grid = max(each.shape for each in maps)
    total = np.zeros(grid)
    for each, factor in zip(maps, factors, strict=True):
        total += factor * resize_grid(each, grid)
    return total


def smooth(values: Floats, sigma: float) -> Floats:
    """Filter a map with a Gaussian of ``sigma`` cells; 0 leaves it as it is.

    Cut off at 4 sigma and mirrored at the border, as anomalib 2.7.0 does with the enlarged map.
    """
    if sigma == 0:
        return values
    from scipy.ndimage import gaussian_filter

    smoothed: Floats = gaussian_filter(values, sigma, mode="mirror", truncate=4.0)
    return smoothed


def reweighted(
    patches: NDArray[np.float32],
    distances: Floats,
    nearest: NDArray[np.intp],
    bank: VectorBank,
    neighbours: int,
) -> float:
    """Weigh the largest distance by how far its patch is from what surrounds the nearest vector.

    Roth et al. 2022, equations 6 and 7, as in anomalib 2.7.0: with m the patch farthest from the
    memory, m* its nearest vector and N the ``neighbours`` vectors nearest to m*, m* among them,
    the score is (1 - exp d(m, m*) / sum over n in N of exp d(m, n)) d(m, m*).

    Args:
        patches: [n, D] of a view.
        distances: [n], from each patch to the memory.
        nearest: [n], to which row of the memory.
        bank: the memory.
        neighbours: 1 gives the largest distance itself.
    """
    worst = int(distances.argmax())
    largest = float(distances[worst])
    if neighbours == 1:
        return largest
    support = bank.neighbours(int(nearest[worst]), neighbours)
    away = bank.distances(patches[worst], support)
    shares = np.exp(away - away.max())
    return float((1 - shares[0] / shares.sum()) * largest)
