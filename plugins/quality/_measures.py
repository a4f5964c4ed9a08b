"""Eight numbers of a picture that say whether the camera works; no model, no other picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.quality._options import CHECKS, Check

__all__ = ["measure", "shrunk"]

LONGEST = 800
"""Pixels a side at most of what all measures but ``lines`` look at."""

_BLACK, _WHITE, _CLIPPED = 1, 99, 254
# Blur: sigma of the second blur; share of pixels that may be edges; grey levels a pixel that an
# edge climbs at least; edge pixels that make a measure; the most that can be told from endless.
_REBLUR, _EDGES, _FAINTEST, _FEWEST, _BLUREST = 2.0, 0.02, 2.0, 16, 32.0
# Lines: samples along each; share of a line that may look like its neighbours.
_SAMPLES, _SPARED = 256, 0.1

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


def measure(pixels: Pixels, small: Pixels) -> Floats:
    """The measures, float64 [8] in the order of ``CHECKS``; docs/detectors/quality.md defines them.

    Args:
        pixels: uint8 RGB [h, w, 3].
        small: the same, :func:`shrunk`.

    Returns:
        Higher is worse, but for ``exposure`` and ``colour``, which have a usual value. ``blurry``
        is NaN for a picture without edges.
    """
    import cv2  # like the decoder, only when it is needed: the base install lacks it

    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    counts = np.bincount(luma.ravel(), minlength=256) / luma.size
    black, white = (int(np.searchsorted(counts.cumsum(), p / 100)) for p in (_BLACK, _WHITE))
    red, green, blue = cv2.split(small)
    high, low = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    found: dict[Check, float] = {
        "dark": 8 - math.log2(white + 1),
        "exposure": math.log2(float(counts @ np.arange(256)) + 1),
        "clipped": 100 * np.count_nonzero(high >= _CLIPPED) / high.size,
        "low_contrast": math.log2((white + 1) / (white - black + 1)),
        "low_information": 8 + float((counts[counts > 0] * np.log2(counts[counts > 0])).sum()),
        "blurry": _blur(luma),
        "lines": max(_oddest_line(pixels), _oddest_line(pixels.swapaxes(0, 1))),
        "colour": cv2.mean(high)[0] - cv2.mean(low)[0],
    }
    return np.array([found[check] for check in CHECKS])


def shrunk(pixels: Pixels) -> Pixels:
    """The mean of blocks of k x k pixels, k so that no side is longer than ``LONGEST``.

    Fewer than k rows and columns at the end are left out.
    """
    import cv2

    height, width = pixels.shape[:2]
    k = min(-(-max(height, width) // LONGEST), height, width)
    if k == 1:
        return np.ascontiguousarray(pixels)
    rows, columns = height // k, width // k
    blocks = pixels[: rows * k, : columns * k]
    return np.asarray(cv2.resize(blocks, (columns, rows), interpolation=cv2.INTER_AREA))


def _blur(luma: Pixels) -> float:
    """Standard deviation of the blur of the strongest edges, pixels (Zhuo and Sim 2011, eq. 5).

    An edge's gradient falls by R when it is blurred once more with s: it had s / sqrt(R^2 - 1).
    Neither contrast nor how much of the picture is plain has a part in it.
    """
    import cv2

    if min(luma.shape) < 8:
        return math.nan
    sharp = luma.astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), _REBLUR), np.float32)
    strength = cv2.magnitude(*(cv2.Sobel(soft, cv2.CV_32F, d, 1 - d, scale=1 / 8) for d in (1, 0)))
    sample = strength[::3, ::3].ravel()
    place = int(len(sample) * (1 - _EDGES))
    least = max(float(np.partition(sample, place)[place]), _FAINTEST)
    strength[[0, -1]] = strength[:, [0, -1]] = 0
    rows, columns = np.divmod(np.flatnonzero(strength >= least), strength.shape[1])
    x, y = _gradient(soft, rows, columns)
    # Where the edge is steepest: no neighbour across it climbs more.
    across = np.abs(x) > np.abs(y)
    down, right = (~across).astype(int), across.astype(int)
    here = strength[rows, columns]
    ridge = (here >= strength[rows - down, columns - right]) & (
        here >= strength[rows + down, columns + right]
    )
    if np.count_nonzero(ridge) < _FEWEST:
        return math.nan
    x, y, rows, columns = x[ridge], y[ridge], rows[ridge], columns[ridge]
    # Along the direction of the soft edge, so that noise averages out.
    sharp_x, sharp_y = _gradient(sharp, rows, columns)
    length = np.hypot(x, y) + 1e-9
    ratio = float(((sharp_x * x + sharp_y * y) / length).sum() / length.sum())
    return min(_REBLUR / math.sqrt(max(ratio * ratio - 1, 1e-9)), _BLUREST)


def _gradient(
    picture: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Sobel's gradient at some inner pixels, grey levels a pixel."""
    x, y = np.zeros(len(rows)), np.zeros(len(rows))
    for step, weight in ((-1, 0.125), (0, 0.25), (1, 0.125)):
        x += weight * (picture[rows + step, columns + 1] - picture[rows + step, columns - 1])
        y += weight * (picture[rows + 1, columns + step] - picture[rows - 1, columns + step])
    return x, y


def _oddest_line(lines: Pixels) -> float:
    """How far the oddest line of [n, length, 3] is from its neighbours, over the usual line.

    A dead or foreign line differs on nearly all of its length, an edge of the part on some of it.
    """
    if len(lines) < 3:
        return 0.0
    green = lines[:, :: -(-lines.shape[1] // _SAMPLES), 1].astype(np.int16)
    away = np.abs(2 * green[1:-1] - green[:-2] - green[2:])
    place = int(_SPARED * away.shape[1])
    odd = np.partition(away, place, axis=1)[:, place] / 2
    return float(odd.max() / max(float(np.median(odd)), 1.0))
