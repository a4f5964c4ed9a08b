"""The other files of a recipe: calibrations, and the hashes that tie all of them together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from pydantic import Field

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors._parsing import parse_json
from clipvet.detectors.clip._verified import FileState, state_of
from clipvet.detectors.errors import RecipeError
from clipvet.detectors.recipes._audit import Photograph, audited
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._grouping import KnownImage
from clipvet.detectors.recipes._tables import RECIPE_FILE, Table, checked

__all__ = ["check_unchanged", "hash_files", "read_calibration", "verify_files", "write_calibration"]

_OWN_FOLDERS = ("artefacts", "calibrations", "probes")


def write_calibration(path: Path, detector: str, calibration: Calibration) -> None:
    """Write a calibration as JSON, image by image; floats come back bit for bit."""
    table = CalibrationFile(
        schema="clipvet.calibration/1",
        detector=detector,
        origin=f"scores of {calibration.n} {calibration.counted} that were held out from learning",
        provider=calibration.provider,
        **_columns(calibration),
    )
    path.write_text(table.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")


def read_calibration(path: Path, detector: str) -> Calibration:
    """Read what :func:`write_calibration` wrote; raises RecipeError for anything else."""
    try:
        table = checked(CalibrationFile, parse_json(path.read_text(encoding="utf-8")), path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: cannot be read ({error}): fit again") from error
    if table.detector != detector:
        raise RecipeError(f"{path}: calibrates {table.detector}, not {detector}: fit again")
    if not table.is_even():
        n = len(table.images)
        raise RecipeError(f"{path}: its lists are not all of length {n}: fit again")
    return table.calibration()


def hash_files(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file but ``recipe.toml``."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / RECIPE_FILE
    }


def verify_files(folder: Path, expected: dict[str, str]) -> dict[Path, FileState]:
    """Compare a recipe's files with its list.

    Returns:
        the state of each file before its hash was taken, for :func:`check_unchanged`.

    Raises:
        RecipeError: one is absent, changed, outside of the folder (links included), or not on
            the list.
    """
    real = folder.resolve()
    states: dict[Path, FileState] = {}
    for name, digest in expected.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise RecipeError(f"recipe {folder}: it lists {name}, which lies outside: fit again")
        if not os.path.isfile(folder / name):  # noqa: PTH113 - takes any name
            raise RecipeError(f"recipe {folder} lacks {name}: copy the whole folder or fit again")
        if not (folder / name).resolve().is_relative_to(real):
            raise RecipeError(
                f"recipe {folder}: {name} is a link to outside of it: copy the file into the recipe"
            )
        states[folder / name] = state_of(folder / name)
        if sha256_of(folder / name) != digest:
            raise RecipeError(
                f"recipe {folder}: {name} has changed since it was fitted (sha256 differs): "
                "restore it or fit again"
            )
    for part in _OWN_FOLDERS:
        for path in [folder / part, *sorted((folder / part).rglob("*"))]:
            name = path.relative_to(folder).as_posix()
            if path.is_dir() and path.is_symlink():  # rglob does not look into it
                raise RecipeError(f"recipe {folder}: {name} is a link to a folder: copy the folder")
            if path.is_file() and name not in expected:
                raise RecipeError(f"recipe {folder}: {name} does not belong to it: remove it")
    return states


def check_unchanged(states: Mapping[Path, FileState]) -> None:
    """Raise :class:`RecipeError` if a file was touched between its verification and now.

    Detectors read what they learned from its place, after the recipe was verified.
    """
    for path, before in states.items():
        try:
            same = state_of(path) == before
        except OSError:
            same = False
        if not same:
            raise RecipeError(f"{path} was replaced while the recipe was loaded: start again")


class CalibrationFile(Table):
    """What ``calibrations/<detector>.json`` holds: columns, one entry for each held-out image.

    ``fitted_on`` and its two columns name what was learned from. ``groups`` are empty strings
    for images that are a group by themselves; what a group scores is the largest of its scores.
    """

    schema_: Literal["clipvet.calibration/1"] = Field(alias="schema")
    detector: str
    origin: str
    provider: str
    group_by: str = ""
    fitted_on: tuple[str, ...]
    fitted_on_sha256: tuple[str, ...] = ()
    fitted_on_groups: tuple[str, ...] = ()
    images: tuple[str, ...] = Field(min_length=1)
    sha256: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scores: tuple[float, ...]
    map_maxima: tuple[float, ...] = ()
    map_medians: tuple[float, ...] = ()
    map_low: float | None = None

    def is_even(self) -> bool:
        """Whether columns that belong together have one length, or are empty."""
        n, learned = len(self.images), len(self.fitted_on)
        optional = (self.map_maxima, self.map_medians, self.sha256, self.groups)
        about_learned = (self.fitted_on_sha256, self.fitted_on_groups)
        return (
            len(self.scores) == n
            and all(len(column) in {0, n} for column in optional)
            and all(len(column) in {0, learned} for column in about_learned)
        )

    def calibration(self) -> Calibration:
        """What it says."""
        if not self.sha256:
            return Calibration(
                images=self.images,
                scores=np.array(self.scores, dtype=np.float64),
                map_maxima=np.array(self.map_maxima, dtype=np.float64),
                map_low=self.map_low,
                provider=self.provider,
                fitted_on=self.fitted_on,
            )
        nothing = (None,) * len(self.images)
        held_out = zip(
            self.images,
            self.sha256,
            self.groups or ("",) * len(self.images),
            self.scores,
            self.map_maxima or nothing,
            self.map_medians or nothing,
            strict=True,
        )
        learned = zip(
            self.fitted_on,
            self.fitted_on_sha256,
            self.fitted_on_groups or ("",) * len(self.fitted_on),
            strict=True,
        )
        return audited(
            (
                Photograph(id=i, sha256=s, group=g, score=x, map_maximum=high, map_median=middle)
                for i, s, g, x, high, middle in held_out
            ),
            provider=self.provider,
            learned=(KnownImage(id=i, sha256=s, group=g) for i, s, g in learned),
            group_by=self.group_by,
        )


def _columns(calibration: Calibration) -> dict[str, Any]:
    audit = calibration.audit
    if audit is None:
        return {
            "fitted_on": calibration.fitted_on,
            "images": calibration.images,
            "scores": calibration.scores.tolist(),
            "map_maxima": calibration.map_maxima.tolist(),
            "map_low": calibration.map_low,
        }
    held_out, learned = audit.held_out, audit.learned
    mapped = held_out if len(calibration.map_maxima) else ()
    grouped = bool(audit.group_by)
    return {
        "group_by": audit.group_by,
        "fitted_on": [image.id for image in learned],
        "fitted_on_sha256": [image.sha256 for image in learned],
        "fitted_on_groups": [image.group for image in learned if grouped],
        "images": [image.id for image in held_out],
        "sha256": [image.sha256 for image in held_out],
        "groups": [image.group for image in held_out if grouped],
        "scores": [image.score for image in held_out],
        "map_maxima": [image.map_maximum for image in mapped],
        "map_medians": [image.map_median for image in mapped],
    }
