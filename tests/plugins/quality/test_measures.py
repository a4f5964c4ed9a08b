from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from clipvet.plugins.quality._measures import LONGEST, measure, shrunk
from clipvet.plugins.quality._options import CHECKS

Pixels = np.ndarray[Any, Any]


def of(pixels: Pixels) -> dict[str, float]:
    return dict(zip(CHECKS, measure(pixels, shrunk(pixels)).tolist(), strict=True))


def discs(side: int, *, blur: float = 0, noise: float = 0) -> Pixels:
    """Discs of several greys on a plain ground; the same scene at any size."""
    y, x = (np.indices((side, side)) + 0.5) / side
    scene = np.full((side, side), 60.0)
    for number, (cx, cy, radius) in enumerate(
        [(0.3, 0.3, 0.2), (0.7, 0.6, 0.25), (0.25, 0.8, 0.1)]
    ):
        scene[np.hypot(x - cx, y - cy) < radius] = 120 + 50 * number
    grey = Image.fromarray(scene.astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
    rng = np.random.default_rng(0)
    noisy = np.asarray(grey) + noise * rng.standard_normal((side, side))
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_of_a_flat_picture() -> None:
    found = of(np.full((60, 90, 3), 127, np.uint8))
    assert found["dark"] == 1
    assert found["exposure"] == pytest.approx(7)
    assert found["low_contrast"] == pytest.approx(7)
    assert found["low_information"] == 8
    assert found["clipped"] == found["lines"] == found["colour"] == 0
    assert np.isnan(found["blurry"])  # no edge says how sharp it is: not a blurred picture


def test_light_is_counted_in_stops_and_moves_no_other_measure() -> None:
    bright, dim = of(discs(300)), of(discs(300) // 4)
    assert dim["dark"] - bright["dark"] == pytest.approx(2, abs=0.05)
    assert bright["exposure"] - dim["exposure"] == pytest.approx(2, abs=0.1)
    assert dim["low_contrast"] == pytest.approx(bright["low_contrast"], abs=0.05)
    assert dim["blurry"] == pytest.approx(bright["blurry"], rel=0.05)


def test_shares_and_levels() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:25] = (10, 255, 40)
    found = of(pixels)
    assert found["clipped"] == 25
    assert found["colour"] == pytest.approx(0.25 * 245)
    entropy = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert found["low_information"] == pytest.approx(8 - entropy)


@pytest.mark.parametrize("sigma", [1.5, 3, 6])
@pytest.mark.parametrize("noise", [0, 3])
def test_blur_is_the_sigma_of_the_edges_with_or_without_noise(sigma: float, noise: float) -> None:
    found = of(discs(500, blur=sigma, noise=noise))["blurry"]
    assert found == pytest.approx(np.hypot(sigma, of(discs(500))["blurry"]), rel=0.15)


def test_neither_a_plain_nor_a_large_picture_is_blurred() -> None:
    """cleanvision #120: variance of the Laplacian calls both blurred."""
    sharp = discs(400)
    plain = np.full((400, 400, 3), 60, np.uint8)
    plain[:60, :60] = sharp[100:160, 80:140]
    large = discs(LONGEST * 2)
    usual = of(sharp)["blurry"]
    assert of(plain)["blurry"] == pytest.approx(usual, abs=0.15)
    assert of(large)["blurry"] == pytest.approx(usual, abs=0.15)
    assert of(discs(400, blur=2))["blurry"] > 2 * usual


def test_blur_is_measured_at_the_size_that_is_looked_at() -> None:
    assert shrunk(discs(LONGEST * 2)).shape == (LONGEST, LONGEST, 3)
    assert shrunk(np.zeros((LONGEST + 1, 7, 3), np.uint8)).shape == (LONGEST // 2, 3, 3)
    found = of(discs(LONGEST * 2, blur=6))["blurry"]
    assert found == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("value", [0, 255])
def test_a_dropped_line_stands_out_and_edges_do_not(rows: int, turned: bool, value: int) -> None:
    good = discs(300, noise=3)
    good[:140] //= 2  # a straight edge over three quarters of the width
    good[:140, :75] *= 2
    torn = good.copy()
    torn[70 : 70 + rows] = value
    if turned:
        good, torn = good.swapaxes(0, 1), torn.swapaxes(0, 1)
    assert of(good)["lines"] < 4
    assert of(torn)["lines"] > 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (2, 3), (7, 9), (3000, 2)])
def test_slivers_have_numbers(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    found = of(rng.integers(0, 256, (*shape, 3)).astype(np.uint8))
    assert all(np.isfinite(value) for name, value in found.items() if name != "blurry")
