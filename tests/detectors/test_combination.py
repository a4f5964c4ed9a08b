from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._calibration import Calibration, calibrating_images
from clipvet.detectors.recipes._combination import (
    Combination,
    JointCalibration,
    Usual,
    calibrate_jointly,
    float_not_above,
)

COMBINATIONS: list[Combination] = ["any", "all", "weighted"]
WEIGHTS = {"heavy": 2.0}


def calibration(scores: object) -> Calibration:
    values = np.asarray(scores, dtype=np.float64)
    return Calibration(images=tuple(f"good/{i}.png" for i in range(len(values))), scores=values)


def flags(joint: JointCalibration, scores: Mapping[str, float]) -> bool:
    return joint.statistic.of(scores) > joint.cut


def draw(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Three detectors, correlated, on wild scales, one discrete."""
    common = rng.normal(size=count)
    return {
        "fine": 1e-6 * (common + 0.3 * rng.normal(size=count)),
        "heavy": 1e4 * rng.standard_t(2, size=count) + 5e4,
        "counts": np.round(2 * common + rng.normal(size=count)),
    }


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_the_rate_of_several_detectors_together_is_kept(
    combination: Combination, confidence: float | None
) -> None:
    """It is the verdict of the combination that keeps the rate, however wild the scores."""
    rng = np.random.default_rng(3)
    n, rate, draws = 44, 0.1, 500  # 22 images standardise, 22 calibrate: with 0.9 that takes 22
    alarms = dict.fromkeys(["fine", "heavy", "counts", "together"], 0)
    tests = 3
    for _ in range(draws):
        joint = calibrate_jointly(
            {name: calibration(values) for name, values in draw(rng, n).items()},
            rate,
            confidence=confidence,
            combination=combination,
            weights=WEIGHTS,
        )
        new = draw(rng, tests)
        for i in range(tests):
            scores = {name: float(values[i]) for name, values in new.items()}
            alarms["together"] += flags(joint, scores)
            for name, threshold in joint.thresholds.items():
                alarms[name] += scores[name] > threshold.value
    error = 3.5 * math.sqrt(rate * (1 - rate) / draws)  # the tests of a draw are not independent
    kept = alarms["together"] / (draws * tests)
    assert kept <= rate + error
    assert kept > (0.5 if confidence is None else 0.2) * rate  # a promise, not silence
    alone = [alarms[name] for name in ("fine", "heavy", "counts")]
    if combination == "any":
        assert max(alone) < alarms["together"]
    if combination == "all":
        assert min(alone) > alarms["together"]
    assert (joint.threshold.n, joint.threshold.confidence) == (22, confidence)


def test_any_and_all_by_hand() -> None:
    """First half 0..8: median 4, quartiles 2 and 6. Second half 0..8 again: T = (8 - 4) / 4."""
    ramp = np.arange(9.0)
    both = {
        "a": calibration(np.concatenate([ramp, ramp])),
        "b": calibration(np.concatenate([10 * ramp, np.zeros(9)])),
    }
    joint = calibrate_jointly(both, 0.1)
    limits = joint.thresholds
    assert limits["a"].value == 8.0  # 4 + 1 * 4
    assert limits["b"].value == 80.0  # 40 + 1 * 40
    assert limits["a"].n == 9
    assert limits["a"].rate == 0.1
    assert limits["a"].origin == (
        "split-conformal on 9 held-out good images, a and b together: "
        "at most 10 % of good images flag"
    )
    # b of the second half is always at (0 - 40) / 40: the smaller of both z is -1 at most
    strict = calibrate_jointly(both, 0.1, combination="all")
    assert strict.cut == -1
    assert strict.thresholds["a"].value == 0.0
    assert strict.thresholds["b"].value == 0.0
    assert "a and b all at once" in strict.thresholds["b"].origin
    assert not flags(strict, {"a": 100.0, "b": 0.0})
    assert flags(strict, {"a": 0.1, "b": 0.1})


def test_weighted_by_hand() -> None:
    first, second = np.arange(9.0), np.arange(9.0)
    both = {
        "a": calibration(np.concatenate([first, second])),
        "b": calibration(np.concatenate([10 * first, 10 * second])),
    }
    joint = calibrate_jointly(
        both, 0.1, combination="weighted", weights={"a": 3.0}, confidence=None
    )
    # the 9th smallest of the second half is its largest: p = 2 / 10 in both detectors
    assert float(joint.cut) == pytest.approx(-math.log(0.2))
    assert joint.thresholds == {}
    assert joint.threshold.origin == (
        "split-conformal on 9 held-out good images, weighted p-values of a (3) and b (1): "
        "at most 10 % of good images flag"
    )
    s = joint.statistic.of({"a": 7.5, "b": 80.0})
    assert float(s) == pytest.approx(-(3 * math.log(0.2) + math.log(0.2)) / 4)
    s = joint.statistic.of({"a": 8.0, "b": 0.0})
    assert float(s) == pytest.approx(-3 * math.log(0.2) / 4)
    # beyond the largest, 1 / 10, and on by one for each interquartile range (4, 40)
    s = joint.statistic.of({"a": 8.0 + 4 * 2, "b": 80.0 + 40})
    assert float(s) == pytest.approx((3 * (math.log(10) + 2) + math.log(10) + 1) / 4)
    assert joint.p_value(s) == 1 / 10
    assert joint.p_value(joint.cut) == 2 / 10


def test_a_far_score_outweighs_a_blind_detector() -> None:
    """p-values end at 1 / (n + 1): without the tail nothing could exceed this calibration."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=40)
    scores[30] = 9.0  # far outside of the first half
    both = {"a": calibration(scores), "b": calibration(scores)}
    joint = calibrate_jointly(both, 0.05, combination="weighted")
    assert not flags(joint, {"a": 9.0, "b": 9.0})
    assert flags(joint, {"a": 9.1, "b": 9.1})
    assert flags(joint, {"a": 50.0, "b": 0.0})


def test_one_detector_uses_all_its_images() -> None:
    one = calibration(range(19))
    for combination in COMBINATIONS:
        joint = calibrate_jointly({"a": one}, 0.05, combination=combination)
        assert joint.thresholds["a"].value == one.threshold(0.05) == 18
        assert joint.thresholds["a"].n == 19 == calibrating_images(19, 1)
        assert joint.thresholds["a"].origin == (
            "split-conformal on 19 held-out good images: at most 5 % of good images flag"
        )
        assert joint.p_value(Fraction(18.5)) == one.p_value(18.5)
    assert calibrating_images(19, 2) == 10
    sure = calibrate_jointly({"a": calibration(range(59))}, 0.05, confidence=0.95)
    assert sure.thresholds["a"].value == 58
    assert sure.threshold.origin.endswith("of good images flag, with confidence 95 %")


VALUES = st.sampled_from([-1.0, 0.0, 0.1, 0.25, 0.3, 1.0, 7.5, 1e6])


@settings(deadline=None)
@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=18, max_size=60),
    st.tuples(VALUES, VALUES),
    st.sampled_from([0.1, 0.15, 0.25, 0.5]),
    st.sampled_from(COMBINATIONS),
)
def test_above_the_cut_is_a_p_value_at_most_the_rate(
    rows: list[tuple[float, float]],
    new: tuple[float, float],
    rate: float,
    combination: Combination,
) -> None:
    a, b = (calibration([row[i] for row in rows]) for i in (0, 1))
    joint = calibrate_jointly({"a": a, "b": b}, rate, combination=combination, weights={"b": 0.3})
    scores = dict(zip("ab", new, strict=True))
    s = joint.statistic.of(scores)
    n = len(joint.values)
    exact_p = Fraction(1 + sum(value >= s for value in joint.values), n + 1)
    assert (s > joint.cut) == (exact_p <= Fraction(str(rate)))
    assert joint.p_value(s) == float(exact_p)
    exceeded = [scores[name] > joint.thresholds[name].value for name in joint.thresholds]
    if combination == "any":
        assert any(exceeded) == (s > joint.cut)
    if combination == "all":
        assert all(exceeded) == (s > joint.cut)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(COMBINATIONS))
