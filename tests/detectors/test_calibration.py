from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._calibration import (
    RATES,
    Calibration,
    images_needed,
    percent,
    rank,
    strictest_rate,
)


def calibration(scores: object, **given: object) -> Calibration:
    values = np.asarray(scores, dtype=np.float64)
    images = tuple(f"good/{i}.png" for i in range(len(values)))
    return Calibration(images=images, scores=values, **given)  # type: ignore[arg-type]


def test_p_values_and_thresholds_by_hand() -> None:
    one = calibration([0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6])  # n = 9
    assert one.n == 9
    assert one.p_value(0.95) == 1 / 10
    assert one.p_value(0.9) == 2 / 10
    assert one.p_value(0.0) == 1.0
    assert one.p_value(0.55) == 5 / 10
    # ceil(10 * 0.9) = 9th smallest, ceil(10 * 0.75) = 8th, ceil(10 * 0.5) = 5th
    assert one.threshold(0.1) == 0.9
    assert one.threshold(0.25) == 0.8
    assert one.threshold(0.5) == 0.5


def test_a_tenth_means_a_tenth() -> None:
    """In floats 1 - 0.1 - ... goes wrong: (19 + 1) * (1 - 0.05) is 19, never 20."""
    one = calibration(range(1, 20))
    assert one.threshold(0.05) == 19
    for n in range(1, 400):
        for rate in (0.01, 0.02, 0.05, 0.07, 0.1, 0.15, 0.3):
            exact = math.ceil((n + 1) * (1 - Fraction(str(rate))))
            if exact <= n:
                assert calibration(range(1, n + 1)).threshold(rate) == exact


def test_ties_count_as_at_least() -> None:
    one = calibration([1.0] * 8 + [2.0])
    assert one.p_value(1.0) == 1.0
    assert one.p_value(2.0) == 2 / 10
    assert one.threshold(0.1) == 2.0
    assert one.threshold(0.2) == 1.0
    constant = calibration([1.0] * 50)
    assert constant.threshold(0.02) == 1.0


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.1, 0.25, 0.3, 1.0, 7.5]), min_size=9, max_size=60),
    st.sampled_from([-1.0, 0.0, 0.1, 0.2, 0.25, 0.3, 1.0, 7.5, 8.0]),
    st.sampled_from([0.1, 0.15, 0.2, 0.3, 0.5]),
)
def test_above_the_threshold_is_a_p_value_at_most_the_rate(
    scores: list[float], score: float, rate: float
) -> None:
    one = calibration(scores)
    at_least = sum(s >= score for s in scores)
    exact_p = Fraction(1 + at_least, len(scores) + 1)
    assert (score > one.threshold(rate)) == (exact_p <= Fraction(str(rate)))
    assert one.p_value(score) == float(exact_p)


def test_a_rate_that_cannot_be_promised_names_the_n_that_can() -> None:
    with pytest.raises(UsageError, match=r"1 % cannot be promised from 98 .* at least 99"):
        calibration(range(98)).threshold(0.01)
    assert calibration(range(99)).threshold(0.01) == 98.0
    assert [images_needed(rate) for rate in RATES] == [99, 49, 19, 9]
    assert images_needed(0.3) == 3  # 1 / 4 <= 0.3 < 1 / 3
    for nonsense in (0.0, 1.0, -0.1, 1.5):
        with pytest.raises(UsageError, match="between 0 and 1"):
            calibration(range(50)).threshold(nonsense)


def test_the_strictest_rate_that_n_allows() -> None:
    assert strictest_rate(9) == (0.1, (0.05, 19))
    assert strictest_rate(18) == (0.1, (0.05, 19))
    assert strictest_rate(19) == (0.05, (0.02, 49))
    assert strictest_rate(98) == (0.02, (0.01, 99))
    assert strictest_rate(10_000) == (0.01, None)
    with pytest.raises(UsageError, match="at least 9"):
        strictest_rate(8)
    assert percent(0.05) == "5 %"
    assert percent(0.001) == "0.1 %"


@pytest.mark.parametrize(("n", "rate"), [(9, 0.1), (19, 0.05), (37, 0.1), (100, 0.03)])
def test_the_rate_of_one_detector_is_kept(n: int, rate: float) -> None:
    """Exchangeable scores: false alarms at exactly floor(a (n+1)) / (n+1), drawn anew each time."""
    rng = np.random.default_rng(n)
    draws = 4000
    alarms = sum(
        rng.gamma(2.0) > calibration(rng.gamma(2.0, size=n)).threshold(rate) for _ in range(draws)
    )
    expected = math.floor(Fraction(str(rate)) * (n + 1)) / (n + 1)
    error = 3.5 * math.sqrt(expected * (1 - expected) / draws)
    assert alarms / draws <= rate + error
    assert alarms / draws >= expected - error


