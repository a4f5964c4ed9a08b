"""The pixel metrics of benchmarks/ against plain definitions."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HERE = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


metrics = load("_metrics")
gabor = load("_gabor")


def two_regions() -> np.ndarray:
    masks = np.zeros((3, 40, 40), bool)
    masks[0, 2:6, 2:6] = True
    masks[0, 20:38, 20:38] = True
    masks[1, 10:12, 30:38] = True
    return masks


def test_a_perfect_map_has_aupro_one() -> None:
    masks = two_regions()
    assert metrics.aupro(masks.astype(np.float32), masks) == pytest.approx(1, abs=0.01)
    assert metrics.pixel_auroc(masks.astype(np.float32), masks) == 1


def test_aupro_is_the_mean_over_regions_at_each_false_positive_rate() -> None:
    masks = two_regions()
    maps = np.random.default_rng(0).random(masks.shape).astype(np.float32)
    maps[0, 20:38, 20:38] += 0.5
    clear = maps[~masks]
    rates = np.linspace(0, 0.3, 301)
    curve = []
    regions = [(0, slice(2, 6), slice(2, 6)), (0, slice(20, 38), slice(20, 38))]
    regions.append((1, slice(10, 12), slice(30, 38)))
    for rate in rates:
        threshold = np.quantile(clear, 1 - rate, method="higher")
        curve.append(np.mean([(maps[r] > threshold).mean() for r in regions]))
    expected = np.trapezoid(curve, rates) / 0.3
    assert metrics.aupro(maps, masks) == pytest.approx(expected, abs=0.01)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    masks = two_regions()[:1]
    small, large = masks.copy(), masks.copy()
    small[0, 20:, 20:] = False
    large[0, :10, :10] = False
    found = [metrics.aupro(part.astype(np.float32), masks) for part in (small, large)]
    # Half of the regions is found at rate 0; the ties lead straight to all of them at rate 1,
    # so at 0.3 there are 0.65.
    assert found == pytest.approx([0.575, 0.575])


def test_interval_is_the_mean_with_two_standard_errors() -> None:
    mean, low, high = metrics.interval(np.array([0.1, 0.2, 0.3, 0.4]))
    half = 1.96 * np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2
    assert (mean, low, high) == pytest.approx((0.25, 0.25 - half, 0.25 + half))
    assert metrics.interval(np.array([0.5])) == (0.5, 0.5, 0.5)


def test_gabor_floor_sees_a_scratch_and_not_the_reference_itself() -> None:
    rng = np.random.default_rng(1)
    good = [(120 + 10 * rng.standard_normal((90, 120, 3))).astype(np.uint8) for _ in range(3)]
    bad = good[0].copy()
    bad[40:44, 20:90] = 250
    bank = np.stack([gabor.cells(image) for image in good[:2]])
    assert bank.shape == (2, gabor.CELLS**2, 21)
    same, other, scratched = (
        gabor.largest_distance(gabor.cells(image), bank) for image in (good[0], good[2], bad)
    )
    assert same < 0.05 * other
    assert scratched > 2 * other