def test_rounding_flags_no_image_that_counts_as_passed(seed: int, combination: Combination) -> None:
    """The cut comes from an image of the second half: standardised and back, it must pass."""
    rng = np.random.default_rng(seed)
    scores = {
        name: calibration(rng.normal(1e3 * rng.normal(), 10.0 ** rng.integers(-9, 3), 38))
        for name in ("a", "b")
    }
    joint = calibrate_jointly(scores, 0.1, combination=combination)
    rows = [{name: float(one.scores[i]) for name, one in scores.items()} for i in range(19, 38)]
    passed = sum(not flags(joint, row) for row in rows)
    assert passed >= math.ceil(20 * 0.9)  # p-values tie, standardised scores do not
    assert combination == "weighted" or passed == math.ceil(20 * 0.9)
    limits = joint.thresholds
    if combination == "any":
        passed = sum(all(row[name] <= limits[name].value for name in row) for row in rows)
        assert passed == math.ceil(20 * 0.9)
    if combination == "all":
        passed = sum(any(row[name] <= limits[name].value for name in row) for row in rows)
        assert passed == math.ceil(20 * 0.9)


@settings(deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=30), st.floats(-1e300, 1e300))
def test_the_statistic_rises_with_every_score(scores: list[float], score: float) -> None:
    usual = Usual.of(np.asarray(scores))
    assert 0 <= usual.evidence(score) <= usual.evidence(math.nextafter(score, math.inf))


def test_scores_without_any_spread_still_have_a_scale() -> None:
    flat = calibration([3.0] * 18)
    varied = calibration(np.arange(18.0))
    for combination in COMBINATIONS:
        joint = calibrate_jointly({"flat": flat, "varied": varied}, 0.1, combination=combination)
        assert math.isfinite(joint.threshold.value)
        assert flags(joint, {"flat": 1e300, "varied": 1e300})
    limits = calibrate_jointly({"flat": flat, "varied": varied}, 0.1).thresholds
    assert limits["flat"].value >= 3.0
    assert math.isfinite(limits["flat"].value)


def test_detectors_calibrated_on_different_images_are_refused() -> None:
    other = Calibration(images=tuple("abcdefghi"), scores=np.arange(9.0))
    with pytest.raises(UsageError, match="different images"):
        calibrate_jointly({"a": calibration(range(9)), "b": other}, 0.1)


def test_a_float_that_is_not_above() -> None:
    for value in (Fraction(1, 10), Fraction(1, 3), Fraction(10) ** 400, -(Fraction(10) ** 400)):
        assert math.isfinite(float_not_above(value))
    assert Fraction(float_not_above(Fraction(1, 10))) <= Fraction(1, 10)
    assert Fraction(math.nextafter(float_not_above(Fraction(1, 10)), 1)) > Fraction(1, 10)
