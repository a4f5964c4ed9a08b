from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.detectors import unit_rows
from clipvet.plugins.patchcore._search import _BLOCK, VectorBank


def exact(queries: Any, vectors: Any, distance: str) -> np.ndarray:
    """[n, R] in float64, by the plain formula."""
    one, other = (np.asarray(x, np.float64) for x in (queries, vectors))
    if distance == "cosine":
        cosines: np.ndarray = unit_rows(one) @ unit_rows(other).T
        return 1 - cosines
    gaps: np.ndarray = np.sqrt(((one[:, None] - other) ** 2).sum(axis=-1))
    return gaps


@pytest.mark.parametrize("distance", ["l2", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_it_is_exact(distance: Any, offset: float) -> None:
    """Over several blocks, and far from the origin, where |x|^2 + |y|^2 - 2xy loses all digits."""
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((2 * _BLOCK + 7, 24)) + offset).astype(np.float32)
    queries = (rng.standard_normal((50, 24)) + offset).astype(np.float32)
    expected = exact(queries, vectors, distance)
    distances, nearest = VectorBank(vectors, distance).nearest(queries)
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-5, atol=1e-6)
    if offset == 0 or distance == "l2":
        np.testing.assert_array_equal(nearest, expected.argmin(axis=1))


@pytest.mark.parametrize("distance", ["l2", "cosine"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_vector_is_at_no_distance_from_itself(distance: Any, scale: float) -> None:
    rng = np.random.default_rng(1)
    vectors = (scale * (rng.standard_normal((3000, 40)) + 5)).astype(np.float32)
    # Near copies, which a product in float32 cannot tell from the vectors themselves.
    near = vectors[:500] * np.float32(1 + 1e-6)
    bank = VectorBank(np.concatenate([near, vectors]), distance)
    distances, _ = bank.nearest(vectors)
    assert not distances.any()


def test_equal_vectors_are_searched_once() -> None:
    vectors = np.zeros((5000, 8), np.float32)
    vectors[4000:] = 1
    bank = VectorBank(vectors, "l2")
    assert bank.rows.tolist() == [0, 4000]
    distances, nearest = bank.nearest(np.ones((3, 8), np.float32))
    assert distances.tolist() == [0, 0, 0]
    assert nearest.tolist() == [4000] * 3
    assert bank.neighbours(4000, 9).tolist() == [4000, 0]


def test_of_equally_near_vectors_the_first() -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    distances, nearest = VectorBank(vectors, "l2").nearest(np.zeros((1, 2), np.float32))
    assert (distances[0], nearest[0]) == (1.0, 0)


@pytest.mark.parametrize("distance", ["l2", "cosine"])
def test_queries_do_not_change_each_other(distance: Any) -> None:
    rng = np.random.default_rng(2)
    bank = VectorBank(rng.standard_normal((1500, 33)).astype(np.float32), distance)
    queries = rng.standard_normal((64, 33)).astype(np.float32)
    together = bank.nearest(queries)
    for place in (0, 17, 63):
        for some in (slice(place, place + 1), slice(place // 2, place + 1)):
            alone = bank.nearest(queries[some])
            assert alone[0][-1] == together[0][place]
            assert alone[1][-1] == together[1][place]


def test_place_in_memory_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    bank = VectorBank(rng.standard_normal((2000, 31)).astype(np.float32), "l2")
    queries = rng.standard_normal((40, 31)).astype(np.float32)
    expected = bank.nearest(queries)
    for offset in range(1, 16):
        room = np.empty(queries.size + 16, np.float32)
        room[offset : offset + queries.size] = queries.ravel()
        moved = room[offset : offset + queries.size].reshape(queries.shape)
        for one, other in zip(bank.nearest(moved), expected, strict=True):
            assert one.tobytes() == other.tobytes()


def test_a_row_of_zeros_has_no_direction() -> None:
    bank = VectorBank(np.eye(2, 3, dtype=np.float32), "cosine")
    distances, _ = bank.nearest(np.zeros((1, 3), np.float32))
    assert distances.tolist() == [0.5]  # half of |0 - unit|^2
