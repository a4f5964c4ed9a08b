"""What ``recipe.toml`` holds, read strictly, and how its names become paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clipvet.detectors._parsing import first_complaint, parse_toml, read_small
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import RecipeError
from clipvet.detectors.frames._views import Region
from clipvet.detectors.recipes._combination import MOST_WEIGHT, Combination

__all__ = [
    "RECIPE_FILE",
    "BadImage",
    "BoundBundle",
    "DecodeTable",
    "DetectorTable",
    "ProbeTable",
    "QueryTable",
    "RecipeFile",
    "RegionTable",
    "Table",
    "TilingTable",
    "artefact_path",
    "calibration_path",
    "checked",
    "found_name",
    "stored_name",
]

RECIPE_FILE: Final = "recipe.toml"
_MOST_BYTES: Final = 64 << 20

_MASK = "region.png"


class Table(BaseModel):
    # A key that this version does not know may change what the recipe means: refused.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DetectorId = Annotated[str, Field(min_length=1)]
Weight = Annotated[float, Field(gt=0, le=MOST_WEIGHT)]


class BoundBundle(Table):
    """A bundle that a recipe was fitted on.

    ``name`` is what finds it: a registered name, or a folder relative to the recipe.
    """

    name: str
    id: str
    sha256: Sha256
    preprocessing_sha256: Sha256


class DecodeTable(Table):
    """Fields of :class:`DecodePolicy`."""

    high_bit: str | int | None = None
    background: tuple[int, int, int]
    max_pixels: int
    max_side: int


class RegionTable(Table):
    """A box, or the file of a mask."""

    box: tuple[int, int, int, int] | None = None
    mask: str | None = None

    @classmethod
    def write(cls, region: Region, folder: Path) -> RegionTable:
        """The table of a region; a mask becomes a file of the folder."""
        if region.mask is None:
            return cls(box=region.box)
        from PIL import Image

        Image.fromarray(region.mask).save(folder / _MASK)
        return cls(mask=_MASK)

    def read(self, folder: Path) -> Region:
        """The region; raises UsageError if it is none."""
        if self.mask is not None:
            return Region.from_mask(folder / self.mask)
        return Region.parse(",".join(str(edge) for edge in self.box or ()))


class TilingTable(Table):
    """Fields of :class:`Tiling`."""

    size: int
    overlap: int


class QueryTable(Table):
    """Fields of :class:`Query`."""

    object: str | None = None
    classes: tuple[str, ...] = ()
    question: str | None = None
    choices: tuple[str, ...] = ()
    caption: str | None = None


class DetectorTable(Table):
    """One detector, with all its options. ``bundle`` is the name of one in ``bundles``."""

    id: DetectorId
    bundle: str | None = None
    artefact: bool = False
    options: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, spec: DetectorSpec, folder: Path) -> DetectorTable:
        """The table of a spec in the recipe ``folder``."""
        return cls(
            id=spec.id,
            bundle=None if spec.bundle is None else stored_name(spec.bundle, folder),
            artefact=spec.artefact is not None,
            options=dict(spec.options),
        )

    def spec(self, folder: Path) -> DetectorSpec:
        """The spec, with paths into ``folder``."""
        return DetectorSpec(
            id=self.id,
            options=self.options,
            bundle=None if self.bundle is None else found_name(self.bundle, folder),
            artefact=artefact_path(folder, self.id) if self.artefact else None,
        )


class ProbeTable(Table):
    """A held-out image and what it scored when the recipe was fitted."""

    file: str
    image: str
    scores: dict[str, float]


class BadImage(Table):
    """A bad image of the fit, its scores, and whether it chose the threshold, or measured it."""

    image: str
    sha256: str = ""
    kind: str
    chose: bool = False
    measured: bool = True
    scores: dict[str, float]


class RecipeFile(Table):
    """What ``recipe.toml`` holds."""

    schema_: Literal["clipvet.recipe/1"] = Field(alias="schema")
    created: str
    clipvet: str
    provider: str
    false_alarm: float = Field(gt=0, lt=1)
    confidence: float | None = Field(default=None, gt=0, lt=1)
    combination: Combination
    weights: dict[str, Weight] | None = None
    threshold: str = "conformal"
    validation: str | None = None
    gates: tuple[str, ...] = ()
    decode: DecodeTable
    region: RegionTable | None = None
    tiling: TilingTable | None = None
    query: QueryTable
    bundles: tuple[BoundBundle, ...] = Field(min_length=1)
    detectors: tuple[DetectorTable, ...] = Field(min_length=1)
    probes: tuple[ProbeTable, ...] = ()
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _names_what_it_holds(self) -> RecipeFile:
        ids = [detector.id for detector in self.detectors]
        if len(set(ids)) < len(ids):
            raise ValueError("a detector is named twice")
        for gate in self.gates:
            if gate not in ids:
                raise ValueError(f"gate {gate!r} is not among the detectors")
        if self.weights and self.combination != "weighted":
            raise ValueError(f"weights belong to weighted, not to {self.combination}")
        for name in self.weights or {}:
            if name not in ids or name in self.gates:
                raise ValueError(f"weight of {name!r}, which is no detector that could flag")
        used = [probe.file for probe in self.probes]
        if self.region is not None and self.region.mask is not None:
            used.append(self.region.mask)
        if self.validation is not None:
            used.append(self.validation)
        for name in used:
            if name not in self.files:
                raise ValueError(f"{name} is used, and its hash is not listed under files")
        return self

    @classmethod
    def read(cls, folder: Path) -> tuple[RecipeFile, bytes]:
        """``recipe.toml`` of a recipe, and its bytes.

        Raises:
            RecipeError: there is none, or it is not one that this version understands.
        """
        path = folder / RECIPE_FILE
        try:
            data = read_small(path, _MOST_BYTES)
            return checked(cls, parse_toml(data), path), data
        except FileNotFoundError as error:
            raise RecipeError(f"{folder}: not a recipe, it has no {RECIPE_FILE}") from error
        except (OSError, ValueError) as error:
            raise RecipeError(f"{path}: cannot be read ({error}): fit again") from error

    def to_toml(self) -> str:
        """The text of the file; what is None is left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", by_alias=True, exclude_none=True))


Model = TypeVar("Model", bound=Table)


def artefact_path(folder: Path, detector: str) -> Path:
    """Where a recipe keeps what a detector learned."""
    return folder / "artefacts" / _file_name(detector)


def calibration_path(folder: Path, detector: str) -> Path:
    """Where a recipe keeps a detector's calibration."""
    return folder / "calibrations" / f"{_file_name(detector)}.json"


def stored_name(bundle: str, folder: Path) -> str:
    """A registered name as it is; an absolute path from the recipe, with at least one slash."""
    if not Path(bundle).is_absolute():
        return bundle
    path = Path(os.path.relpath(bundle, folder)).as_posix()
    return path if "/" in path else f"./{path}"


def found_name(bundle: str, folder: Path) -> str:
    """The way back from :func:`stored_name`."""
    return os.path.normpath(folder / bundle) if "/" in bundle else bundle


def checked(model: type[Model], value: Any, path: Path) -> Model:
    """Validate what a file holds; raises RecipeError with the first thing that is wrong."""
    try:
        return model.model_validate(value)
    except (ValidationError, UnicodeEncodeError) as error:
        raise RecipeError(
            f"{path}: {first_complaint(error)}: it was edited, or made by another version"
        ) from error


def _file_name(detector: str) -> str:
    # "dist:id" has a character that not every file system takes; ".." would be another folder.
    name = quote(detector, safe="")
    return name if name.strip(".") else name.replace(".", "%2E")
