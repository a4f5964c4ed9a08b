from __future__ import annotations

import pytest
from scipy.stats import binomtest

from clipvet.detectors._intervals import clopper_pearson


@pytest.mark.parametrize(
    ("count", "n"), [(0, 1), (1, 1), (0, 7), (7, 7), (1, 60), (30, 60), (3, 1000)]
)
def test_it_is_the_exact_interval_of_scipy(count: int, n: int) -> None:
    expected = binomtest(count, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(count, n) == pytest.approx((expected.low, expected.high), abs=1e-9)
