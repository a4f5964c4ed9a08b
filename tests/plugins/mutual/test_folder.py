"""Images that score each other: any order, any blocks, and whatever is in the folder."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipvet.detectors import DetectorError
from clipvet.plugins.mutual._cells import aggregated, centred, enlarged, grid_of, local_vectors
from clipvet.plugins.mutual._folder import Compared, merged_map, score_each_other
from clipvet.plugins.mutual._modes import mostly_high
from clipvet.plugins.mutual._options import MutualOptions
from clipvet.plugins.mutual._scores import Nearest, closest_count, mean_of_closest, rescored
from tests.plugins.mutual.conftest import batch_of, grid, kept_of, late, sentences

NAMES = [f"hidden_{depth}" for depth in (1, 2, 3, 4)]


def tokens(count: int, seed: int = 0, noise: float = 0.5) -> dict[str, Any]:
    """Features of images that resemble each other, cell by cell."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in NAMES:
        common = rng.standard_normal((1, 37, 8))
        own = common + noise * rng.standard_normal((count, 37, 8))
        found[name] = own.astype(np.float32)
    found["cls_embed"] = rng.standard_normal((count, 16)).astype(np.float32)
    return found


def bits(scores: Any) -> list[tuple[float, bytes]]:
    return [(one.value, one.heatmap.tobytes()) for one in scores]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 100), st.sampled_from([(), (1, 2, 3)]), st.permutations(range(9)))
def test_the_order_of_the_images_changes_no_bit(
    make: Any, seed: int, rescoring: tuple[int, ...], order: list[int]
) -> None:
    detector = make(depths=(3,), neighbourhoods=(1, 3), rescoring=rescoring)
    store = kept_of(detector, batch_of(tokens(9, seed)))
    plain = bits(late(detector, store))
    assert bits(late(detector, [store[i] for i in order])) == [plain[i] for i in order]


def test_blocks_change_nothing_but_rounding() -> None:
    features = tokens(11)
    vectors = {name: [centred(one[1:]) for one in features[name]] for name in NAMES}
    compared = Compared([bytes([n]) for n in range(11)], range(11))
    whole, blocks = (
        score_each_other(
            lambda image, name: vectors[name][image],
            dict.fromkeys(NAMES, (6, 6)),
            compared,
            MutualOptions(),
            memory=memory,
        )
        for memory in (1 << 30, 3 * 4 * 36 * (11 + 8))
    )
    np.testing.assert_allclose(blocks, whole, atol=1e-6)


