"""Ten statistics of the pixels, which need no model (methods/safety.md 2.6)."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["NAMES", "PixelDistance", "pixel_statistics"]

NAMES: Final = (
    "total_variation",
    "laplacian",
    "high_frequency_share",
    "spectral_slope",
    "grey_entropy",
    "png_bits",
    "saturated_share",
    "colour_correlation",
    "jpeg_residual",
    "median_residual",
)
SIDE = 224

_SATURATED = 2
# Kept small against the variance of any statistic of real images; it lets one be constant.
_RIDGE = 1e-3

Floats = NDArray[np.float64]


def pixel_statistics(pixels: NDArray[np.uint8]) -> Floats:
    """Ten numbers of a picture uint8 RGB [h, w, 3], float64 [10], in the order of ``NAMES``.

    Of the whole picture at 224 x 224 (bicubic, antialiased). Differences are of grey levels 0..1;
    shares 0..1; entropy and PNG size in bits a pixel; the slope is that of log power over log
    frequency; the correlation is the mean of the three pairs of channels.
    """
    import cv2  # like the decoder, only when it is needed: the base install lacks it

    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    levels = np.asarray(image)
    grey = levels @ (np.array([0.299, 0.587, 0.114]) / 255)
    frequency, power = _spectrum(grey)
    counts = np.array(image.convert("L").histogram()) / SIDE**2
    jpeg = _encoded(levels[..., ::-1], ".jpg", cv2.IMWRITE_JPEG_QUALITY, 50)
    after_jpeg = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1]
    ends = ((levels <= _SATURATED) | (levels >= 255 - _SATURATED)).view(np.uint8)
    return np.array(
        [
            np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean(),
            _laplacian(grey).std(),
            power[frequency > 0.25].sum() / max(power.sum(), 1e-12),
            _slope(frequency, power),
            -(counts[counts > 0] * np.log2(counts[counts > 0])).sum(),
            8 * len(_encoded(levels, ".png", cv2.IMWRITE_PNG_COMPRESSION, 1)) / SIDE**2,
            (ends[..., 0] | ends[..., 1] | ends[..., 2]).mean(),
            _correlation(levels),
            _difference(levels, after_jpeg),
            _difference(levels, np.asarray(cv2.medianBlur(levels, 3), dtype=np.uint8)),
        ]
    )


class PixelDistance:
    """Mahalanobis distance to the pixel statistics of genuine images.

    Args:
        genuine: rows [n, 10].
    """

    def __init__(self, genuine: NDArray[np.floating]) -> None:
        rows = genuine.astype(np.float64)
        self.mean, self.spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        z = (rows - self.mean) / self.spread
        covariance = z.T @ z / len(z) + _RIDGE * np.eye(len(NAMES))
        self._precision = np.linalg.inv(covariance)

    def standard(self, statistics: Floats) -> Floats:
        """Each statistic in standard deviations of genuine images."""
        z: Floats = (statistics - self.mean) / self.spread
        return z

    def __call__(self, statistics: Floats) -> float:
        """0 is the mean of genuine images; higher is worse."""
        z = self.standard(statistics)
        return float(np.sqrt(z @ self._precision @ z))


def _spectrum(grey: Floats) -> tuple[Floats, Floats]:
    """Frequencies in cycles a pixel and power, without the mean: both [n]."""
    frequency, inside = _frequencies()
    power = np.abs(np.fft.rfft2(grey - grey.mean())) ** 2
    return frequency, power[inside]


@cache
def _frequencies() -> tuple[Floats, NDArray[np.bool_]]:
    """Those of a half spectrum that are above 0 and at most 0.5, and where they are in it."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    inside = (frequency > 0) & (frequency <= 0.5)
    return frequency[inside], inside


def _slope(frequency: Floats, power: Floats) -> float:
    ring = np.round(frequency * SIDE).astype(int)
    total = np.bincount(ring, power) / np.maximum(np.bincount(ring), 1)
    x, y = np.log(np.arange(1, len(total))), np.log(total[1:] + 1e-12)
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def _laplacian(grey: Floats) -> Floats:
    inner = grey[1:-1, 1:-1]
    around: Floats = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return around


def _correlation(levels: NDArray[np.uint8]) -> float:
    # One row a channel: sums over strided columns take ten times as long.
    channels = np.ascontiguousarray(levels.reshape(-1, 3).T) / 255
    centred = channels - channels.mean(axis=1, keepdims=True)
    product = centred @ centred.T
    length = np.sqrt(np.diag(product))
    # A channel without contrast is as grey as a picture can be.
    scale = np.outer(length, length)
    pairs = np.divide(product, scale, out=np.ones_like(product), where=scale > 1e-9)
    return float(pairs[np.triu_indices(3, 1)].mean())


def _difference(levels: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference, 0..1; exact, for it is a sum of integers."""
    import cv2

    return float(np.mean(cv2.absdiff(levels, np.ascontiguousarray(other)))) / 255


def _encoded(levels: NDArray[np.uint8], suffix: str, setting: int, value: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.imencode(suffix, np.ascontiguousarray(levels), [setting, value])[1])
