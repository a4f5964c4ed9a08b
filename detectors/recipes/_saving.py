"""Writing a recipe's folder."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from clipvet.detectors.recipes._files import hash_files, write_calibration
from clipvet.detectors.recipes._tables import (
    RECIPE_FILE,
    DecodeTable,
    DetectorTable,
    ProbeTable,
    QueryTable,
    RecipeFile,
    RegionTable,
    TilingTable,
    artefact_path,
    calibration_path,
    stored_name,
)
from clipvet.detectors.recipes._validation import VALIDATION_FILE, write_validation

if TYPE_CHECKING:
    from clipvet.detectors.recipes._recipe import Recipe

__all__ = ["write_recipe"]


def write_recipe(recipe: Recipe, part: Path, out: Path) -> None:
    """Write a recipe into the empty folder ``part``, with paths as seen from ``out``."""
    for spec in recipe.specs:
        if spec.artefact is not None:
            shutil.copytree(spec.artefact, artefact_path(part, spec.id))
    (part / "calibrations").mkdir()
    for detector, calibration in recipe.calibrations.items():
        write_calibration(calibration_path(part, detector), detector, calibration)
    probes = []
    for number, probe in enumerate(recipe.probes, start=1):
        name = f"probes/{number}{probe.file.suffix.lower()}"
        (part / "probes").mkdir(exist_ok=True)
        shutil.copyfile(probe.file, part / name)
        probes.append(ProbeTable(file=name, image=probe.image, scores=dict(probe.scores)))
    region = None if recipe.region is None else RegionTable.write(recipe.region, part)
    if recipe.validation is not None:
        write_validation(part / VALIDATION_FILE, recipe.validation)
    table = RecipeFile(
        schema="clipvet.recipe/1",
        created=recipe.created,
        clipvet=recipe.version,
        provider=recipe.provider,
        false_alarm=recipe.rate,
        confidence=recipe.confidence,
        combination=recipe.combination,
        weights=dict(recipe.weights) or None,
        threshold=recipe.threshold,
        validation=None if recipe.validation is None else VALIDATION_FILE,
        gates=recipe.gates,
        decode=DecodeTable(**asdict(recipe.decode_policy)),
        region=region,
        tiling=None if recipe.tiling is None else TilingTable(**asdict(recipe.tiling)),
        query=QueryTable(**asdict(recipe.query)),
        bundles=tuple(
            one.model_copy(update={"name": stored_name(one.name, out)}) for one in recipe.bundles
        ),
        detectors=tuple(DetectorTable.of(spec, out) for spec in recipe.specs),
        probes=tuple(probes),
        files=hash_files(part),
    )
    (part / RECIPE_FILE).write_text(table.to_toml(), encoding="utf-8")
