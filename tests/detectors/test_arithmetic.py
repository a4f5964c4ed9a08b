from __future__ import annotations

import numpy as np
import pytest

from clipvet.detectors import top_mean, unit_rows


def test_rows_get_unit_length_and_zero_has_no_direction() -> None:
    rows = unit_rows(np.array([[0, 0], [3, 4]], np.float32))
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, [[0.0, 0.0], [0.6, 0.8]])
    np.testing.assert_array_equal(unit_rows(np.array([3.0, 4.0])), [0.6, 0.8])


def test_half_precision_does_not_overflow() -> None:
    row = np.full((1, 4), 6e4, np.float16)  # its sum of squares is beyond float16
    np.testing.assert_allclose(unit_rows(row), 0.5)


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 5.0), (0.25, 5.0), (0.5, 4.0), (0.75, 3.0), (1, 2.5)]
)
def test_top_mean_takes_the_largest_cells_and_one_at_least(share: float, expected: float) -> None:
    assert top_mean(np.array([[1.0, 5.0], [3.0, 1.0]]), share) == expected
