"""The probes of a recipe, scored again: does what it says about scores hold on this machine?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.errors import FrameError, RecipeError
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._reading import FileReader

__all__ = ["Shift", "score_probes", "shift_holds"]

# A shift of this part of the interquartile range of good scores is another scale, not rounding.
_MOST_OF_THE_SPREAD = 0.01


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far the probes of one detector are from what they scored when the recipe was fitted.

    Attributes:
        detector: its id.
        probes: how many there are.
        largest: difference of a raw score, 0 for the same bits; infinite if one has none here.
        holds: see :func:`shift_holds`.
    """

    detector: str
    probes: int
    largest: float
    holds: bool


def score_probes(recipe: Recipe, engine: Engine, reader: FileReader) -> Iterator[Shift]:
    """One for each detector; none of a recipe without probes.

    Raises:
        RecipeError: a probe cannot be read here.
    """
    shifts: dict[str, list[float]] = {spec.id: [] for spec in recipe.specs}
    for probe in recipe.probes:
        try:
            (results,) = engine.score([reader.read(probe.file)], [(recipe.query,)])
        except FrameError as error:
            raise RecipeError(f"{probe.file}: the probe cannot be read here ({error})") from error
        for name, expected in probe.scores.items():
            values = [result.value for result in results if result.detector == name]
            # Of several queries the worst answer counts, as in the fit.
            scores = [value for value in values if value is not None]
            complete = bool(scores) and len(scores) == len(values)
            shifts[name].append(abs(max(scores) - expected) if complete else math.inf)
    for name, found in shifts.items():
        if found:
            largest = max(found)
            holds = shift_holds(recipe, name, largest)
            yield Shift(detector=name, probes=len(found), largest=largest, holds=holds)


def shift_holds(recipe: Recipe, name: str, shift: float) -> bool:
    """Whether a detector that scores by so much otherwise still means the same.

    No image of its calibration would be judged otherwise, and the shift is small beside the
    spread of their scores.
    """
    if shift == 0:
        return True
    scores, threshold = recipe.calibrations[name].scores, recipe.thresholds.get(name)
    low, high = np.quantile(scores, (0.25, 0.75))
    if not shift <= _MOST_OF_THE_SPREAD * (high - low):
        return False
    if threshold is None:
        return _undecided(recipe, name, shift) <= 0
    near = int((np.abs(scores - threshold.value) < shift).sum())
    # The threshold is one of the scores itself, and moves with them.
    return near - int((scores == threshold.value).any()) <= 0


def _undecided(recipe: Recipe, name: str, shift: float) -> int:
    """How many calibrating images of a combined threshold a shift of one detector could move."""
    flagging = recipe.flagging
    names = list(flagging.statistic.usual)
    rows = list(zip(*(recipe.calibrations[one].scores.tolist() for one in names), strict=True))
    near = 0
    for row in rows[-len(flagging.values) :]:
        scores = dict(zip(names, row, strict=True))
        above, below = (
            flagging.statistic.of({**scores, name: scores[name] + by}) > flagging.cut
            for by in (shift, -shift)
        )
        near += above != below
    # The cut is one of the values itself, and moves with them.
    return near - (flagging.cut in flagging.values)
