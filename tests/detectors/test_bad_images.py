from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from clipvet.detectors._intervals import clopper_pearson
from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._bad_images import ThresholdRule, choose_cut, divide, kind_of
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._combination import JointCalibration, calibrate_jointly
from clipvet.detectors.recipes._good_images import GoodImage
from clipvet.detectors.recipes._tables import BadImage
from clipvet.detectors.recipes._validation import ValidationRow, validate
from tests.detectors.test_verdicts import recipe_of

MAX_F1 = ThresholdRule(recall=None)


def joint_of(good: Sequence[float]) -> JointCalibration:
    scores = np.asarray(good, dtype=np.float64)
    images = tuple(f"good/{i}.png" for i in range(len(good)))
    return calibrate_jointly({"a": Calibration(images=images, scores=scores)}, 0.1)


def bad_of(scores: Sequence[float], rule: ThresholdRule | None = MAX_F1) -> tuple[BadImage, ...]:
    images = [
        BadImage(image=f"bad/{i}.png", kind="bad", scores={"a": score})
        for i, score in enumerate(scores)
    ]
    return divide(images, rule)


def test_rules_are_written_in_words() -> None:
    assert ThresholdRule.parse("conformal") is None
    assert ThresholdRule.parse("max-f1") == MAX_F1
    assert ThresholdRule.parse("recall=0.95") == ThresholdRule(recall=Fraction(19, 20))
    assert ThresholdRule.parse("recall=1") == ThresholdRule(recall=Fraction(1))
    for nonsense in ("recall", "recall=", "recall=0", "recall=1.1", "recall=nan", "f1", "=0.5"):
        with pytest.raises(UsageError, match="give conformal, max-f1, or recall=R"):
            ThresholdRule.parse(nonsense)


def test_the_largest_f1_by_hand() -> None:
    """Good 0 to 9, bad 4.5, 8.5, 20, 21. F1 from 20 on 4/6, from 8.5 on 6/8, from 4.5 on 8/13."""
    joint = choose_cut(joint_of(range(10)), MAX_F1, bad_of([8.5, 4.5, 21.0, 20.0]))
    assert joint.cut == Fraction(8.25)  # halfway to the next value below, good or bad
    assert joint.thresholds["a"].value == 8.25
    assert joint.threshold.rate is None
    assert joint.threshold.origin == (
        "largest F1 on 4 bad and 10 held-out good images: no false-alarm promise, "
        "it flags 1 of 10 held-out good images"
    )


SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0]), min_size=9, max_size=19)


@settings(deadline=None, max_examples=25)
@given(SCORES, SCORES)
def test_the_largest_f1_against_scikit_learn(good: list[float], bad: list[float]) -> None:
    joint = choose_cut(joint_of(good), MAX_F1, bad_of(bad))
    truth = [False] * len(good) + [True] * len(bad)
    every = [
        f1_score(truth, [score >= at for score in (*good, *bad)], zero_division=0)
        for at in sorted({*good, *bad})
    ]
    ours = f1_score(truth, [score > joint.cut for score in (*good, *bad)], zero_division=0)
    assert ours == pytest.approx(max(every))


@given(SCORES, st.sampled_from(["0.05", "0.5", "0.9", "0.95", "1"]))
def test_recall_is_the_highest_cut_that_reaches_it(bad: list[float], recall: str) -> None:
    rule = ThresholdRule.parse(f"recall={recall}")
    assert rule is not None
    joint = choose_cut(joint_of(range(10)), rule, bad_of(bad, rule))
    wanted = Fraction(recall) * len(bad)
    assert sum(score > joint.cut for score in bad) >= wanted
    caught = [score for score in bad if score > joint.cut]
    # At the lowest score that is caught, less than the wanted share would be above.
    assert sum(score > min(caught) for score in bad) < wanted
    limit = joint.thresholds["a"].value
    assert [score > limit for score in bad] == [score > joint.cut for score in bad]


