from __future__ import annotations

from typing import Any

import numpy as np

from clipvet.plugins.fooling._pixels import NAMES, PixelDistance, pixel_statistics


def of(pixels: np.ndarray[Any, Any]) -> dict[str, float]:
    return dict(zip(NAMES, pixel_statistics(pixels), strict=True))


def test_of_a_flat_picture() -> None:
    found = of(np.full((50, 70, 3), 100, np.uint8))
    assert found["total_variation"] == found["laplacian"] == found["median_residual"] == 0
    assert found["grey_entropy"] == found["saturated_share"] == 0
    assert found["colour_correlation"] == 1
    assert all(np.isfinite(value) for value in found.values())


def test_of_noise() -> None:
    rng = np.random.default_rng(0)
    found = of(rng.integers(0, 256, (224, 224, 3)).astype(np.uint8))
    assert abs(found["spectral_slope"]) < 0.1
    assert abs(found["colour_correlation"]) < 0.02
    # Of the disc of frequencies up to one half, three quarters lie beyond a quarter.
    assert abs(found["high_frequency_share"] - 0.75) < 0.02
    # 6 of 256 levels are at the ends, in any of three channels.
    assert abs(found["saturated_share"] - (1 - (250 / 256) ** 3)) < 0.01
    assert found["png_bits"] > 23


def test_a_ramp_has_the_variation_it_climbs() -> None:
    ramp = np.repeat(np.linspace(0, 255, 224).round()[None, :, None], 224, axis=0)
    found = of(np.repeat(ramp, 3, axis=2).astype(np.uint8))
    assert abs(found["total_variation"] - 1 / 223) < 1e-6


def test_noise_is_far_from_natural_pictures_and_they_are_not(natural: Any) -> None:
    distance = PixelDistance(np.stack([pixel_statistics(natural(i)) for i in range(60)]))
    held_out = [distance(pixel_statistics(natural(i))) for i in range(60, 90)]
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    assert distance(pixel_statistics(noise)) > 5 * max(held_out)
