from __future__ import annotations

import numpy as np
import pytest

from clipvet.plugins.winclip._windows import Cover, harmonic_mean


def test_windows_of_the_paper_grid() -> None:
    two, three = Cover.of((15, 15), 2), Cover.of((15, 15), 3)
    assert two.windows.shape == (196, 4)
    assert three.windows.shape == (169, 9)
    assert set(two.count) == {1, 2, 4}
    assert set(three.count) == {1, 2, 3, 4, 6, 9}
    assert two.count[0] == three.count[0] == 1


@pytest.mark.parametrize("side", [2, 3])
def test_windows_are_the_reference_ones(golden: dict[str, np.ndarray], side: int) -> None:
    windows = Cover.of((6, 6), side).windows
    np.testing.assert_array_equal(windows.T, golden[f"window_index_scale{side}"])


@pytest.mark.parametrize(("grid", "side"), [((6, 6), 2), ((4, 7), 3), ((3, 3), 3), ((2, 9), 2)])
def test_windows_and_covering_say_the_same(grid: tuple[int, int], side: int) -> None:
    cover = Cover.of(grid, side)
    for patch, covering in enumerate(cover.covering):
        holding = np.flatnonzero((cover.windows == patch).any(axis=1))
        np.testing.assert_array_equal(np.sort(covering[covering >= 0]), holding)
        assert cover.count[patch] == len(holding) > 0


def test_window_larger_than_the_grid() -> None:
    with pytest.raises(ValueError, match="3x3 window does not fit a 2x9 grid"):
        Cover.of((2, 9), 3)


def test_published_example() -> None:
    spread = np.exp(Cover.of((3, 3), 2).spread(np.log([1.0, 0.75, 0.5, 0.25])))
    expected = [[1, 6 / 7, 3 / 4], [2 / 3, 0.48, 3 / 8], [1 / 2, 1 / 3, 1 / 4]]
    np.testing.assert_allclose(spread.reshape(3, 3), expected, rtol=1e-12)


def test_spread_equals_the_plain_formula() -> None:
    cover = Cover.of((5, 7), 3)
    scores = np.random.default_rng(3).uniform(1e-3, 1, len(cover.windows))
    plain = [
        len(held) / sum(1 / scores[held])
        for held in (np.flatnonzero((cover.windows == p).any(axis=1)) for p in range(35))
    ]
    np.testing.assert_allclose(np.exp(cover.spread(np.log(scores))), plain, rtol=1e-12)


def test_a_zero_makes_zero_where_it_covers_and_nowhere_else() -> None:
    scores = np.array([0.0, 0.5, 0.5, 0.5])
    with np.errstate(divide="ignore"):
        spread = np.exp(Cover.of((3, 3), 2).spread(np.log(scores))).reshape(3, 3)
    np.testing.assert_array_equal(spread == 0, np.pad(np.ones((2, 2), bool), (0, 1)))
    np.testing.assert_allclose(spread[spread > 0], 0.5)


def test_harmonic_mean_survives_what_float64_cannot_hold() -> None:
    # exp(-2000) is 0 in float64; its reciprocal would be infinite.
    mean = harmonic_mean(np.array([[-2000.0, 0.0, -3.0], [-0.5, -0.5, -0.5]]))
    np.testing.assert_allclose(mean, [np.log(3) - 2000, -0.5])
