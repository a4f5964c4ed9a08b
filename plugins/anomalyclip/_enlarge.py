"""The reference's full-size map from the patch grid: bilinear enlargement, then a Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Enlarger"]

# scipy's default, which the reference uses: the kernel ends at 4 sigma.
_TRUNCATE = 4.0


class Enlarger:
    """Enlarges grids of one shape to a square map and smooths it.

    Bilinear as torch's ``interpolate`` with ``align_corners=False``, then
    ``scipy.ndimage.gaussian_filter`` with its defaults (borders reflected, cut at 4 sigma). Both
    are linear and separable, so they are one matrix for each axis.

    Args:
        grid: rows and columns of the patch grid.
        side: of the map in pixels; the reference takes the network's input size.
        sigma: of the Gaussian in pixels; 0 leaves it out. AnomalyCLIP takes 4, SDP 8.
    """

    def __init__(self, grid: tuple[int, int], side: int, sigma: float) -> None:
        blur = _gaussian(side, sigma)
        self._rows, self._columns = (blur @ _bilinear(count, side) for count in grid)

    def __call__(self, grid: NDArray[np.floating]) -> NDArray[np.float64]:
        """The map [side, side] of a grid [rows, columns]."""
        # Not by BLAS, whose products may round differently each time.
        tall = np.einsum("ir,rc->ic", self._rows, grid.astype(np.float64))
        out: NDArray[np.float64] = np.einsum("ic,jc->ij", tall, self._columns)
        return out


def _bilinear(count: int, side: int) -> NDArray[np.float64]:
    """Row i holds the weights of the ``count`` cells in pixel i; half-pixel centres."""
    centres = np.clip((np.arange(side) + 0.5) * count / side - 0.5, 0, count - 1)
    return np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(count)))


def _gaussian(side: int, sigma: float) -> NDArray[np.float64]:
    """Row i holds the weights of all pixels in smoothed pixel i."""
    if sigma == 0:
        return np.eye(side)
    radius = int(_TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    # Beyond the border the picture is mirrored, its edge pixels doubled.
    place = (np.arange(side)[:, None] + offsets) % (2 * side)
    place = np.minimum(place, 2 * side - 1 - place)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], place), kernel)
    return matrix
