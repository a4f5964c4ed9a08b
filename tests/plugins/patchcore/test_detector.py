from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from clipvet.detectors import FEATURES
from clipvet.plugins.patchcore import PatchCore, PatchCoreOptions
from clipvet.plugins.patchcore._fitting import apart, spread
from clipvet.plugins.patchcore._patches import Space, average_pool, resize_grid

TWO = ("hidden_2", "trunk_16")


@pytest.fixture
def fitted(make_detector: Any, make_batch: Any) -> Any:
    def make(images: Sequence[int] = (0, 1, 2), **options: Any) -> PatchCore:
        detector: PatchCore = make_detector(**options)
        detector.fit([make_batch(images)])
        return detector

    return make


def test_options_that_contradict_themselves() -> None:
    for options in (
        {"spaces": ()},
        {"spaces": ("hidden_2", "hidden_2")},
        {"spaces": ("hidden_2+hidden_2",)},
        {"spaces": ("hidden_2+",)},
        {"spaces": ("cls_embed",)},
        {"spaces": ("win2_embed",)},
        {"spaces": ("hidden_9",)},
        {"weights": (1.0, 2.0, 3.0)},
        {"weights": (1.0, 0.0)},
        {"weights": (1.0, float("inf"))},
        {"neighbourhood": 2},
        {"neighbourhood": ()},
        {"neighbourhood": (1, 3, 1)},
        {"coreset": 0},
        {"coreset": 1.1},
        {"max_patches": 0},
        {"num_neighbours": 0},
        {"smoothing": float("nan")},
        {"smoothing": -1},
        {"nonsense": 1},
    ):
        with pytest.raises(ValidationError):
            PatchCoreOptions(**options)
    with pytest.raises(
        ValidationError, match=r"'cls_embed' is no feature of patches; known are .*hidden_1"
    ):
        PatchCoreOptions(spaces=("hidden_2+cls_embed",))


def test_one_neighbourhood_for_all_spaces_or_one_each() -> None:
    three: dict[str, Any] = {"neighbourhood": 3}
    assert PatchCoreOptions(**three) == PatchCoreOptions(neighbourhood=(3,))
    assert PatchCoreOptions(spaces=TWO, **three).sides == (3, 3)
    options = PatchCoreOptions(spaces=TWO, neighbourhood=(3, 1))
    assert options.sides == (3, 1)
    assert "neighbourhood=3, 1" in options.method(4)


def test_each_space_has_its_own_neighbourhood(fitted: Any, make_batch: Any) -> None:
    batch = make_batch([4])
    maps = [
        fitted(spaces=TWO, neighbourhood=sides).score(batch)[0][0].heatmap
        for sides in (1, 3, (3, 1))
    ]
    apart = [
        fitted(spaces=(name,), neighbourhood=side) for name, side in zip(TWO, (3, 1), strict=True)
    ]
    fine, coarse = (
        d.score(batch)[0][0].heatmap / d.memory_.banks[d.options.spaces[0]].unit for d in apart
    )
    np.testing.assert_allclose(maps[2], (fine + resize_grid(coarse, (8, 8))) / 2, rtol=1e-5)
    assert not np.allclose(maps[2], maps[0])
    assert not np.allclose(maps[2], maps[1])


def test_every_option_is_documented() -> None:
    assert all(field.description for field in PatchCoreOptions.model_fields.values())


def test_needs_follow_the_spaces() -> None:
    assert PatchCore().needs == PatchCore.needs
    detector = PatchCore(PatchCoreOptions(spaces=("hidden_1+patch_embed", "local_embed")))
    assert detector.needs == {"hidden_1", "patch_embed", "local_embed"}


@pytest.mark.parametrize("name", ["hidden_1", "vv_local_embed", "patch_embed", "trunk_8"])
def test_a_class_token_is_left_out_where_it_is_declared(name: str) -> None:
    tokens = np.arange(35, dtype=np.float32).reshape(1, 35, 1)
    if FEATURES[name].tokens == "class+grid":
        tokens = np.concatenate([np.full((1, 1, 1), -1, np.float32), tokens], axis=1)
    patches = Space(name=name, grids=((5, 7),)).patches({name: tokens}, 0)
    assert patches.ravel().tolist() == list(range(35))


