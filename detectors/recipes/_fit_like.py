"""A new fit with everything that a recipe fixes, and with what its detectors can add to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clipvet.detectors.clip import Device
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.recipes._accepted import Accepted
from clipvet.detectors.recipes._bad_images import ThresholdRule
from clipvet.detectors.recipes._grouping import GroupBy
from clipvet.detectors.recipes._plan import FitConfig
from clipvet.detectors.recipes._recipe import Recipe

__all__ = ["fit_like"]


def fit_like(
    folder: Path,
    *,
    sources: tuple[Path, ...],
    out: Path,
    rate: float | None = None,
    bad: tuple[Path, ...] = (),
    shots: int | None = None,
    accepted: tuple[Accepted, ...] = (),
    device: Device = "auto",
    batch_size: int = 8,
    isolate: Isolation | None = None,
) -> FitConfig:
    """Configure a fit with everything that a recipe fixes.

    Args:
        folder: of the recipe. Detectors that ``learns_on`` add to what they learned from its good
            images; what the others learned is left behind.
        sources: files and folders of good images; the old ones among them, unless every detector
            that learns can add to what it knows.
        out: the folder of the new recipe; new or empty.
        rate: false alarms to promise; None keeps the rate of the recipe.
        bad: files and folders of bad images, to measure with.
        shots: images, or groups of them, to learn from.
        accepted: reviewed false alarms.
        device: as for :class:`Engine`.
        batch_size: likewise.
        isolate: likewise.

    Raises:
        RecipeError: no recipe, or a file is absent or changed.
    """
    recipe = Recipe.load(folder)
    patterns = {c.audit.group_by for c in recipe.calibrations.values() if c.audit is not None}
    group_by = next((GroupBy(pattern) for pattern in patterns if pattern), None)
    learned = {
        name: c.audit.learned
        for name, c in recipe.calibrations.items()
        if c.audit is not None and c.audit.learned
    }
    promises = ThresholdRule.parse(recipe.threshold) is None or bool(recipe.gates)
    return FitConfig(
        sources=sources,
        out=out,
        specs=tuple(
            replace(spec, artefact=None)
            if recipe.calibrations[spec.id].fitted_on and spec.id not in learned
            else spec
            for spec in recipe.specs
        ),
        gates=recipe.gates,
        combination=recipe.combination,
        weights=recipe.weights,
        bundle=recipe.bundle,
        query=recipe.query,
        region=recipe.region,
        tiling=recipe.tiling,
        decode_policy=recipe.decode_policy,
        rate=recipe.rate if rate is None and promises else rate,
        confidence=recipe.confidence,
        bad=bad,
        threshold=recipe.threshold,
        shots=shots,
        group_by=group_by,
        accepted=accepted,
        learned=learned,
        device=device,
        batch_size=batch_size,
        isolate=isolate,
    )
