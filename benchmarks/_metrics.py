"""Pixel metrics: AUROC and AUPRO, and the interval of a mean over draws."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

__all__ = ["PIXEL_SIDE", "aupro", "interval", "pixel_auroc", "resized_map", "resized_mask"]

PIXEL_SIDE = 192
_FALSE_POSITIVE_LIMIT = 0.3


def resized_map(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """A heatmap at ``PIXEL_SIDE`` squared, bilinear."""
    out = cv2.resize(heatmap, (PIXEL_SIDE, PIXEL_SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, np.float32)


def resized_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask at ``PIXEL_SIDE`` squared: True where a third of the pixel is covered."""
    out = cv2.resize(
        mask.astype(np.float32), (PIXEL_SIDE, PIXEL_SIDE), interpolation=cv2.INTER_AREA
    )
    return np.asarray(out > 1 / 3)


def pixel_auroc(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """AUROC over all pixels of all images [n, S, S]."""
    return float(roc_auc_score(masks.ravel(), maps.ravel()))


def aupro(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """Area under the per-region overlap, up to a false positive rate of 0.3, over that limit.

    Every connected region of every mask counts once, whatever its size (MVTec AD, Bergmann et
    al. 2021, section 6). Images without a region only count for false positives.
    """
    clear = np.sort(maps[~masks])[::-1]
    # Thresholds at evenly spaced false positive rates; the curve is linear in between.
    rates = np.linspace(0, _FALSE_POSITIVE_LIMIT, 301)
    at = np.minimum((rates * len(clear)).astype(int), len(clear) - 1)
    thresholds = clear[at]
    overlaps = []
    for heatmap, mask in zip(maps, masks, strict=True):
        count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        for region in range(1, count):
            inside = np.sort(heatmap[regions == region])
            above = len(inside) - np.searchsorted(inside, thresholds, side="right")
            overlaps.append(above / len(inside))
    curve = np.mean(overlaps, axis=0)
    return float(np.trapezoid(curve, rates) / _FALSE_POSITIVE_LIMIT)


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval over draws: 1.96 standard errors."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean, mean
    half = float(1.96 * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
