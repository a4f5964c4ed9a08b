"""Pixel metrics: AUROC and AUPRO, and the interval of a mean over draws."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from clipvet.detectors import PixelCounter, pixel_metrics

__all__ = ["PIXEL_SIDE", "aupro", "interval", "pixel_auroc", "resized_map", "resized_mask"]

PIXEL_SIDE = 192


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
    """Area under the per-region overlap, as ``detect eval`` defines it."""
    counter = PixelCounter()
    for heatmap, mask in zip(maps, masks, strict=True):
        counter.add(heatmap, mask)
    return pixel_metrics(counter.table(), good=0, defect=len(maps)).aupro


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval over draws: 1.96 standard errors."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean, mean
    half = float(1.96 * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
