"""From raw results to a verdict, with reasons in words.

In this order: an image that could not be decoded is ``error``; an image outside of the world of
the bundle (its domain gate; for safety, OOD and VQA: not surely inside of it) is ``abstain``, but
anomaly and quality detectors that a recipe was fitted for are judged by that recipe; a gate that is
exceeded makes it ``abstain``; a combination of the other detectors that is exceeded (any of them,
all, weighted) makes it ``flag``; a detector that gave no score makes it ``error``; otherwise it is
a ``pass``. Without a recipe there are no thresholds, hence no verdict: None. Detectors that run
beside a recipe and are not part of it get a verdict of their own and have no say in the image's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipvet.detectors.engine._results import NEEDS_THE_WORLD, RawResult
from clipvet.detectors.recipes._calibration import Threshold, percent
from clipvet.detectors.recipes._combination import Combination, float_not_above
from clipvet.detectors.records._records import ImageStatus, Verdict

if TYPE_CHECKING:
    from clipvet.detectors.recipes._recipe import Recipe

__all__ = ["Combined", "Judged", "Judgement", "Threshold", "judge"]

_PRECEDENCE: tuple[Verdict, ...] = ("abstain", "flag", "error", "pass")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the recipe makes of one raw result.

    Attributes:
        p_value: of this detector alone, against the good images of its calibration.
        threshold: above it the detector flags (a gate: abstains); None in weighted p-values,
            where only the combination has one.
        verdict: of this detector alone; None without a threshold.
    """

    p_value: float | None = None
    threshold: Threshold | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Combined:
    """What the recipe makes of all its detectors that could flag, taken together.

    Attributes:
        combination: how they make one verdict.
        value: S of this image; see ``_combination.py``.
        p_value: of S, against the good images that calibrated it.
        threshold: above it the combination flags.
        exceeded: whether S is above it; decided before rounding.
        terms: detector -> its part of S.
    """

    combination: Combination
    value: float
    p_value: float
    threshold: Threshold
    exceeded: bool
    terms: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one image.

    Attributes:
        verdict: None if it was scored and nothing could judge it.
        reasons: one sentence for each detector that decided it.
        detections: one for each raw result, in the same order.
        combined: None if there are not two detectors that could flag, or one gave no score.
    """

    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    detections: tuple[Judged, ...] = ()
    combined: Combined | None = None


def judge(
    results: Sequence[RawResult],
    recipe: Recipe | None,
    *,
    status: ImageStatus = "ok",
    reason: str | None = None,
) -> Judgement:
    """Judge one image.

    Args:
        results: of all detectors; empty if the image could not be decoded.
        recipe: where thresholds come from; None judges nothing.
        status: of the image.
        reason: why the status is not ok.
    """
    if status != "ok":
        return Judgement(verdict="error", reasons=(reason or f"the image is {status}",))
    judged = tuple(_judge_one(result, recipe) for result in results)
    combined = None if recipe is None else _combined(results, recipe)
    has_a_say = [recipe is None or r.detector in recipe.calibrations for r in results]
    verdicts = {one.verdict for one, counts in zip(judged, has_a_say, strict=True) if counts}
    if recipe is not None:
        # One detector above its threshold is not yet a flag, nor is one needed for it.
        verdicts.discard("flag")
        if _flagged(results, judged, combined, recipe):
            verdicts.add("flag")
        elif combined is not None:
            verdicts.add("pass")
    decided = next((verdict for verdict in _PRECEDENCE if verdict in verdicts), None)
    # Who failed is said beside who flagged: the promise covers the verdict of all of them.
    telling = {decided, "error"} - {"pass", None}
    reasons = [
        _reason(result, one, recipe)
        for result, one, counts in zip(results, judged, has_a_say, strict=True)
        if counts and one.verdict in telling
    ]
    if decided == "flag" and combined is not None and combined.combination == "weighted":
        reasons.append(_combined_reason(combined))
    return Judgement(verdict=decided, reasons=tuple(reasons), detections=judged, combined=combined)


def _combined(results: Sequence[RawResult], recipe: Recipe) -> Combined | None:
    joint = recipe.flagging
    names = joint.statistic.usual
    scores: dict[str, float] = {}
    for result in results:
        if result.detector in names:
            if result.value is None:
                return None
            # Of several queries the worst answer counts.
            scores[result.detector] = max(result.value, scores.get(result.detector, result.value))
    if len(names) < 2 or len(scores) < len(names):
        return None
    value = joint.statistic.of(scores)
    return Combined(
        combination=joint.statistic.combination,
        value=float_not_above(value),
        p_value=joint.p_value(value),
        threshold=joint.threshold,
        exceeded=value > joint.cut,
        terms={name: float_not_above(t) for name, t in joint.statistic.terms(scores).items()},
    )


def _flagged(
    results: Sequence[RawResult],
    judged: Sequence[Judged],
    combined: Combined | None,
    recipe: Recipe,
) -> bool:
    """Whether the combination of the detectors that could flag is exceeded."""
    names = set(recipe.flagging.statistic.usual)
    if recipe.combination == "weighted" and len(names) > 1:
        return combined is not None and combined.exceeded
    exceeded = {
        result.detector
        for result, one in zip(results, judged, strict=True)
        if result.detector in names and one.verdict == "flag"
    }
    return exceeded == names if recipe.combination == "all" else bool(exceeded)


def _out_of_world(result: RawResult, recipe: Recipe | None) -> bool:
    """True if the bundle's gate, and not the recipe, has the last word on this result."""
    bound = recipe is None or result.task in NEEDS_THE_WORLD
    return bound and result.domain is not None and result.domain.doubt(result.task) is not None


