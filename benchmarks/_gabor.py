"""The floor that few-shot inspection has to beat: a bank of colour and Gabor energies, no learning.

As in the README of the measuring data: 21 channels (Lab, and the energies of 18 Gabor filters) in
30 x 30 cells; the score of an image is the largest distance of one of its cells to the nearest
cell of the good references.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "cells", "largest_distance"]

CELLS = 30
_SIDE = 240
_WAVELENGTHS = (4.0, 8.0, 16.0)
_ORIENTATIONS = 6


def cells(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features [CELLS * CELLS, 21] of an RGB image [h, w, 3]."""
    image = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    channels = [lab[..., k] for k in range(3)]
    for wavelength in _WAVELENGTHS:
        for k in range(_ORIENTATIONS):
            even, odd = (
                cv2.filter2D(np.asarray(lab[..., 0]), cv2.CV_32F, _kernel(wavelength, k, phase))
                for phase in (0.0, np.pi / 2)
            )
            channels.append(np.hypot(even, odd))
    pooled = [
        cv2.resize(channel, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for channel in channels
    ]
    return np.stack(pooled, axis=-1).reshape(CELLS * CELLS, -1).astype(np.float32)


def largest_distance(query: NDArray[np.float32], references: NDArray[np.float32]) -> float:
    """Largest distance of a cell of ``query`` [N, C] to its nearest in ``references`` [R, N, C].

    Channels are brought to the unit variance that they have in the references.
    """
    flat = references.reshape(-1, references.shape[-1])
    scale = 1 / (flat.std(axis=0) + 1e-6)
    q, r = query * scale, flat * scale
    squares = (q * q).sum(1)[:, None] - 2 * q @ r.T + (r * r).sum(1)[None]
    return float(np.sqrt(np.maximum(squares.min(axis=1), 0)).max())


def _kernel(wavelength: float, orientation: int, phase: float) -> NDArray[np.float64]:
    size = int(2 * wavelength) | 1
    kernel = cv2.getGaborKernel(
        (size, size), 0.4 * wavelength, np.pi * orientation / _ORIENTATIONS, wavelength, 1.0, phase
    )
    balanced: NDArray[np.float64] = kernel - kernel.mean()
    return balanced
