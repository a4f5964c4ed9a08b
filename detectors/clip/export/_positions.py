"""Fit the learned positions of the image tower to another input size, without torch.

Three conventions coexist: open_clip enlarges bicubically with antialiasing, AdaCLIP bicubically
without, AnomalyCLIP bilinearly. Kernels and borders are those of torch's ``interpolate`` with
``align_corners=False``: bilinear and plain bicubic (a = -0.75) repeat the border, the antialiased
bicubic (a = -0.5) leaves out what lies beyond and renormalises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip.export._config import ClipConfig
from clipvet.detectors.errors import UsageError

__all__ = ["PositionInterpolation", "fit_positions", "interpolate_positions"]

PositionInterpolation = Literal["bilinear", "bicubic", "bicubic-antialias"]
_KEY = "visual.positional_embedding"


def fit_positions(
    config: ClipConfig,
    state: Mapping[str, NDArray[Any]],
    image_size: int | None,
    interpolation: PositionInterpolation,
) -> tuple[ClipConfig, Mapping[str, NDArray[Any]], PositionInterpolation | Literal["native"]]:
    """Config and state for ``image_size``; unchanged and ``native`` if it is the trained one.

    Raises:
        UsageError: the size is no multiple of the patch size.
    """
    vision = config.vision
    if image_size is None or image_size == vision.image_size:
        return config, state, "native"
    if image_size % vision.patch_size or image_size <= 0:
        raise UsageError(
            f"image size {image_size} is no multiple of the patch size {vision.patch_size}"
        )
    config = config.model_copy(
        update={"vision": vision.model_copy(update={"image_size": image_size})}
    )
    positions = interpolate_positions(state[_KEY], config.vision.grid, interpolation)
    return config, {**state, _KEY: positions}, interpolation


def interpolate_positions(
    positions: NDArray[Any], grid: int, interpolation: PositionInterpolation
) -> NDArray[np.float32]:
    """Positions for a ``grid`` x ``grid`` input; the class token's row is untouched.

    Args:
        positions: [1 + n * n, W].
        grid: new number of patches along one side.
        interpolation: which convention.

    Returns:
        float32 [1 + grid * grid, W].
    """
    old = round(float(len(positions) - 1) ** 0.5)
    weights = _weights(old, grid, interpolation)
    table = positions[1:].astype(np.float64).reshape(old, old, -1)
    resized = np.einsum("yi,xj,ijw->yxw", weights, weights, table)
    flat = resized.reshape(grid * grid, -1)
    return np.concatenate([positions[:1], flat]).astype(np.float32)


def _weights(old: int, new: int, interpolation: PositionInterpolation) -> NDArray[np.float64]:
    """Row i holds the weights of the old samples in new sample i."""
    ratio = old / new
    centres = (np.arange(new) + 0.5) * ratio - 0.5
    if interpolation == "bicubic-antialias":
        # The kernel is stretched when the grid shrinks, so that every sample counts.
        stretch = max(ratio, 1.0)
        distance = np.abs(np.arange(old)[None] - centres[:, None]) / stretch
        weights = _cubic(-0.5)(distance)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    kernel, reach = (_cubic(-0.75), 2) if interpolation == "bicubic" else (_triangle, 1)
    weights = np.zeros((new, old))
    first = np.floor(centres).astype(int)
    for offset in range(1 - reach, reach + 1):
        column = np.clip(first + offset, 0, old - 1)
        np.add.at(weights, (np.arange(new), column), kernel(np.abs(centres - first - offset)))
    return weights


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - x)


def _cubic(a: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Keys' cubic convolution kernel."""

    def kernel(x: NDArray[np.float64]) -> NDArray[np.float64]:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return kernel
