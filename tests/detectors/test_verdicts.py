from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clipvet.detectors.engine._results import DetectorSpec, DomainScore, RawResult
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._recipe import BoundBundle, Recipe
from clipvet.detectors.recipes._verdicts import Combined, judge

BUNDLE = BoundBundle(name="mini", id="mini", sha256="a" * 64, preprocessing_sha256="b" * 64)


def recipe_of(scores: Mapping[str, Sequence[float]], **given: Any) -> Recipe:
    """Every detector calibrated on the same images, to 10 %."""
    images = tuple(f"{i}" for i in range(len(next(iter(scores.values())))))
    return Recipe(
        specs=tuple(DetectorSpec(id=name) for name in scores),
        bundles=(BUNDLE,),
        calibrations={
            name: Calibration(images=images, scores=np.asarray(values, dtype=np.float64))
            for name, values in scores.items()
        },
        rate=0.1,
        provider="CPUExecutionProvider",
        **given,
    )


def result(detector: str, value: float | None, **given: str) -> RawResult:
    return RawResult(detector=detector, version="1", task="anomaly", value=value, **given)  # type: ignore[arg-type]


def failed(detector: str) -> RawResult:
    return result(detector, None, status="error", error=f"{detector}: ValueError: no")


RAMP = [float(i) for i in range(1, 20)]  # threshold: the 18th smallest
ONE = recipe_of({"a": RAMP})
TWO = recipe_of({"a": RAMP, "b": RAMP})
GATED = recipe_of({"a": RAMP, "gate": RAMP}, gates=("gate",))


def test_above_the_threshold_flags_and_at_it_does_not() -> None:
    flagged, passed = judge([result("a", 18.5)], ONE), judge([result("a", 18.0)], ONE)
    assert flagged.verdict == "flag"
    assert flagged.detections[0].p_value == 2 / 20
    threshold = flagged.detections[0].threshold
    assert threshold is not None
    assert (threshold.value, threshold.rate, threshold.n) == (18.0, 0.1, 19)
    assert threshold.origin == (
        "split-conformal on 19 held-out good images: at most 10 % of good images flag"
    )
    assert flagged.reasons == (
        "a: 18.5 is above 18, the limit that keeps false alarms at 10 % (n = 19)",
    )
    assert passed.verdict == "pass"
    assert passed.reasons == ()
    assert passed.detections[0].verdict == "pass"
    assert passed.detections[0].p_value == 3 / 20


def test_without_a_recipe_nothing_is_judged() -> None:
    judgement = judge([result("a", 1e9)], None)
    assert judgement.verdict is None
    assert judgement.reasons == ()
    assert judgement.detections[0].threshold is None
    assert judgement.detections[0].p_value is None


def test_without_a_recipe_a_broken_detector_is_still_an_error() -> None:
    judgement = judge([result("a", 1.0), failed("b")], None)
    assert judgement.verdict == "error"
    assert judgement.reasons == ("b: ValueError: no",)
    absent = result("c", None, status="not_applicable", error="c needs classes")
    assert judge([result("a", 1.0), absent], None).verdict is None


@pytest.mark.parametrize("recipe", [None, ONE])
def test_an_image_that_was_not_decoded_is_an_error(recipe: Recipe | None) -> None:
    judgement = judge((), recipe, status="unreadable", reason="x.png: truncated")
    assert judgement.verdict == "error"
    assert judgement.reasons == ("x.png: truncated",)
    assert judge((), recipe, status="refused").reasons == ("the image is refused",)


def test_any_detector_flags() -> None:
    limit = TWO.thresholds["a"].value
    assert judge([result("a", 0.0), result("b", 0.0)], TWO).verdict == "pass"
    one = judge([result("a", 0.0), result("b", limit + 1)], TWO)
    assert one.verdict == "flag"
    assert [d.verdict for d in one.detections] == ["pass", "flag"]
    assert len(one.reasons) == 1
    assert one.reasons[0].startswith("b: ")


def test_what_any_makes_of_several_detectors_is_in_the_judgement() -> None:
    """The first half, 1 to 9, has median 5 and quartiles 3 and 7; the second is 10 to 19."""
    combined = judge([result("a", 1.0), result("b", 25.0)], TWO).combined
    assert isinstance(combined, Combined)
    assert combined.combination == "any"
    assert combined.terms == {"a": -1.0, "b": 5.0}
    assert combined.value == 5.0
    assert combined.p_value == 1 / 11
    assert combined.exceeded
    assert combined.threshold.value == (19 - 5) / 4
    assert combined.threshold.n == 10
    assert judge([result("a", 1.0), failed("b")], TWO).combined is None
    assert judge([result("a", 1.0)], TWO).combined is None
    assert judge([result("a", 1.0)], ONE).combined is None
    gate = judge([result("a", 1.0), result("gate", 1.0)], GATED)
    assert gate.combined is None


ALL = recipe_of({"a": RAMP, "b": RAMP}, combination="all")
WEIGHTED = recipe_of({"a": RAMP, "b": RAMP}, combination="weighted", weights={"a": 3.0})


