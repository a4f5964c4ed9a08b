from __future__ import annotations

import numpy as np
import pytest

from clipvet.plugins.patchcore._coreset import _SAMPLED, Coreset, k_centre


def points(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 6)).astype(np.float32)


def covering(all_points: np.ndarray, chosen: np.ndarray) -> float:
    """Largest distance of a point to the nearest chosen one."""
    gaps = np.linalg.norm(all_points[:, None] - chosen, axis=-1)
    return float(gaps.min(axis=1).max())


def test_each_is_the_farthest_from_those_before() -> None:
    rows = points(300)
    chosen = k_centre(rows, 40, start=7)
    assert chosen[0] == 7
    for place in range(1, 40):
        gaps = np.linalg.norm(rows[:, None] - rows[chosen[:place]], axis=-1).min(axis=1)
        assert gaps[chosen[place]] == pytest.approx(gaps.max(), rel=1e-5)


def test_each_is_chosen_once_even_among_copies() -> None:
    rows = np.repeat(points(3), 10, axis=0)
    assert sorted(k_centre(rows, 30, start=0)) == list(range(30))
    assert len(np.unique(rows[k_centre(rows, 3, start=0)], axis=0)) == 3


def offered(coreset: Coreset, rows: np.ndarray, per_image: int) -> Coreset:
    for start in range(0, len(rows), per_image):
        coreset.offer(rows[start : start + per_image], start // per_image)
    return coreset


def test_a_share_is_kept_and_covers_the_rest() -> None:
    rows = points(1000)
    vectors, owners = offered(Coreset(0.1, 10_000), rows, 50).choose()
    assert len(vectors) == 100
    places = [int(np.flatnonzero((rows == vector).all(axis=1))[0]) for vector in vectors]
    np.testing.assert_array_equal(owners, np.array(places) // 50)
    random = rows[np.random.default_rng(1).permutation(1000)[:100]]
    assert covering(rows, vectors) < covering(rows, random)


def test_all_are_kept_in_their_order() -> None:
    rows = points(90)
    vectors, owners = offered(Coreset(1.0, 90), rows, 30).choose()
    np.testing.assert_array_equal(vectors, rows)
    assert owners.tolist() == [0] * 30 + [1] * 30 + [2] * 30


def test_at_least_one_is_kept() -> None:
    assert len(offered(Coreset(0.01, 5), points(10), 10).choose()[0]) == 1


def test_memory_is_bounded_and_batches_do_not_matter() -> None:
    rows = points(5000)
    coreset = Coreset(1.0, 40)
    for image in range(100):
        coreset.offer(rows[50 * image : 50 * image + 50], image)
        assert sum(len(vectors) for vectors, _ in coreset._held) <= 2 * _SAMPLED * 40
    vectors, owners = coreset.choose()
    assert coreset.seen == 5000
    assert len(vectors) == len(owners) == 40
    halves = Coreset(1.0, 40)
    for start in range(0, 5000, 25):
        halves.offer(rows[start : start + 25], start // 50)
    np.testing.assert_array_equal(halves.choose()[0], vectors)


def test_it_goes_on_from_an_earlier_one() -> None:
    rows = points(2000)
    first = offered(Coreset(0.1, 10_000), rows[:1000], 50)
    kept, owners = first.choose()
    second = Coreset(0.1, 10_000, seen=first.seen, kept=kept, owners=owners)
    for start in range(1000, 2000, 50):
        second.offer(rows[start : start + 50], start // 50)
    vectors, images = second.choose()
    assert second.seen == 2000
    assert len(vectors) == 200
    assert (images < 20).any()
    assert (images >= 20).any()
    known = {row.tobytes() for row in np.concatenate([kept, rows[1000:]])}
    assert all(vector.tobytes() in known for vector in vectors)


def test_the_sample_is_of_what_was_offered() -> None:
    rows = points(500)
    vectors, owners = offered(Coreset(0.1, 100), rows, 50).sample(64)
    assert len(vectors) == 64
    assert len(set(owners.tolist())) > 5
    again, _ = offered(Coreset(0.1, 100), rows, 50).sample(64)
    np.testing.assert_array_equal(vectors, again)
