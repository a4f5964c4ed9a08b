"""Against anomalib 2.7.0, from its own features (tests/golden/winclip.npz)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

CLASSES = [0, 1]
MEMORY = ([0], [1])  # images 0 and 1, as two batches


def test_zero_shot(golden: Any, make_detector: Any, make_batch: Any) -> None:
    detector = make_detector(variant="anomalib")
    for row in CLASSES:
        results = detector.score(make_batch(range(6), str(golden["class_names"][row])))
        assert [len(scores) for scores in results] == [1] * 6
        values = np.array([scores[0].value for scores in results])
        grids = np.stack([scores[0].heatmap for scores in results])
        assert grids.dtype == np.float32
        np.testing.assert_allclose(values, golden["zero_shot_score"][row], atol=2e-6)
        np.testing.assert_allclose(grids, golden["zero_shot_grid"][row], atol=2e-6)


def test_few_shot(golden: Any, make_detector: Any, make_batch: Any) -> None:
    detector = make_detector(variant="anomalib")
    detector.fit(make_batch(images) for images in MEMORY)
    for row in CLASSES:
        results = detector.score(make_batch(range(6), str(golden["class_names"][row])))
        values = np.array([scores[0].value for scores in results])
        visual = np.array([scores[0].details["reference_score"] for scores in results])
        grids = np.stack([scores[0].heatmap for scores in results])
        expected_visual = golden["few_shot_grid_visual"].max(axis=(1, 2))
        expected = (golden["zero_shot_grid"][row] + golden["few_shot_grid_visual"]) / 2
        np.testing.assert_allclose(values[2:], golden["few_shot_score"][row][2:], atol=2e-6)
        np.testing.assert_allclose(visual[2:], expected_visual[2:], atol=2e-6)
        np.testing.assert_allclose(grids[2:], expected[2:], atol=2e-6)
        # The references themselves: rounding noise of either sign there, zero here.
        np.testing.assert_allclose(values[:2], golden["few_shot_score"][row][:2], atol=1e-3)
        np.testing.assert_allclose(grids[:2], expected[:2], atol=1e-3)
        assert not visual[:2].any()


def test_a_reference_is_at_no_distance_from_itself(
    golden: Any, make_detector: Any, make_batch: Any
) -> None:
    name = str(golden["class_names"][0])
    zero_shot = make_detector().score(make_batch([0], name))[0][0]
    detector = make_detector(fusion="sum")
    detector.fit([make_batch([0, 1])])
    few_shot = detector.score(make_batch([0], name))[0][0]
    assert few_shot.details["reference_score"] == 0.0
    assert few_shot.value == pytest.approx(zero_shot.value / 2, rel=1e-6)
    np.testing.assert_array_equal(few_shot.heatmap, zero_shot.heatmap)  # the added map is zero


@pytest.mark.parametrize("side", [2, 3])
def test_map_of_one_scale_is_the_reference_grid(
    golden: Any, make_detector: Any, make_batch: Any, side: int
) -> None:
    detector = make_detector(scales=(side,), image_scale=False)
    for row in CLASSES:
        results = detector.score(make_batch(range(6), str(golden["class_names"][row])))
        grids = np.stack([scores[0].heatmap for scores in results])
        np.testing.assert_allclose(grids, golden[f"harmonic_grid_scale{side}"][row], atol=2e-6)
