"""Pictures of untrained convolutional generators: structure at all scales, and no subject.

An image model with random weights makes pictures whose statistics come close to photographs'
(Baradad et al. 2021, "Learning to See by Looking at Noise", section 3.3). Beside the dead leaves of
``clutter.py`` they are the second kind of "outside".
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["random_net_picture"]

_CHANNELS = 12
_FIRST = 4


def random_net_picture(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """One picture, float32 RGB [size, size, 3] in 0..1, of weights drawn for it alone."""
    x = rng.standard_normal((_FIRST, _FIRST, _CHANNELS), dtype=np.float32)
    side = _FIRST
    while side < size:
        side = min(2 * side, size)
        x = _block(np.asarray(cv2.resize(x, (side, side)), np.float32), rng)
    mix = rng.standard_normal((_CHANNELS, 3)).astype(np.float32)
    colour = x @ (0.5 * mix + rng.uniform(0.5, 3) * mix.mean(axis=1, keepdims=True))
    colour = (colour - colour.mean(axis=(0, 1))) / (colour.std(axis=(0, 1)) + 1e-6)
    tone = rng.uniform(0.3, 0.6, 3) + rng.uniform(0.12, 0.25) * colour
    picture: NDArray[np.float32] = np.clip(tone, 0, 1).astype(np.float32)
    return picture


def _block(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A 3x3 filter in each channel, a mix of the channels, noise, and a leaky rectifier."""
    filters = rng.standard_normal((_CHANNELS, 3, 3)).astype(np.float32)
    filters[:, 1, 1] += rng.uniform(0, 4)
    filtered = [cv2.filter2D(x[..., k], -1, filters[k]) for k in range(_CHANNELS)]
    mix = rng.standard_normal((_CHANNELS, _CHANNELS)).astype(np.float32)
    y = np.stack(filtered, axis=-1) @ mix
    y = y / (y.std(axis=(0, 1)) + 1e-6)
    # Fine noise is weak: photographs have less and less of it towards high frequencies.
    y += rng.uniform(0, 1.5) * _FIRST / len(y) * rng.standard_normal(y.shape, dtype=np.float32)
    y += rng.normal(0, 0.7, _CHANNELS).astype(np.float32)
    # Steep on one side: that is what makes edges.
    out: NDArray[np.float32] = np.where(y > 0, np.tanh(3 * y), 0.1 * y).astype(np.float32)
    return out