def test_memory_does_not_follow_the_square_of_the_images() -> None:
    cells, width, images = 64, 4, 400
    rng = np.random.default_rng(0)
    stored = rng.standard_normal((images, cells, width)).astype(np.float16)
    compared = Compared([n.to_bytes(2, "big") for n in range(images)], range(images))
    budget = 4 << 20  # all distances at once would take 41 MB
    tracemalloc.start()
    try:
        score_each_other(
            lambda image, _name: stored[image],
            {"a": (8, 8)},
            compared,
            MutualOptions(neighbourhoods=(1,)),
            memory=budget,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * budget


def test_an_odd_image_and_its_odd_cell_stand_out(make: Any) -> None:
    features = tokens(12)
    for name in NAMES:
        features[name][7, 1 + 14] = -3 * features[name][0, 1 + 14]
    detector = make(neighbourhoods=(1,))
    scores = late(detector, kept_of(detector, batch_of(features)))
    assert max(range(12), key=lambda i: scores[i].value) == 7
    assert int(np.argmax(grid(scores[7]))) == 14
    low, high = detector.heatmap_range
    assert low < high == pytest.approx(grid(scores[7]).max())


def test_a_copy_does_not_explain_its_original(make: Any) -> None:
    features = tokens(9)
    detector = make(depths=(2,))
    alone = late(detector, kept_of(detector, batch_of(features)))
    store = kept_of(detector, batch_of(features))
    twice = late(detector, [*store, dict(store[4])])
    assert bits([twice[4], twice[9]]) == bits([alone[4], alone[4]])
    assert twice[4].details["compared"] == 8
    assert twice[0].details["compared"] == 9


def test_tiles_of_one_picture_are_not_compared(make: Any) -> None:
    features = tokens(10)
    detector = make(depths=(2,))
    single = kept_of(detector, batch_of(features))
    pairs = [
        {key: [single[2 * n][key], single[2 * n + 1][key]] for key in single[0]} for n in range(5)
    ]
    found = {one.place: one.views for one in detector.finish(pairs) if not isinstance(one, str)}
    assert [len(found[place]) for place in range(5)] == [2] * 5
    assert found[0][0].details["compared"] == 8
    assert found[0][0].details["method"].startswith("MuSc folder, 8 images")


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_images_are_not_scored_and_say_so(make: Any, count: int) -> None:
    detector = make(depths=(2,))
    store = kept_of(detector, batch_of(tokens(5), range(count)))
    said = list(detector.finish(store))
    if not count:
        assert said == []
        return
    (sentence,) = said
    assert sentence == (
        "mutual: not scored: an image takes at least 4 others to compare with, and here one has "
        f"{count - 1}: give more images"
    )


def test_copies_are_no_others(make: Any) -> None:
    detector = make(depths=(2,))
    store = kept_of(detector, batch_of(tokens(5), range(2)))
    (sentence,) = detector.finish([*store, *store, *store])
    assert "here one has 3: give more images" in sentence


def test_what_blinds_it_is_said(make: Any) -> None:
    detector = make(depths=(2,), neighbourhoods=(1,))
    store = kept_of(detector, batch_of(tokens(30)))
    (blind,) = sentences(detector, store)
    assert blind == (
        "mutual compared 30 images with each other: a defect that most of them share looks normal "
        "to it"
    )
    # 18 images, each broken in its own way, and 12 that are all alike.
    features = tokens(30, noise=0.1)
    rng = np.random.default_rng(1)
    features["hidden_2"][:18] = rng.standard_normal((18, 37, 8))
    said = sentences(detector, kept_of(detector, batch_of(features)))
    assert len(said) == 2
    assert "two groups, and the larger one scores higher" in said[1]


def test_two_groups_of_scores_are_told_from_one() -> None:
    rng = np.random.default_rng(0)
    assert not mostly_high(rng.standard_normal(100))
    assert not mostly_high(rng.uniform(size=100))
    assert not mostly_high(np.zeros(50))
    mixed = np.where(np.arange(100) < 65, 8.0, 0.0) + rng.standard_normal(100)
    assert mostly_high(mixed)
    assert not mostly_high(-mixed)  # the larger group below: most images are good
    assert not mostly_high(np.where(np.arange(20) < 13, 8.0, 0.0) + rng.standard_normal(20))


def test_grids_of_different_sides_give_a_map_on_the_finest(make: Any) -> None:
    features = tokens(8)
    rng = np.random.default_rng(3)
    features["trunk_8"] = rng.standard_normal((8, 144, 5)).astype(np.float32)
    detector = make(depths=(2,), features=("trunk_8",), neighbourhoods=(1,))
    both = late(detector, kept_of(detector, batch_of(features)))
    assert [one.heatmap.shape for one in both if one.heatmap is not None] == [(12, 12)] * 8
    assert detector.needs == {"hidden_2", "trunk_8"}
    parts = [
        late(one, kept_of(one, batch_of(features)))
        for one in (
            make(depths=(2,), neighbourhoods=(1,)),
            make(depths=(), features=("trunk_8",), neighbourhoods=(1,)),
        )
    ]
    for image in range(8):
        coarse, fine = (grid(part[image]) for part in parts)
        expected = merged_map(
            {"a": coarse.astype(float).ravel(), "b": fine.astype(float).ravel()},
            {"a": (6, 6), "b": (12, 12)},
        )
        np.testing.assert_allclose(grid(both[image]).ravel(), expected, atol=1e-6)


def test_enlarging_keeps_places() -> None:
    rows = np.repeat(np.arange(3.0), 2)
    fine = enlarged(rows, (3, 2), (6, 4)).reshape(6, 4)
    np.testing.assert_allclose(fine[:, 0], [0, 0.25, 0.75, 1.25, 1.75, 2])
    assert (fine == fine[:, :1]).all()
    assert enlarged(rows, (3, 2), (3, 2)) is rows
    assert (enlarged(np.array([2.0]), (1, 1), (3, 3)) == 2).all()


def test_features_without_cells_are_refused() -> None:
    with pytest.raises(DetectorError, match="cls_embed has no vector for each cell"):
        local_vectors("cls_embed", np.zeros(8, np.float32))
    with pytest.raises(DetectorError, match="the 7 vectors of odd fill no square grid"):
        grid_of("odd", 7, (6, 6))
    assert grid_of("patch_embed", 15, (3, 5)) == (3, 5)
    assert grid_of("win2_embed", 25, (6, 6)) == (5, 5)
    values = np.zeros((37, 8), np.float32)
    assert len(local_vectors("hidden_1", values)) == 36
    assert len(local_vectors("patch_embed", values)) == 37


def test_a_neighbourhood_is_cut_off_at_the_border() -> None:
    numbers = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    vectors = np.stack([numbers.ravel(), np.ones(12, np.float32)], axis=1)
    for side in (3, 5, 9):
        reach = side // 2
        for place, unit in enumerate(aggregated(vectors, (3, 4), side)):
            row, column = divmod(place, 4)
            near = np.s_[
                max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
            ]
            total = np.array([numbers[near].sum(), numbers[near].size])
            np.testing.assert_allclose(unit, total / np.linalg.norm(total), rtol=1e-6)
    assert not aggregated(np.zeros((12, 2), np.float32), (3, 4), 3).any()


def test_a_radius_restricts_where_a_cell_is_looked_for() -> None:
    rng = np.random.default_rng(0)
    image, other = (
        aggregated(rng.standard_normal((20, 6)).astype(np.float32), (4, 5), 1) for _ in range(2)
    )
    rows, columns = np.divmod(np.arange(20), 5)
    for radius in (0, 1, 2):
        near = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns)) <= radius
        cosines = np.where(near, image @ other.T, -1)
        nearest = Nearest((4, 5), radius)
        expected = np.sqrt(2 - 2 * cosines.max(axis=1))
        np.testing.assert_allclose(nearest.one_way(image, other), expected, atol=1e-6)
        forth, back = nearest.both_ways(image, other)
        np.testing.assert_array_equal(forth, nearest.one_way(image, other))
        np.testing.assert_allclose(back, nearest.one_way(other, image), atol=1e-6)
    free, wide = Nearest((4, 5), None), Nearest((4, 5), 4)
    np.testing.assert_array_equal(free.one_way(image, other), wide.one_way(image, other))


@pytest.mark.parametrize(
    ("images", "share", "count"),
    [(4, 0.3, 1), (11, 0.3, 3), (10, 0.3, 3), (100, 0.29, 29), (4, 1, 4)],
)
def test_a_share_of_the_others_counts(images: int, share: float, count: int) -> None:
    assert closest_count(images, share) == count
    distances = np.arange(images, dtype=np.float32)[::-1, None] * np.ones((1, 2), np.float32)
    assert mean_of_closest(distances, count).tolist() == [(count - 1) / 2] * 2


def test_rescoring_of_equal_scores_and_of_few_images() -> None:
    units = np.eye(3)
    assert not rescored(np.full(3, 0.4), units, (1, 2)).any()
    np.testing.assert_allclose(rescored(np.array([0.0, 1.0, 0.5]), units, (1, 9)), [0, 1, 0.5])
