"""Against anomalib 2.7.0 on the same features (tests/golden/make_patchcore.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.plugins.patchcore._coreset import k_centre
from clipvet.plugins.patchcore._patches import Space
from clipvet.plugins.patchcore._search import VectorBank

LEARNED = ([0, 1], [2], [3])


def learned_patches(golden: Any) -> np.ndarray:
    patches: np.ndarray = golden["patches"][:4].reshape(256, 32)
    return patches


@pytest.fixture
def fitted(make_detector: Any, make_batch: Any) -> Any:
    def make(**options: Any) -> Any:
        detector = make_detector(**options)
        detector.fit(make_batch(images) for images in LEARNED)
        return detector

    return make


def test_patches(golden: Any, golden_features: Any) -> None:
    space = Space(name="hidden_2+trunk_16", grids=((8, 8), (4, 4)), neighbourhood=3)
    assert space.grid == (8, 8)
    for image in range(6):
        patches = space.patches(golden_features, image)
        assert patches.dtype == np.float32
        np.testing.assert_allclose(patches, golden["patches"][image], atol=1e-6)


def test_coreset(golden: Any) -> None:
    patches, expected = learned_patches(golden), golden["coreset"]
    chosen = k_centre(patches, len(expected), start=int(expected[0]))
    np.testing.assert_array_equal(chosen, expected)  # in the same order, too


def test_distances(golden: Any) -> None:
    bank = VectorBank(learned_patches(golden)[golden["coreset"]], "l2")
    distances, nearest = bank.nearest(golden["patches"].reshape(384, 32))
    np.testing.assert_allclose(distances, golden["distances"].ravel(), atol=1e-6)
    np.testing.assert_array_equal(nearest, golden["locations"].ravel())


@pytest.mark.parametrize("neighbours", [1, 3, 9, 100])
def test_from_features_to_scores(
    golden: Any, fitted: Any, make_batch: Any, neighbours: int
) -> None:
    detector = fitted(num_neighbours=neighbours)
    results = [scores[0] for scores in detector.score(make_batch(range(6)))]
    expected = golden[f"score_{neighbours}"]
    np.testing.assert_allclose([score.value for score in results], expected, atol=1e-6)
    grids = np.stack([score.heatmap for score in results])
    np.testing.assert_allclose(grids, golden["distances"], atol=1e-6)
    vectors = detector.memory_.banks["hidden_2+trunk_16"].vectors
    kept = learned_patches(golden)[np.sort(golden["coreset"])]
    np.testing.assert_allclose(vectors, kept, atol=1e-6)


def test_largest_distance(golden: Any, fitted: Any, make_batch: Any) -> None:
    results = fitted(image_score="maximum").score(make_batch(range(6)))
    expected = golden["distances"].max(axis=(1, 2))
    np.testing.assert_allclose([scores[0].value for scores in results], expected, atol=1e-6)


def test_smoothed_map(golden: Any, fitted: Any, make_batch: Any) -> None:
    results = fitted(smoothing=1.0).score(make_batch(range(6)))
    grids = np.stack([scores[0].heatmap for scores in results])
    np.testing.assert_allclose(grids, golden["smoothed"], atol=1e-6)
    np.testing.assert_allclose([s[0].value for s in results], golden["score_9"], atol=1e-6)
