"""The other files of a recipe: calibrations, and the hashes that tie all of them together."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from pydantic import Field

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.errors import RecipeError
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._tables import RECIPE_FILE, Table, checked

__all__ = ["hash_files", "read_calibration", "verify_files", "write_calibration"]

_OWN_FOLDERS = ("artefacts", "calibrations", "probes")


def write_calibration(path: Path, detector: str, calibration: Calibration) -> None:
    """Write a calibration as JSON; floats come back bit for bit."""
    table = CalibrationFile(
        schema="clipvet.calibration/1",
        detector=detector,
        origin=f"scores of {calibration.n} good images that were held out from learning",
        provider=calibration.provider,
        fitted_on=calibration.fitted_on,
        images=calibration.images,
        scores=tuple(calibration.scores.tolist()),
        map_maxima=tuple(calibration.map_maxima.tolist()),
        map_low=calibration.map_low,
    )
    path.write_text(table.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")


def read_calibration(path: Path, detector: str) -> Calibration:
    """Read what :func:`write_calibration` wrote; raises RecipeError for anything else."""
    try:
        table = checked(CalibrationFile, json.loads(path.read_text(encoding="utf-8")), path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: cannot be read ({error}): fit again") from error
    n = len(table.images)
    if table.detector != detector:
        raise RecipeError(f"{path}: calibrates {table.detector}, not {detector}: fit again")
    if len(table.scores) != n or len(table.map_maxima) not in (0, n):
        raise RecipeError(f"{path}: its lists are not all of length {n}: fit again")
    return Calibration(
        images=table.images,
        scores=np.array(table.scores, dtype=np.float64),
        map_maxima=np.array(table.map_maxima, dtype=np.float64),
        map_low=table.map_low,
        provider=table.provider,
        fitted_on=table.fitted_on,
    )


def hash_files(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file but ``recipe.toml``."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / RECIPE_FILE
    }


def verify_files(folder: Path, expected: dict[str, str]) -> None:
    """Compare a recipe's files with its list.

    Raises:
        RecipeError: one is absent, changed, outside of the folder, or not on the list.
    """
    for name, digest in expected.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise RecipeError(f"recipe {folder}: it lists {name}, which lies outside: fit again")
        if not (folder / name).is_file():
            raise RecipeError(f"recipe {folder} lacks {name}: copy the whole folder or fit again")
        if sha256_of(folder / name) != digest:
            raise RecipeError(
                f"recipe {folder}: {name} has changed since it was fitted (sha256 differs): "
                "restore it or fit again"
            )
    for part in _OWN_FOLDERS:
        for path in sorted((folder / part).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in expected:
                raise RecipeError(f"recipe {folder}: {name} does not belong to it: remove it")


class CalibrationFile(Table):
    """What ``calibrations/<detector>.json`` holds; lists are in the order of ``images``."""

    schema_: Literal["clipvet.calibration/1"] = Field(alias="schema")
    detector: str
    origin: str
    provider: str
    fitted_on: tuple[str, ...]
    images: tuple[str, ...] = Field(min_length=1)
    scores: tuple[float, ...]
    map_maxima: tuple[float, ...] = ()
    map_low: float | None = None