def test_all_detectors_must_agree() -> None:
    limit = ALL.thresholds["a"].value
    assert limit == ALL.thresholds["b"].value == 19.0
    alone = judge([result("a", 100.0), result("b", limit)], ALL)
    assert alone.verdict == "pass"
    assert alone.reasons == ()
    assert [one.verdict for one in alone.detections] == ["flag", "pass"]
    assert alone.combined is not None
    assert not alone.combined.exceeded
    both = judge([result("a", 100.0), result("b", 20.0)], ALL)
    assert both.verdict == "flag"
    assert both.reasons == (
        "a: 100 is above 19, the limit that keeps false alarms at 10 % (n = 10)",
        "b: 20 is above 19, the limit that keeps false alarms at 10 % (n = 10)",
    )
    assert both.combined is not None
    assert both.combined.value == (20 - 5) / 4
    assert "a and b all at once" in both.combined.threshold.origin


def test_all_detectors_with_several_queries() -> None:
    """Of several answers of one detector the worst counts, as in the calibration."""
    answers = [result("a", 0.0), result("a", 100.0), result("b", 20.0), result("b", 0.0)]
    judgement = judge(answers, ALL)
    assert judgement.verdict == "flag"
    assert judgement.combined is not None
    assert judgement.combined.terms == {"a": 23.75, "b": 3.75}
    assert judge([*answers[:2], result("b", 0.0)], ALL).verdict == "pass"


def test_weighted_p_values_have_one_threshold_together() -> None:
    """With 9 images in the first half, p ends at 1 / 10; (19 - 9) / 4 beyond it at the cut."""
    cut = math.log(10) + (19 - 9) / 4
    assert WEIGHTED.thresholds == {}
    assert WEIGHTED.flagging.threshold.value == pytest.approx(cut)
    flagged = judge([result("a", 20.0), result("b", 18.0)], WEIGHTED)
    assert flagged.verdict == "flag"
    assert [one.verdict for one in flagged.detections] == [None, None]
    assert [one.threshold for one in flagged.detections] == [None, None]
    assert [one.p_value for one in flagged.detections] == [1 / 20, 3 / 20]
    combined = flagged.combined
    assert combined is not None
    assert combined.value == pytest.approx(math.log(10) + (3 * 11 + 9) / 16)
    assert combined.terms == pytest.approx({"a": math.log(10) + 11 / 4, "b": math.log(10) + 9 / 4})
    assert combined.p_value == 1 / 11
    words = "a and b, weighted: 4.928 is above 4.803, the limit that keeps false alarms at 10 %"
    assert flagged.reasons == (f"{words} (n = 10)",)
    assert combined.threshold.origin == (
        "split-conformal on 10 held-out good images, weighted p-values of a (3) and b (1): "
        "at most 10 % of good images flag"
    )
    other_way = judge([result("a", 18.0), result("b", 20.0)], WEIGHTED)
    assert other_way.verdict == "pass"
    assert other_way.reasons == ()
    assert judge([result("a", 19.0), result("b", 19.0)], WEIGHTED).verdict == "pass"


@pytest.mark.parametrize("recipe", [ALL, WEIGHTED])
def test_a_missing_score_is_an_error_where_all_are_needed(recipe: Recipe) -> None:
    judgement = judge([failed("a"), result("b", 1e9)], recipe)
    assert judgement.verdict == "error"
    assert judgement.reasons == ("a: ValueError: no",)
    assert judgement.combined is None
    absent = judge([result("b", 1e9)], recipe)
    assert absent.verdict != "flag"


@pytest.mark.parametrize("combination", ["any", "all", "weighted"])
def test_a_gate_abstains_from_every_combination(combination: str) -> None:
    recipe = recipe_of(
        {"a": RAMP, "b": RAMP, "gate": RAMP}, gates=("gate",), combination=combination
    )
    worst = [result("a", 1e9), result("b", 1e9)]
    gated = judge([*worst, result("gate", 1e9)], recipe)
    assert gated.verdict == "abstain"
    assert len(gated.reasons) == 1
    assert gated.combined is not None
    assert set(gated.combined.terms) == {"a", "b"}
    assert judge([*worst, result("gate", 0.0)], recipe).verdict == "flag"
    calm = [result("a", 0.0), result("b", 0.0), result("gate", 0.0)]
    assert judge(calm, recipe).verdict == "pass"
    assert recipe.thresholds["gate"].n == 19


@pytest.mark.parametrize("combination", ["all", "weighted"])
def test_a_single_detector_is_judged_as_ever(combination: str) -> None:
    recipe = recipe_of({"a": RAMP}, combination=combination)
    assert recipe.thresholds == ONE.thresholds
    assert judge([result("a", 18.5)], recipe) == judge([result("a", 18.5)], ONE)
    assert judge([result("a", 18.0)], recipe).verdict == "pass"


def test_a_confidence_is_said() -> None:
    ramp = [float(i) for i in range(1, 30)]
    recipe = recipe_of({"a": ramp}, confidence=0.95)
    assert recipe.thresholds["a"].value == 29.0  # the 27th without it
    judgement = judge([result("a", 29.5)], recipe)
    words = "a: 29.5 is above 29, the limit that keeps false alarms at 10 % with confidence 95 %"
    assert judgement.reasons == (f"{words} (n = 29)",)
    assert judge([result("a", 28.0)], recipe).verdict == "pass"