def test_a_grid_is_that_of_the_bundle(make_context: Any) -> None:
    space = Space.of("hidden_2+trunk_16", make_context().bundle, 3)
    assert space.grids == ((8, 8), (4, 4))
    assert space.grid == (8, 8)


def test_average_pool_counts_zeros_beyond_the_border() -> None:
    pooled = average_pool(np.ones((3, 4, 1), np.float32), 3)[..., 0] * 9
    expected = [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]]
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


def test_resize_grid_is_linear_between_centres() -> None:
    resized = resize_grid(np.array([[0.0, 4.0]]), (1, 4))
    np.testing.assert_array_equal(resized, [[0, 1, 3, 4]])
    same = np.arange(6.0).reshape(2, 3)
    assert resize_grid(same, (2, 3)) is same


def test_two_spaces_are_summed_in_units_of_good_images(fitted: Any, make_batch: Any) -> None:
    alone = [fitted(spaces=(name,), image_score="maximum") for name in TWO]
    both = fitted(spaces=TWO, image_score="maximum")
    batch = make_batch([4])
    fine, coarse = (detector.score(batch)[0][0].heatmap for detector in alone)
    units = [both.memory_.banks[name].unit for name in TWO]
    expected = (fine / units[0] + resize_grid(coarse, (8, 8)) / units[1]) / 2
    score = both.score(batch)[0][0]
    np.testing.assert_allclose(score.heatmap, expected, rtol=1e-5)
    assert score.value == pytest.approx(expected.max(), rel=1e-5)
    weighted = fitted(spaces=TWO, image_score="maximum", weights=(3, 1)).score(batch)[0][0]
    expected = (3 * fine / units[0] + resize_grid(coarse, (8, 8)) / units[1]) / 4
    np.testing.assert_allclose(weighted.heatmap, expected, rtol=1e-5)


def test_the_scale_of_a_space_does_not_matter(
    golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    scaled = {**golden_features, "trunk_16": 1000 * golden_features["trunk_16"]}
    maps = []
    for features in (golden_features, scaled):
        detector = make_detector(spaces=TWO)
        detector.fit([make_batch([0, 1, 2], features=features)])
        maps.append(detector.score(make_batch([4], features=features))[0][0].heatmap)
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-5)


def test_reweighting_is_done_in_each_space(fitted: Any, make_batch: Any) -> None:
    batch = make_batch([5])
    peaks = [fitted(spaces=(name,)).score(batch)[0][0].value for name in TWO]
    both = fitted(spaces=TWO)
    units = [both.memory_.banks[name].unit for name in TWO]
    expected = (peaks[0] / units[0] + peaks[1] / units[1]) / 2
    assert both.score(batch)[0][0].value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_top_share_averages_the_largest_cells(fitted: Any, make_batch: Any, share: float) -> None:
    score = fitted(image_score="top_share", top_share=share).score(make_batch([4]))[0][0]
    cells = np.sort(score.heatmap, axis=None)
    count = max(1, round(share * cells.size))
    assert score.value == pytest.approx(cells[-count:].mean(), rel=1e-6)
    assert f"top_share={share:g}" in score.details["method"]


def test_smoothing_changes_the_map_and_no_score(fitted: Any, make_batch: Any) -> None:
    plain, smooth = (fitted(smoothing=s).score(make_batch([4]))[0][0] for s in (0.0, 2.0))
    assert plain.value == smooth.value
    assert smooth.heatmap.max() < plain.heatmap.max()
    assert smooth.heatmap.mean() == pytest.approx(plain.heatmap.mean(), rel=0.1)


