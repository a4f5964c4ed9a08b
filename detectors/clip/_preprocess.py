"""From uint8 views to the network's input, as the bundle's manifest says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors.clip._manifest import Preprocessing

__all__ = ["preprocess", "square", "squares"]

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def preprocess(views: Sequence[NDArray[np.uint8]], settings: Preprocessing) -> NDArray[np.float32]:
    """Resize with Pillow's antialiased filter, scale to 0..1, normalise per channel.

    Args:
        views: uint8 RGB [h, w, 3], any sizes.
        settings: from the bundle's manifest.

    Returns:
        float32 [V, 3, size, size].
    """
    pixels = squares(views, settings)
    out = np.empty((len(pixels), 3, *pixels.shape[1:3]), dtype=np.float32)
    steps = np.arange(256, dtype=np.float32) / np.float32(255)
    for channel, (mean, std) in enumerate(zip(settings.mean, settings.std, strict=True)):
        # (u8 / 255 - mean) / std, as torchvision orders it, once for each of the 256 values.
        normalised = (steps - np.float32(mean)) / np.float32(std)
        out[:, channel] = normalised[pixels[..., channel]]
    return out


def squares(
    views: Sequence[NDArray[np.uint8]],
    settings: Preprocessing,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Resize alone, for a graph that normalises by itself: uint8 [V, size, size, 3], or ``out``."""
    if out is None:
        out = np.empty((len(views), settings.size, settings.size, 3), dtype=np.uint8)
    for place, view in zip(out, views, strict=True):
        place[...] = square(view, settings)
    return out


def square(view: NDArray[np.uint8], settings: Preprocessing) -> NDArray[np.uint8]:
    """Resize one view: uint8 [size, size, 3]. A square of that size stays as it is."""
    size = settings.size
    height, width = view.shape[:2]
    if settings.resize == "squash":
        return _resized(view, size, size, settings)
    if settings.resize == "shortest":
        # torchvision: the long side is cut to an integer, then the centre is rounded half-even.
        short = min(height, width)
        resized = _resized(view, int(size * width / short), int(size * height / short), settings)
        top = round((resized.shape[0] - size) / 2.0)
        left = round((resized.shape[1] - size) / 2.0)
        return resized[top : top + size, left : left + size]
    # open_clip's ResizeKeepRatio, longest = 1: both sides by the same factor, rest filled with 0.
    ratio = max(height, width) / size
    resized = _resized(view, round(width / ratio), round(height / ratio), settings)
    out = np.zeros((size, size, 3), dtype=np.uint8)
    top, left = (size - resized.shape[0]) // 2, (size - resized.shape[1]) // 2
    out[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return out


def _resized(
    view: NDArray[np.uint8], width: int, height: int, settings: Preprocessing
) -> NDArray[np.uint8]:
    if view.shape[:2] == (height, width):
        return view
    image = Image.fromarray(np.ascontiguousarray(view))
    return np.asarray(
        image.resize((max(width, 1), max(height, 1)), _FILTERS[settings.interpolation])
    )