def test_a_flag_wins_over_an_error_and_an_error_over_a_pass() -> None:
    both = judge([failed("a"), result("b", 1e9)], TWO)
    assert both.verdict == "flag"
    assert both.reasons[0] == "a: ValueError: no"
    assert both.reasons[1].startswith("b: 1e+09 is above")
    one = judge([failed("a"), result("b", 0.0)], TWO)
    assert one.verdict == "error"
    assert one.reasons == ("a: ValueError: no",)


def test_a_calibrated_detector_that_did_not_apply_passes_nothing() -> None:
    absent = result("a", None, status="not_applicable", error="a needs object")
    judgement = judge([absent, result("b", 0.0)], TWO)
    assert judgement.verdict == "error"
    assert judgement.reasons == ("a needs object",)


def test_a_gate_abstains_whatever_the_others_say() -> None:
    gated = judge([result("a", 1e9), result("gate", 1e9)], GATED)
    assert gated.verdict == "abstain"
    assert [d.verdict for d in gated.detections] == ["flag", "abstain"]
    assert len(gated.reasons) == 1
    assert gated.reasons[0].startswith("gate: ")
    assert judge([result("a", 0.0), result("gate", 0.0)], GATED).verdict == "pass"
    assert judge([result("a", 1e9), result("gate", 0.0)], GATED).verdict == "flag"


def test_what_a_detector_found_is_said_in_the_reason() -> None:
    found = replace(result("a", 18.5), details={"because": "too dark"})
    assert judge([found], ONE).reasons == (
        "a: too dark; 18.5 is above 18, the limit that keeps false alarms at 10 % (n = 19)",
    )
    for other in (None, 3, ""):
        odd = replace(found, details={"because": other})
        assert judge([odd], ONE).reasons[0].startswith("a: 18.5 is above")


def test_gates_are_calibrated_by_themselves() -> None:
    """Flags and gates are two promises: one detector each, so each has all 19 images."""
    assert GATED.thresholds["a"].n == 19
    assert GATED.thresholds["gate"].n == 19
    assert GATED.thresholds["gate"].origin.endswith("at most 10 % of good images abstain")
    assert TWO.thresholds["a"].n == 10


def test_a_detector_beyond_the_recipe_is_scored_and_not_judged() -> None:
    judgement = judge([result("a", 0.0), result("other", 1e9)], ONE)
    assert judgement.verdict == "pass"
    assert judgement.detections[1].verdict is None


def test_a_detector_beyond_the_recipe_has_no_say_in_the_verdict() -> None:
    failed = RawResult(detector="other", version="1", task="vqa", status="error", error="it broke")
    far = RawResult(detector="more", version="1", task="safety", value=0.1, domain=OUTSIDE)
    judgement = judge([result("a", 0.0), failed, far], ONE)
    assert judgement.verdict == "pass"
    assert judgement.reasons == ()
    assert [one.verdict for one in judgement.detections] == ["pass", "error", "abstain"]


OUTSIDE = DomainScore(bundle="mini", score=3.0, threshold=1.0, inside=-1.0)
BETWEEN = DomainScore(bundle="mini", score=1.0, threshold=1.0, inside=-1.0)
INSIDE = DomainScore(bundle="mini", score=-1.0, threshold=1.0, inside=-1.0)


def placed(value: float, task: str, domain: DomainScore) -> RawResult:
    return RawResult(detector="a", version="1", task=task, value=value, domain=domain)  # type: ignore[arg-type]


def test_without_a_recipe_an_image_outside_of_the_bundle_s_world_abstains() -> None:
    judged = judge([placed(0.1, "anomaly", OUTSIDE)], None)
    assert judged.verdict == "abstain"
    assert judged.reasons == (
        "a: the image is outside of the world of bundle mini (domain gate 3, limit 1)",
    )
    for within in (BETWEEN, INSIDE):
        assert judge([placed(0.1, "anomaly", within)], None).verdict is None


@pytest.mark.parametrize("task", ["anomaly", "quality"])
def test_images_that_a_recipe_was_fitted_for_are_judged_by_that_recipe(task: str) -> None:
    assert judge([placed(3.0, task, OUTSIDE)], ONE).verdict == "pass"
    assert judge([placed(18.5, task, OUTSIDE)], ONE).verdict == "flag"


@pytest.mark.parametrize("task", ["ood", "safety", "vqa"])
def test_what_needs_the_world_never_passes_outside_of_it(task: str) -> None:
    for value in (3.0, 18.5):
        for doubtful in (OUTSIDE, BETWEEN):
            assert judge([placed(value, task, doubtful)], ONE).verdict == "abstain"
            assert judge([placed(value, task, doubtful)], None).verdict == "abstain"
    assert judge([placed(3.0, task, INSIDE)], ONE).verdict == "pass"
    assert judge([placed(3.0, task, BETWEEN)], ONE).reasons == (
        "a: the image is not surely inside of the world of bundle mini (domain gate 1, limit -1)",
    )