def test_good_images_are_at_no_distance_from_themselves(fitted: Any, make_batch: Any) -> None:
    detector = fitted(coreset=1.0)
    for scores in detector.score(make_batch([0, 1, 2])):
        assert scores[0].value == 0
        assert not scores[0].heatmap.any()


def test_batch_equals_single_bit_for_bit(fitted: Any, make_batch: Any) -> None:
    for options in ({}, {"spaces": TWO, "distance": "cosine", "image_score": "top_share"}):
        detector = fitted(**options)
        order = [4, 2, 5, 0, 3, 1, 4]
        together = detector.score(make_batch(order))
        for image, scores in zip(order, together, strict=True):
            alone = detector.score(make_batch([image]))[0][0]
            assert alone.value == scores[0].value
            assert alone.heatmap.tobytes() == scores[0].heatmap.tobytes()


def test_units_are_deviations_of_distances_between_good_images(fitted: Any, golden: Any) -> None:
    patches = golden["patches"][:3].astype(np.float64)
    nearest = []
    for image in range(3):
        others = np.delete(patches, image, axis=0).reshape(-1, 32)
        gaps = np.linalg.norm(patches[image][:, None] - others, axis=-1)
        nearest.append(gaps.min(axis=1))
    bank = fitted(coreset=1.0).memory_.banks["hidden_2+trunk_16"]
    assert bank.unit == pytest.approx(np.std(nearest), rel=1e-4)


def test_the_unit_of_one_image_is_of_distances_between_its_far_parts(fitted: Any) -> None:
    far = apart((8, 4)).reshape(8, 4, 8, 4)
    assert not far[3, 2, 3, 2]
    assert far[3, 2, 4, 2]
    assert far[3, 2, 3, 1]
    wide = apart((16, 16)).reshape(16, 16, 16, 16)
    assert not wide[3, 3, 4, 4]
    assert wide[3, 3, 5, 3]
    assert fitted(images=[0], spaces=TWO).memory_.banks["hidden_2"].unit > 0


def test_equal_images_have_a_unit_of_1() -> None:
    same = np.ones((4, 3), np.float32)
    assert spread(same, same, "l2", np.ones((4, 4), bool)) == 1.0
    nothing = np.zeros((4, 4), bool)
    assert spread(same, same, "cosine", nothing) == 1.0
    copies = np.random.default_rng(0).standard_normal((40, 64)).astype(np.float32) + 9
    assert spread(copies, copies, "l2", np.ones((40, 40), bool)) == 1.0


def test_method_says_what_ran(fitted: Any, make_batch: Any) -> None:
    cases: dict[str, dict[str, Any]] = {
        "PatchCore 3-shot (spaces=hidden_2+trunk_16)": {},
        "PatchCore 3-shot (spaces=hidden_2+trunk_16; num_neighbours=3)": {"num_neighbours": 3},
        "PatchCore 3-shot (spaces=hidden_2, trunk_16; weights=1, 3; neighbourhood=1; "
        "distance=cosine; coreset=1; image_score=top_share; smoothing=1; top_share=0.01)": {
            "spaces": TWO,
            "weights": (1, 3),
            "neighbourhood": 1,
            "distance": "cosine",
            "coreset": 1.0,
            "image_score": "top_share",
            "smoothing": 1.0,
        },
    }
    for method, options in cases.items():
        details = fitted(**options).score(make_batch([0]))[0][0].details
        assert details["method"] == method
        json.dumps(dict(details))


def test_heatmap_range_follows_the_memory(make_detector: Any, fitted: Any) -> None:
    assert make_detector().heatmap_range == (0.0, 8.0)
    assert fitted(spaces=TWO).heatmap_range == (0.0, 8.0)
    detector = fitted()
    (bank,) = detector.memory_.banks.values()
    assert detector.heatmap_range == (0.0, 8 * bank.unit)


def test_it_registers_itself() -> None:
    import clipvet.plugins.patchcore as plugin

    registered: list[type] = []
    plugin.clipvet_register_detectors(registered.append)
    assert registered == [PatchCore]
    assert plugin.__all__ == sorted(plugin.__all__)
