"""The end of a fit in one screen: what is promised, what bad images say, what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from clipvet.cli._text import say

if TYPE_CHECKING:
    from clipvet.detectors import FitSummary, Recipe, Validation

__all__ = ["print_fit_summary"]


def print_fit_summary(summary: FitSummary) -> None:
    """Print the summary."""
    recipe = summary.recipe
    names = ", ".join(spec.id for spec in recipe.specs)
    about = recipe.query.object
    say(f"{summary.out}: recipe for {names}, asked about {about!r}, on {recipe.bundles[0].id}")
    learned = f"{summary.references} to learn from, " if summary.references else ""
    _say(
        "images",
        f"{learned}{summary.held_out} held out to calibrate, "
        f"{len(summary.left_out)} left out   {summary.seconds:.1f} s",
    )
    if (groups := summary.groups) is not None:
        _say(
            "groups",
            f"{groups.learned} to learn from, {groups.held_out} held out; images that match no "
            f"group and are one by themselves: {groups.unmatched}",
        )
    for image in summary.left_out[:10]:
        _say("", f"left out: {image.id}: {image.reason}")
    if len(summary.left_out) > 10:
        _say("", f"... and {len(summary.left_out) - 10} more")
    _promise(recipe)
    promises = bool(recipe.gates) or recipe.flagging.threshold.rate is not None
    if summary.stricter is not None and promises:
        rate, n = summary.stricter
        things = "images" if summary.groups is None else "groups"
        _say("", f"{100 * rate:g} % would take {n} held-out {things}")
    if recipe.validation is not None:
        _validation(recipe.validation)
    if recipe.probes:
        probes = len(recipe.probes)
        are = "is" if probes == 1 else "are"
        _say("probes", f"{probes} of the images {are} copied into the recipe")
    for warning in summary.warnings:
        _say("note", warning)
    _say("next", f"detect run IMAGES --recipe {shlex.quote(str(summary.out))}")


def _promise(recipe: Recipe) -> None:
    flags = recipe.flagging.threshold
    flagging = recipe.flagging.statistic.usual
    counted = next(iter(recipe.calibrations.values())).counted
    how = {
        "any": "any of its detectors",
        "all": "all of its detectors at once",
        "weighted": "the weighted p-values of its detectors",
    }
    together = f" by {how[recipe.combination]}" if len(flagging) > 1 else ""
    sure = "" if recipe.confidence is None else f" with confidence {100 * recipe.confidence:g} %"
    if flags.rate is None:
        _say("promise", f"none: {flags.origin}")
    else:
        _say(
            "promise",
            f"at most {100 * flags.rate:g} % of {counted} are flagged{together}{sure}, "
            f"calibrated on {flags.n} of them",
        )
    for gate in recipe.gates[:1]:
        n = recipe.thresholds[gate].n
        _say(
            "",
            f"at most {100 * recipe.rate:g} % of them are abstained from{sure}, calibrated on {n}",
        )
    for name, threshold in recipe.thresholds.items():
        does = "abstains" if name in recipe.gates else "flags"
        if name in flagging and recipe.combination == "all" and len(flagging) > 1:
            does = "agrees"
        _say("", f"{name} {does} above {threshold.value:.4g}")
    if not recipe.flagging.thresholds:
        _say("", f"{' and '.join(flagging)} flag above {flags.value:.4g} of the weighted mean")


def _validation(validation: Validation) -> None:
    rows = [*validation.kinds, validation.total]
    width = max(8, *(len(row.kind) for row in rows))
    head = f"{'bad':<{width}}  {'n':>5}  flagged  abstained  missed  recall (95 % interval)"
    _say("measured", head)
    for row in rows if len(rows) > 2 else rows[:1]:
        recall = "-"
        if row.recall is not None:
            recall = f"{row.recall:.2f} ({row.low:.2f} to {row.high:.2f})"
        counts = f"{row.n:>5}  {row.flagged:>7}  {row.abstained:>9}  {row.missed:>6}  {recall}"
        _say("", f"{row.kind:<{width}}  {counts}")
    good = validation.good
    _say("", f"{'good':<{width}}  {good.n:>5}  {good.flagged:>7}")
    for note in validation.notes:
        _say("", note)


def _say(what: str, text: str) -> None:
    say(f"  {what:<10} {text}")