def test_what_is_measured_for_a_recall_is_said() -> None:
    rule = ThresholdRule.parse("recall=0.5")
    assert rule is not None
    joint = choose_cut(joint_of(range(10)), rule, bad_of([7.5, 1.0, 3.0, 8.5], rule))
    assert joint.threshold.value < 7.5
    assert joint.threshold.value == pytest.approx(7.5)
    assert joint.threshold.origin == (
        "recall 0.5 on 4 bad images: no false-alarm promise, it flags 2 of 10 held-out good images"
    )


def test_with_enough_images_one_half_chooses_and_the_other_measures() -> None:
    few = bad_of(range(19))
    assert all(one.chose and one.measured for one in few)
    assert not any(one.chose for one in bad_of(range(40), None))
    kinds = [("b", 3), ("a", 18), ("c", 1)]
    images = [
        BadImage(image=f"{kind}/{i}", kind=kind, scores={}) for kind, n in kinds for i in range(n)
    ]
    enough = divide(images, MAX_F1)
    assert all(one.chose != one.measured for one in enough)
    assert sum(one.chose for one in enough) == 11
    assert sum(one.chose for one in enough if one.kind == "a") == 9
    # Of good images, too, those that choose do not measure.
    joint = choose_cut(joint_of([*range(10), *range(100, 110)]), MAX_F1, bad_of([50.0] * 20))
    assert joint.cut == Fraction(9 + 50, 2)
    assert "10 bad and 10 held-out" in joint.threshold.origin
    assert "it flags 10 of 10" in joint.threshold.origin


def test_a_rule_without_bad_images() -> None:
    with pytest.raises(UsageError, match="give --bad BAD"):
        choose_cut(joint_of(range(10)), MAX_F1, ())


def test_several_detectors_and_a_chosen_cut() -> None:
    images = tuple(f"{i}" for i in range(18))
    ramp = np.concatenate([np.arange(9.0), np.arange(9.0)])
    both = {name: Calibration(images=images, scores=ramp * k) for name, k in (("a", 1), ("b", 10))}
    bad = divide(
        [BadImage(image="x", kind="x", scores={"a": 20.0, "b": 0.0}),
         BadImage(image="y", kind="y", scores={"a": 0.0, "b": 120.0})],
        MAX_F1,
    )  # fmt: skip
    joint = choose_cut(calibrate_jointly(both, 0.1), MAX_F1, bad)
    # S of y is (120 - 40) / 40 = 2, the largest of good ones 1: halfway 1.5
    assert joint.cut == Fraction(3, 2)
    assert joint.thresholds["a"].value == 10.0
    assert joint.thresholds["b"].value == 100.0
    assert ", a and b together: no false-alarm promise" in joint.thresholds["b"].origin


def test_one_bad_image_is_told_in_the_singular() -> None:
    one = [BadImage(image="bad/x.png", kind="bad", scores={"a": 30.0})]
    recipe = recipe_of({"a": range(20)}, threshold="recall=1", bad=divide(one, MAX_F1))
    table = validate(recipe, {"bad/x.png": "flag"})
    assert table.notes[0].startswith("the same bad image chose the threshold and measures it: ")
    assert table.origin.startswith("recall 1 on 1 bad image: no false-alarm promise, ")


def test_kinds_are_sub_folders() -> None:
    def image(name: str) -> GoodImage:
        return GoodImage(id=name, path=Path(name), sha256="")

    assert kind_of(image("bad/3.png")) == "bad"
    assert kind_of(image("bad/scratch/3.png")) == "scratch"
    assert kind_of(image("bad/scratch/left/3.png")) == "scratch"


def test_an_abstained_image_is_not_caught() -> None:
    row = ValidationRow.of("dent", ["flag", "abstain", "pass", "pass"])
    assert (row.n, row.flagged, row.abstained, row.missed, row.recall) == (4, 1, 1, 2, 0.25)
    assert (row.low, row.high) == clopper_pearson(1, 4)
    none = ValidationRow.of("dent", [])
    assert (none.n, none.recall, none.low, none.high) == (0, None, None, None)
