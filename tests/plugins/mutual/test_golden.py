"""Against MuSc's own code, step by step, from its own tokens (tests/golden/musc.npz)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.plugins.mutual._cells import aggregated
from clipvet.plugins.mutual._folder import Compared, score_each_other
from clipvet.plugins.mutual._options import MutualOptions
from clipvet.plugins.mutual._scores import Nearest, closest_count, mean_of_closest, rescored
from tests.plugins.mutual.conftest import Arrays, batch_of, kept_of, late

GRID, IMAGES, LAYERS = (6, 6), 12, 4
STEP = 1e-6
# Vectors are stored in half precision.
STORED = 2e-4


@pytest.fixture(scope="module")
def centred(golden: Arrays) -> Any:
    """Patch tokens minus their mean, in full precision: float32 [layers, images, N, W]."""
    patches = golden["tokens"][:, :, 1:]
    return (patches - patches.mean(axis=(2, 3), keepdims=True, dtype=np.float64)).astype(np.float32)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_neighbourhoods(golden: Arrays, centred: Any, side: int) -> None:
    ours = np.stack([aggregated(centred[layer, 1], GRID, side) for layer in range(LAYERS)], axis=1)
    np.testing.assert_allclose(ours, golden[f"aggregated_r{side}_image1"], atol=STEP)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_mutual_scores(golden: Arrays, centred: Any, side: int) -> None:
    nearest = Nearest(GRID, None)
    for layer in range(LAYERS):
        units = [aggregated(centred[layer, image], GRID, side) for image in range(IMAGES)]
        for image in range(IMAGES):
            others = [other for other in range(IMAGES) if other != image]
            distances = np.stack([nearest.one_way(units[image], units[j]) for j in others])
            ours = mean_of_closest(distances, closest_count(len(others), 0.3))
            np.testing.assert_allclose(ours, golden[f"scores_r{side}"][layer, image], atol=STEP)


def test_the_mean_over_layers_and_neighbourhoods(golden: Arrays, centred: Any) -> None:
    maps = score_each_other(
        lambda image, name: centred[int(name), image],
        {str(layer): GRID for layer in range(LAYERS)},
        Compared([bytes([image]) for image in range(IMAGES)], range(IMAGES)),
        MutualOptions(),
    )
    np.testing.assert_allclose(maps, golden["patch_scores"], atol=STEP)


@pytest.mark.parametrize("counts", [(1, 2, 3), (1, 8, 9)])
def test_rescoring(golden: Arrays, counts: tuple[int, ...]) -> None:
    largest = golden["patch_scores"].max(axis=1).astype(np.float64)
    ours = rescored(largest, golden["cls_unit"], counts)
    expected = golden["score_rscin_" + "".join(map(str, counts))]
    np.testing.assert_allclose(ours, expected, atol=STEP)


def test_the_detector(golden: Arrays, make: Any) -> None:
    """All steps in one, from the tokens with their class token; what is stored is float16."""
    features = {f"hidden_{layer + 1}": golden["tokens"][layer] for layer in range(LAYERS)}
    features["cls_embed"] = golden["cls_unit"]
    for rescoring, expected in (
        ((), golden["map_max"]),
        ((1, 2, 3), golden["score_rscin_123"]),
    ):
        detector = make(top_share=0, rescoring=rescoring)
        scores = late(detector, kept_of(detector, batch_of(features)))
        grids = np.stack([score.heatmap for score in scores if score.heatmap is not None])
        assert grids.dtype == np.float32
        np.testing.assert_allclose(grids.reshape(IMAGES, -1), golden["patch_scores"], atol=STORED)
        # Scaling to 0..1 over the set stretches what rounding does to the scores.
        scale = 1 / np.ptp(golden["map_max"]) if rescoring else 1
        values = [score.value for score in scores]
        np.testing.assert_allclose(values, expected, atol=STORED * scale)


def test_the_maximum_of_the_map_is_that_of_the_enlarged_one(golden: Arrays, make: Any) -> None:
    """MuSc takes it from 96 x 96 pixels; its corners are aligned, so that no cell is lost."""
    np.testing.assert_allclose(golden["map_images0to5"].max(axis=(1, 2)), golden["map_max"][:6])
    np.testing.assert_array_equal(golden["patch_scores"].max(axis=1), golden["map_max"])
