"""From raw results to a verdict, with reasons in words.

In this order: an image that could not be decoded is ``error``; an image outside of the world of
the bundle (its domain gate; for safety, OOD and VQA: not surely inside of it) is ``abstain``, but
anomaly and quality detectors that a recipe was fitted for are judged by that recipe; a gate that is
exceeded makes it ``abstain``; a detector that is exceeded makes it ``flag``; a detector that gave
no score makes it ``error``; otherwise it is a ``pass``. Without a recipe there are no thresholds,
hence no verdict: None. Detectors that run beside a recipe and are not part of it get a verdict of
their own and have no say in the image's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipvet.detectors.engine._results import NEEDS_THE_WORLD, RawResult
from clipvet.detectors.recipes._calibration import Threshold, percent
from clipvet.detectors.records._records import ImageStatus, Verdict

if TYPE_CHECKING:
    from clipvet.detectors.recipes._recipe import Recipe

__all__ = ["Judged", "Judgement", "Threshold", "judge"]

_PRECEDENCE: tuple[Verdict, ...] = ("abstain", "flag", "error", "pass")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the recipe makes of one raw result.

    Attributes:
        p_value: of this detector alone, against the good images of its calibration.
        threshold: above it the detector flags (a gate: abstains).
        verdict: of this detector alone; None without a threshold.
    """

    p_value: float | None = None
    threshold: Threshold | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one image.

    Attributes:
        verdict: None if it was scored and nothing could judge it.
        reasons: one sentence for each detector that decided it.
        detections: one for each raw result, in the same order.
    """

    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    detections: tuple[Judged, ...] = ()


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
    has_a_say = [recipe is None or r.detector in recipe.calibrations for r in results]
    verdicts = [one.verdict for one, counts in zip(judged, has_a_say, strict=True) if counts]
    decided = next((verdict for verdict in _PRECEDENCE if verdict in verdicts), None)
    # Who failed is said beside who flagged: the promise covers the verdict of all of them.
    telling = {decided, "error"} - {"pass", None}
    reasons = tuple(
        _reason(result, one, recipe)
        for result, one, counts in zip(results, judged, has_a_say, strict=True)
        if counts and one.verdict in telling
    )
    return Judgement(verdict=decided, reasons=reasons, detections=judged)


def _out_of_world(result: RawResult, recipe: Recipe | None) -> bool:
    """True if the bundle's gate, and not the recipe, has the last word on this result."""
    bound = recipe is None or result.task in NEEDS_THE_WORLD
    return bound and result.domain is not None and result.domain.doubt(result.task) is not None


def _judge_one(result: RawResult, recipe: Recipe | None) -> Judged:
    threshold = None if recipe is None else recipe.thresholds.get(result.detector)
    if _out_of_world(result, recipe) and result.value is not None:
        return Judged(threshold=threshold, verdict="abstain")
    if result.status == "error" or (result.value is None and threshold is not None):
        return Judged(threshold=threshold, verdict="error")
    if recipe is None or threshold is None or result.value is None:
        return Judged()
    p_value = recipe.calibrations[result.detector].p_value(result.value)
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
    return (
        f"{result.detector}: {said}{result.value:.4g} is above {judged.threshold.value:.4g}, "
        f"the limit that keeps false alarms at {percent(judged.threshold.rate)} "
        f"(n = {judged.threshold.n})"
    )
