"""Against zqhang/AnomalyCLIP, from its own features (tests/golden/anomalyclip.npz)."""

from __future__ import annotations

from typing import Any

import numpy as np

from clipvet.plugins.anomalyclip import Enlarger
from clipvet.plugins.anomalyclip._scores import probability

GRID, SIDE = (6, 6), 96


def test_image_score_and_map_of_the_last_layer(
    golden: Any, make_detector: Any, make_batch: Any
) -> None:
    results = make_detector().score(make_batch(range(6)))
    assert [len(scores) for scores in results] == [1] * 6
    values = np.array([scores[0].value for scores in results])
    grids = np.stack([scores[0].heatmap for scores in results])
    assert grids.dtype == np.float32
    np.testing.assert_allclose(values, golden["image_score"], atol=2e-6)
    enlarge = Enlarger(GRID, SIDE, 0)
    maps = np.stack([enlarge(grid) for grid in grids])
    np.testing.assert_allclose(maps, golden["layer_maps"][:, 2], atol=5e-6)


def test_sum_over_layers_and_gaussian(golden: Any) -> None:
    """Every layer of the reference, though a bundle gives only the last, as the paper's code."""
    layers = np.stack(
        [
            [
                probability(patches[1:], golden["text_features"], 0.07).reshape(GRID)
                for patches in images
            ]
            for images in golden["patch_features"]
        ]
    )
    plain, smooth = Enlarger(GRID, SIDE, 0), Enlarger(GRID, SIDE, 4)
    for image in range(6):
        for layer in range(3):
            np.testing.assert_allclose(
                plain(layers[layer, image]), golden["layer_maps"][image, layer], atol=5e-6
            )
        total = layers[:, image].sum(axis=0)
        np.testing.assert_allclose(plain(total), golden["map_sum"][image], atol=1e-5)
        np.testing.assert_allclose(smooth(total), golden["map_sum_gauss4"][image], atol=1e-5)


def test_heatmap_at_image_size_is_the_unsmoothed_map(
    golden: Any, make_detector: Any, make_batch: Any
) -> None:
    from clipvet.detectors import Heatmap

    grid = make_detector().score(make_batch([3]))[0][0].heatmap
    shown = Heatmap(grid=grid, box=(0, 0, SIDE, SIDE), image_size=(SIDE, SIDE)).resized()
    np.testing.assert_allclose(shown, golden["layer_maps"][3, 2], atol=5e-6)