def test_a_confidence_takes_a_higher_order_statistic() -> None:
    """Wilks 1941: 29, 59, 149 and 299 images for the largest score at 10, 5, 2 and 1 %."""
    assert [images_needed(rate, 0.95) for rate in (0.1, 0.05, 0.02, 0.01)] == [29, 59, 149, 299]
    assert images_needed(0.5, 0.75) == 2  # 0.5 ** 2 is exactly 1 - 0.75
    assert rank(28, 0.1) == 27
    assert rank(29, 0.1, 0.95) == 29
    assert rank(46, 0.1, 0.95) == 45  # the least n that spares one image: Wilks's table
    assert rank(45, 0.1, 0.95) == 45
    with pytest.raises(
        UsageError, match=r"10 % with confidence 95 % cannot be promised from 28 .* at least 29"
    ):
        rank(28, 0.1, 0.95)
    for nonsense in (0.0, 1.0, 1.5):
        with pytest.raises(UsageError, match=r"confidence of .* between 0 and 1"):
            rank(100, 0.1, nonsense)


@settings(deadline=None)
@given(
    st.integers(1, 400),
    st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.15, 0.5]),
    st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]),
)
def test_the_rank_of_a_confidence_is_the_smallest_that_keeps_it(
    n: int, rate: float, confidence: float
) -> None:
    """Against scipy: coverage of the k-th smallest of n follows Beta(k, n + 1 - k)."""
    keeps = beta.sf(1 - rate, np.arange(1, n + 1), n - np.arange(n)) >= confidence
    assert (n >= images_needed(rate, confidence)) == (
        bool(keeps.any()) and n >= images_needed(rate)
    )
    if n >= images_needed(rate, confidence):
        smallest = 1 + int(np.argmax(keeps))
        assert rank(n, rate, confidence) == max(smallest, rank(n, rate))


def test_many_images_are_ranked_at_once() -> None:
    assert rank(20_000, 0.01, 0.95) == 19_824  # 176 may exceed it: binom.ppf(0.05, n, 0.01) - 1
    assert images_needed(1e-6, 0.95) == pytest.approx(math.log(0.05) / math.log1p(-1e-6), abs=2)


def test_the_strictest_rate_under_a_confidence() -> None:
    assert strictest_rate(58, 0.95) == (0.1, (0.05, 59))
    assert strictest_rate(400, 0.95) == (0.01, None)
    with pytest.raises(UsageError, match=r"10 % or less with confidence 95 %: give at least 29"):
        strictest_rate(28, 0.95)


@pytest.mark.parametrize(("n", "rate", "confidence"), [(35, 0.1, 0.95), (60, 0.1, 0.8)])
def test_a_confident_rate_is_kept_by_that_share_of_calibrations(
    n: int, rate: float, confidence: float
) -> None:
    rng = np.random.default_rng(n)
    draws = 3000
    long_run = np.array(
        [math.exp(-calibration(rng.exponential(size=n)).threshold(rate, confidence))
         for _ in range(draws)]
    )  # fmt: skip
    wrong = float((long_run > rate).mean())
    expected = float(beta.sf(rate, n + 1 - rank(n, rate, confidence), rank(n, rate, confidence)))
    error = 3.5 * math.sqrt((1 - confidence) * confidence / draws)
    assert wrong <= 1 - confidence + error
    assert abs(wrong - expected) <= error


def test_the_map_threshold_lies_midway_in_the_pictures() -> None:
    maxima = np.arange(1, 10, dtype=np.float32) / 10
    one = calibration(range(9), map_maxima=maxima.astype(np.float64), map_low=0.05)
    threshold = one.map_threshold(0.1)
    assert threshold is not None
    assert np.float32(threshold) > maxima.max()  # regions are >= it: no good map reaches it
    low, high = one.heatmap_range(0.1) or (0, 0)
    assert low == pytest.approx(0.05)
    assert (low + high) / 2 == pytest.approx(threshold)
    assert calibration(range(9)).map_threshold(0.1) is None
    assert calibration(range(9)).heatmap_range(0.1) is None


def test_a_flat_map_still_has_a_range() -> None:
    one = calibration(range(9), map_maxima=np.full(9, 0.5), map_low=0.5)
    low, high = one.heatmap_range(0.1) or (0, 0)
    assert low < high
