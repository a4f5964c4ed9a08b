"""The calibrations that the scores of a run are shown against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._counting import counted
from clipvet.detectors.errors import RecipeError, UsageError
from clipvet.detectors.recipes._combination import float_not_above
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.reports._facts import RunFacts

__all__ = ["Calibrations", "calibrations_of"]


@dataclass(frozen=True, kw_only=True)
class Calibrations:
    """What is known of good images.

    Attributes:
        of: detector -> its scores of held-out good images; float64 [n].
        together: what all that could flag gave together, on those that calibrated it; float64
            [n]. None without two such detectors.
        spans: detector -> lowest and highest score that pictures show.
        note: one sentence for the reader; says why there are none, if there are none.
    """

    of: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    together: NDArray[np.float64] | None = None
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    note: str


def calibrations_of(facts: RunFacts, folder: Path | None) -> Calibrations:
    """Of the recipe at ``folder``, else of the run's own if it is still where it was.

    Raises:
        UsageError: ``folder`` holds another recipe than that of the run, or one for another
            bundle.
        RecipeError: it holds none, or a damaged one.
    """
    used = facts.configuration.get("recipe")
    if folder is not None:
        recipe = Recipe.load(folder)
        _check_fits(facts, recipe, folder)
        words = "" if recipe.sha256 == used else " (the run itself did not use it)"
        return _of(recipe, words)
    own = "Scores are shown against those of the run itself"
    if not used:
        return Calibrations(note=f"{own}: it had no recipe.")
    place = facts.state.get("recipe_folder")
    try:
        found = Recipe.load(Path(str(place))) if place else None
    except (RecipeError, UsageError, OSError, ValueError):
        found = None
    if found is None or found.sha256 != used:
        return Calibrations(
            note=f"{own}: its recipe ({str(used)[:12]}) is not where it was, or has changed; "
            "detect report --recipe DIR finds it."
        )
    return _of(found, "")


def _of(recipe: Recipe, words: str) -> Calibrations:
    *others, last = sorted({calibration.n for calibration in recipe.calibrations.values()})
    counts = " or ".join([*map(str, others), counted(last, "good image")])
    spans = {spec.id: recipe.heatmap_range(spec.id) for spec in recipe.specs}
    joint = recipe.flagging
    several = len(joint.statistic.usual) > 1
    return Calibrations(
        of={name: calibration.scores for name, calibration in recipe.calibrations.items()},
        together=np.array([float_not_above(s) for s in joint.values]) if several else None,
        spans={name: span for name, span in spans.items() if span is not None},
        note=f"Scores are shown against those of {counts} that "
        f"recipe {recipe.sha256[:12]} held out{words}.",
    )


def _check_fits(facts: RunFacts, recipe: Recipe, folder: Path) -> None:
    used = facts.configuration.get("recipe")
    if used and used != recipe.sha256:
        raise UsageError(
            f"{folder} is not the recipe of this run ({str(used)[:12]}, this is "
            f"{recipe.sha256[:12]}): give that one, or leave --recipe out"
        )
    bundles = facts.configuration.get("bundles")
    if isinstance(bundles, dict) and recipe.bundle_sha256 not in bundles.values():
        raise UsageError(
            f"{folder} was fitted on bundle {recipe.bundles[0].id} "
            f"({recipe.bundle_sha256[:12]}), which this run did not use: leave --recipe out"
        )