def _judge_one(result: RawResult, recipe: Recipe | None) -> Judged:
    threshold = None if recipe is None else recipe.thresholds.get(result.detector)
    calibration = None if recipe is None else recipe.calibrations.get(result.detector)
    if _out_of_world(result, recipe) and result.value is not None:
        return Judged(threshold=threshold, verdict="abstain")
    if result.status == "error" or (result.value is None and calibration is not None):
        return Judged(threshold=threshold, verdict="error")
    if recipe is None or calibration is None or result.value is None:
        return Judged()
    p_value = calibration.p_value(result.value)
    if threshold is None:
        return Judged(p_value=p_value)
    if result.value <= threshold.value:
        return Judged(p_value=p_value, threshold=threshold, verdict="pass")
    exceeded: Verdict = "abstain" if result.detector in recipe.gates else "flag"
    return Judged(p_value=p_value, threshold=threshold, verdict=exceeded)


def _reason(result: RawResult, judged: Judged, recipe: Recipe | None) -> str:
    if judged.verdict == "error":
        words = "has no query to answer" if result.status == "not_applicable" else "gave no score"
        return result.error or f"{result.detector} {words}"
    if _out_of_world(result, recipe):
        assert result.domain is not None
        return f"{result.detector}: {result.domain.doubt(result.task)}"
    assert judged.threshold is not None
    because = result.details.get("because")
    said = f"{because}; " if because and isinstance(because, str) else ""
    return f"{result.detector}: {said}{result.value:.4g} {_above(judged.threshold)}"


def _combined_reason(combined: Combined) -> str:
    names = " and ".join(combined.terms)
    return f"{names}, weighted: {combined.value:.4g} {_above(combined.threshold)}"


def _above(threshold: Threshold) -> str:
    if threshold.rate is None:
        return f"is above {threshold.value:.4g} ({threshold.origin})"
    confidence = threshold.confidence
    sure = "" if confidence is None else f" with confidence {percent(confidence)}"
    return (
        f"is above {threshold.value:.4g}, the limit that keeps false alarms at "
        f"{percent(threshold.rate)}{sure} (n = {threshold.n})"
    )
