from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._calibration import (
    RATES,
    Calibration,
    calibrating_images,
    images_needed,
    joint_thresholds,
    percent,
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


def test_the_rate_of_several_detectors_together_is_kept() -> None:
    """Three detectors, correlated, on wild scales, one discrete: the verdict keeps the rate."""
    rng = np.random.default_rng(3)
    n, rate, draws = 38, 0.1, 3000  # 19 images standardise, 19 calibrate

    def draw(count: int) -> dict[str, np.ndarray]:
        common = rng.normal(size=count)
        return {
            "fine": 1e-6 * (common + 0.3 * rng.normal(size=count)),
            "heavy": 1e4 * rng.standard_t(2, size=count) + 5e4,
            "counts": np.round(2 * common + rng.normal(size=count)),
        }

    alarms = dict.fromkeys(["fine", "heavy", "counts", "any"], 0)
    for _ in range(draws):
        limits = joint_thresholds({k: calibration(v) for k, v in draw(n).items()}, rate)
        new = draw(1)
        flags = {k: bool(new[k][0] > limits[k].value) for k in limits}
        for name, flagged in {**flags, "any": any(flags.values())}.items():
            alarms[name] += flagged
    error = 3.5 * math.sqrt(rate * (1 - rate) / draws)
    assert alarms["any"] / draws <= rate + error
    assert alarms["any"] / draws > rate / 2  # it is a promise, not silence
    assert all(alarms[name] < alarms["any"] for name in ("fine", "heavy", "counts"))
    assert {limits[name].n for name in limits} == {19}


def test_several_detectors_by_hand() -> None:
    """First half 0..8: median 4, quartiles 2 and 6. Second half 0..8 again: T = (8 - 4) / 4."""
    ramp = np.arange(9.0)
    first = calibration(np.concatenate([ramp, ramp]))
    second = calibration(np.concatenate([10 * ramp, np.zeros(9)]))
    limits = joint_thresholds({"a": first, "b": second}, 0.1)
    assert limits["a"].value == 8.0  # 4 + 1 * 4
    assert limits["b"].value == 80.0  # 40 + 1 * 40
    assert limits["a"].n == 9
    assert limits["a"].rate == 0.1
    assert limits["a"].origin == (
        "split-conformal on 9 held-out good images, a and b together: "
        "at most 10 % of good images flag"
    )


def test_one_detector_uses_all_its_images() -> None:
    one = calibration(range(19))
    limits = joint_thresholds({"a": one}, 0.05)
    assert limits["a"].value == one.threshold(0.05) == 18
    assert limits["a"].n == 19 == calibrating_images(19, 1)
    assert calibrating_images(19, 2) == 10
    assert joint_thresholds({}, 0.1) == {}


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_rounding_flags_no_image_that_counts_as_passed(seed: int) -> None:
    """T comes from an image of the second half: standardised and back, it must still pass."""
    rng = np.random.default_rng(seed)
    scores = {
        name: calibration(rng.normal(1e3 * rng.normal(), 10.0 ** rng.integers(-9, 3), 38))
        for name in ("a", "b")
    }
    limits = joint_thresholds(scores, 0.1)
    passed = sum(
        all(scores[name].scores[i] <= limits[name].value for name in scores) for i in range(19, 38)
    )
    assert passed == math.ceil(20 * 0.9)


def test_scores_without_any_spread_still_have_a_scale() -> None:
    flat = calibration([3.0] * 18)
    varied = calibration(np.arange(18.0))
    limits = joint_thresholds({"flat": flat, "varied": varied}, 0.1)
    assert limits["flat"].value >= 3.0
    assert math.isfinite(limits["flat"].value)


def test_detectors_calibrated_on_different_images_are_refused() -> None:
    other = Calibration(images=tuple("abcdefghi"), scores=np.arange(9.0))
    with pytest.raises(UsageError, match="different images"):
        joint_thresholds({"a": calibration(range(9)), "b": other}, 0.1)


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
