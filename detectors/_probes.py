"""Does a recipe mean the same on this machine? Its probes are scored again and compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clipvet.detectors._doctor import Finding
from clipvet.detectors._inspector import Inspector
from clipvet.detectors.clip import Device
from clipvet.detectors.errors import ClipvetError
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._recipe import Recipe

__all__ = ["examine_recipe"]

_SECTION = "recipe"
# A shift of this part of the interquartile range of good scores is another scale, not rounding.
_MOST_OF_THE_SPREAD = 0.01


def examine_recipe(folder: Path, host: Host, *, device: Device = "auto") -> list[Finding]:
    """Load a recipe, score its probe images again, and compare.

    A detector is ``ok`` if its probes score the same bits, or so nearly the same that no image
    of its calibration would be judged otherwise; ``bad`` if some would.
    """
    try:
        with Inspector.load(folder, host=host, device=device) as inspector:
            return list(_findings(inspector))
    except ClipvetError as error:
        return [Finding(_SECTION, str(folder), "cannot be used", "bad", str(error))]


def _findings(inspector: Inspector) -> Iterator[Finding]:
    recipe, provider = inspector.recipe, inspector.engine.provider
    assert recipe is not None
    yield Finding(
        _SECTION,
        "recipe",
        f"fitted {recipe.created} by clipvet {recipe.version} on {recipe.provider}",
        "ok" if provider == recipe.provider else "note",
        "" if provider == recipe.provider else f"this machine computes on {provider}",
    )
    if not recipe.probes:
        yield Finding(_SECTION, "probes", "none", "note", "it cannot be told what has changed")
        return
    shifts: dict[str, list[float]] = {spec.id: [] for spec in recipe.specs}
    for probe in recipe.probes:
        record = inspector(probe.file)
        if record.status != "ok":
            yield Finding(_SECTION, probe.file.name, record.status, "bad", record.reasons[0])
            continue
        for name, expected in probe.scores.items():
            scores = [one.score for one in record.detections if one.detector == name]
            if any(score is None for score in scores) or not scores:
                shifts[name].append(float("inf"))
            else:
                shifts[name].append(abs(max(s for s in scores if s is not None) - expected))
    for name, found in shifts.items():
        if found:
            yield _compared(name, max(found), len(found), recipe)


def _compared(name: str, shift: float, probes: int, recipe: Recipe) -> Finding:
    images = f"{probes} probe{'s' if probes > 1 else ''}"
    if shift == 0:
        return Finding(_SECTION, name, f"{images} score the same, bit for bit")
    if not np.isfinite(shift):
        advice = "detect run on the recipe's probes shows why"
        return Finding(_SECTION, name, "gives no score for a probe", "bad", advice)
    calibration, threshold = recipe.calibrations[name], recipe.thresholds.get(name)
    if threshold is None:
        near = _undecided(recipe, name, shift)
    else:
        near = int((np.abs(calibration.scores - threshold.value) < shift).sum())
        # The threshold is one of the scores itself, and moves with them.
        near -= int((calibration.scores == threshold.value).any())
    low, high = np.quantile(calibration.scores, (0.25, 0.75))
    value = f"{images} score up to {shift:.2g} otherwise than when the recipe was fitted"
    if near <= 0 and shift <= _MOST_OF_THE_SPREAD * (high - low):
        return Finding(
            _SECTION, name, value, "ok", f"none of {calibration.n} good images changes its verdict"
        )
    advice = "its thresholds do not hold on this machine: fit the recipe here"
    return Finding(_SECTION, name, value, "bad", advice)


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
