from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import RecipeError, unit_rows
from clipvet.plugins.winclip import WinClip, WinClipOptions
from clipvet.plugins.winclip._coreset import (
    PROJECTED,
    Coreset,
    _projected,
    rarity,
    weighted_medoids,
)
from clipvet.plugins.winclip._memory import nearest_distance

Floats = NDArray[np.float32]


def clusters(count: int, width: int, *, seed: int = 0, kinds: int = 40) -> Floats:
    """Unit vectors around a few directions, some of which are rare."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((kinds, width))
    share = 1 / np.arange(1, kinds + 1) ** 1.5
    which = rng.choice(kinds, count, p=share / share.sum())
    return unit_rows(centres[which] + 0.15 * rng.standard_normal((count, width))).astype(np.float32)


def distances(points: Floats, chosen: Floats) -> NDArray[np.float64]:
    p, c = points.astype(np.float64), chosen.astype(np.float64)
    squared = (p**2).sum(axis=1)[:, None] + (c**2).sum(axis=1) - 2 * p @ c.T
    nearest: NDArray[np.float64] = np.sqrt(squared.clip(min=0)).min(axis=1)
    return nearest


def test_rarity_is_the_distance_to_the_nearest_vector_of_another_image() -> None:
    points = np.array([[0, 0], [0, 1], [3, 0], [7, 0]], dtype=np.float32)
    assert rarity(points, np.array([0, 0, 1, 2])).tolist() == pytest.approx([3, 10**0.5, 3, 4])
    assert rarity(points, np.array([5, 5, 5, 5])).tolist() == [1, 1, 1, 1]
    many = clusters(5_000, 8)  # more than a block of rows
    owners = np.repeat(np.arange(50), 100)
    for index in (0, 2_047, 2_048, 4_999):
        others = many[owners != owners[index]]
        expected = distances(many[index : index + 1], others)[0]
        assert rarity(many, owners)[index] == pytest.approx(expected, abs=1e-3)


def test_medoids_are_in_the_middle_of_what_they_stand_for() -> None:
    rng = np.random.default_rng(3)
    middles = np.array([[0, 0], [50, 0], [0, 50], [50, 50]], dtype=np.float32)
    around = rng.standard_normal((4, 99, 2)).astype(np.float32)
    around -= around.mean(axis=1, keepdims=True)
    points = np.concatenate([middles[:, None], middles[:, None] + around], axis=1).reshape(-1, 2)
    weights = np.ones(len(points))
    weights[::100] = 50  # one that counts much is drawn first, in each cluster
    assert weighted_medoids(points, weights, 4).tolist() == [0, 100, 200, 300]


def test_what_weighs_more_gets_more_of_the_medoids() -> None:
    points = np.random.default_rng(4).random((2_000, 2)).astype(np.float32)
    left = points[:, 0] < 0.5
    alike = points[weighted_medoids(points, np.ones(2_000), 50)]
    heavy = points[weighted_medoids(points, np.where(left, 1.0, 1e-3), 50)]
    assert 15 <= (alike[:, 0] < 0.5).sum() <= 35
    assert (heavy[:, 0] < 0.5).sum() > 40


def test_copies_of_one_vector_are_no_trouble() -> None:
    coreset = Coreset(5)
    for _ in range(30):
        coreset.offer(np.ones((4, 3), dtype=np.float32))
    assert 1 <= len(coreset.vectors) <= 5


def test_without_a_size_and_below_it_every_vector_stays_as_it_is() -> None:
    vectors = clusters(300, 24)
    for coreset in (Coreset(), Coreset(300)):
        for block in np.split(vectors, 6):
            coreset.offer(block)
        assert coreset.vectors.tobytes() == vectors.tobytes()
        assert coreset.seen == 300


@pytest.mark.parametrize("width", [16, PROJECTED + 64])
def test_of_a_stream_it_keeps_better_vectors_than_the_first_that_come(width: int) -> None:
    vectors = clusters(8_000, width)
    coreset = Coreset(80)
    most = 0
    for block in np.split(vectors, 80):
        coreset.offer(block)
        most = max(most, sum(map(len, coreset._blocks)))
    kept = coreset.vectors
    assert len(kept) <= 80
    assert kept.shape[1] == width
    assert coreset.seen == 8_000
    assert most <= 2 * 16 * 80 + 100  # memory does not grow with the stream
    rows = {row.tobytes() for row in vectors}
    assert all(row.tobytes() in rows for row in kept)  # vectors shown, not means of some
    others = clusters(2_000, width, seed=7)
    drawn = vectors[np.random.default_rng(1).choice(8_000, 80, replace=False)]

    def tail(bank: Floats) -> float:
        """What decides the scores of good images: their largest distances."""
        return float(np.sort(distances(others, bank))[-100:].mean())

    assert tail(kept) < tail(drawn)


def test_an_oddity_of_one_image_does_not_crowd_out_what_recurs() -> None:
    """Greedy k-centre keeps every outlier; here they are not more than their share."""
    recurring = clusters(3_960, 16, kinds=60)
    odd = unit_rows(np.random.default_rng(2).standard_normal((40, 16))).astype(np.float32)
    vectors = np.concatenate([recurring.reshape(40, 99, 16), odd[:, None]], axis=1)
    coreset = Coreset(60)
    for image in vectors:
        coreset.offer(np.ascontiguousarray(image))
    strange = {row.tobytes() for row in odd}
    assert sum(row.tobytes() in strange for row in coreset.vectors) < 40


def test_projection_keeps_distances() -> None:
    vectors = clusters(400, 768, seed=3)
    points = _projected(vectors)
    assert points.shape == (400, PROJECTED)
    before = ((vectors[:200] - vectors[200:]) ** 2).sum(axis=1)
    ratio = ((points[:200] - points[200:]) ** 2).sum(axis=1) / before
    assert abs(ratio.mean() - 1) < 0.05
    assert ratio.std() < 1.3 * np.sqrt(2 / PROJECTED)


def test_the_same_images_in_the_same_order_give_the_same_bytes() -> None:
    images = np.split(clusters(1_600, 160), 40)

    def kept(order: list[int]) -> bytes:
        coreset = Coreset(60)
        for index in order:
            coreset.offer(images[index])
        return coreset.vectors.tobytes()

    order = list(range(40))
    assert kept(order) == kept(order)
    assert kept(order) != kept(order[::-1])  # as documented; a fit orders by content


def test_batches_do_not_matter_and_the_method_tells_the_size(
    make_detector: Any, make_batch: Any, make_context: Any, tmp_path: Path
) -> None:
    one, other = (make_detector(coreset=20) for _ in range(2))
    one.fit([make_batch(range(6))])
    other.fit([make_batch([0]), make_batch([1, 2, 3]), make_batch([4, 5])])
    for name, bank in one.memory_.banks.items():
        assert 15 <= bank.shape[0] <= 20
        assert bank.tobytes() == other.memory_.banks[name].tobytes()
    one.save(tmp_path)
    loaded = WinClip(WinClipOptions(coreset=20))
    loaded.load(tmp_path)
    loaded.prepare(make_context())
    assert loaded.memory_ is not None
    assert loaded.memory_.artefact.facts["coreset"] == {
        "size": 20,
        "seen": {"patch": 6 * 36, "win2": 6 * 25, "win3": 6 * 16},
    }
    batch = make_batch(range(6), "carpet")
    for ours, theirs in zip(loaded.score(batch), one.score(batch), strict=True):
        assert ours[0].value == theirs[0].value
        assert ours[0].details["method"] == "WinCLIP+ 6-shot (coreset=20)"
    plain = WinClip()
    plain.load(tmp_path)
    with pytest.raises(RecipeError, match=r"winclip.coreset=20, the options say 0"):
        plain.prepare(make_context())


def test_distances_to_a_coreset_are_not_below_those_to_all() -> None:
    vectors, queries = clusters(3_000, 32), clusters(50, 32, seed=8)
    coreset = Coreset(100)
    coreset.offer(vectors)
    whole = nearest_distance(queries, vectors)
    part = nearest_distance(queries, coreset.vectors)
    assert (part >= whole).all()
    # |a - c| <= |a - b| + |b - c|, and half of one minus a cosine is a quarter of |a - b|^2
    bound = (np.sqrt(4 * whole) + distances(vectors, coreset.vectors).max()) ** 2 / 4
    assert (part <= bound + 1e-6).all()


def test_zero_keeps_the_artefact_as_it_was(
    make_detector: Any, make_batch: Any, tmp_path: Path
) -> None:
    detector = make_detector()
    detector.fit([make_batch([0, 1])])
    assert set(detector.memory_.artefact.facts) == {"patch_tokens", "shots"}
    scored = detector.score(make_batch([2], "carpet"))[0][0]
    assert scored.details["method"] == "WinCLIP+ 2-shot"
