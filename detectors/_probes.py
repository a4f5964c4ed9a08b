"""Does a recipe mean the same on this machine? Its probes are scored again and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from clipvet.detectors._counting import counted
from clipvet.detectors._doctor import Finding
from clipvet.detectors._inspector import Inspector
from clipvet.detectors.clip import Device
from clipvet.detectors.errors import ClipvetError
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._probing import Shift, score_probes
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._reading import FileReader

__all__ = ["examine_recipe"]

_SECTION = "recipe"


def examine_recipe(folder: Path, host: Host, *, device: Device = "auto") -> list[Finding]:
    """Load a recipe, score its probe images again, and compare.

    A detector is ``ok`` if its probes score the same bits, or so nearly the same that no image
    of its calibration would be judged otherwise; ``bad`` if some would.
    """
    try:
        with Inspector.load(folder, host=host, device=device) as inspector:
            return list(_findings(inspector, host))
    except ClipvetError as error:
        return [Finding(_SECTION, str(folder), "cannot be used", "bad", str(error))]


def _findings(inspector: Inspector, host: Host) -> Iterator[Finding]:
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
    reader = FileReader(host.readers, recipe.decode_policy)
    for shift in score_probes(recipe, inspector.engine, reader):
        yield _told(shift, recipe)


def _told(shift: Shift, recipe: Recipe) -> Finding:
    name = shift.detector
    score = f"{counted(shift.probes, 'probe')} {'scores' if shift.probes == 1 else 'score'}"
    if shift.largest == 0:
        return Finding(_SECTION, name, f"{score} the same, bit for bit")
    if math.isinf(shift.largest):
        advice = "detect run on the recipe's probes shows why"
        return Finding(_SECTION, name, "gives no score for a probe", "bad", advice)
    value = f"{score} up to {shift.largest:.2g} otherwise than when the recipe was fitted"
    if shift.holds:
        n = recipe.calibrations[name].n
        return Finding(
            _SECTION, name, value, "ok", f"none of {counted(n, 'good image')} changes its verdict"
        )
    advice = "its thresholds do not hold on this machine: fit the recipe here"
    return Finding(_SECTION, name, value, "bad", advice)
