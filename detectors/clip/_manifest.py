"""``manifest.json``: everything about a bundle that its graphs do not say."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from clipvet.detectors._parsing import first_complaint, parse_json, read_small
from clipvet.detectors.errors import BundleError

__all__ = [
    "FileFacts",
    "Manifest",
    "Preprocessing",
    "Source",
    "TextFacts",
    "TrunkFacts",
    "VisionFacts",
]

MANIFEST_SCHEMA = "clipvet.bundle/1"

_MOST_BYTES: Final = 1 << 20
# Of one feature of one view: 256 MB. The largest of ViT-L/14 at 336 pixels has 2.4 MB.
_MOST_NUMBERS: Final = 1 << 26

# Bounds of what is allocated, far above every CLIP: a claim is refused before there is memory.
Size = Annotated[int, Field(ge=1, le=1 << 16)]
TokenId = Annotated[int, Field(ge=0, le=1 << 24)]
Deviation = Annotated[float, Field(gt=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preprocessing(_Frozen):
    """From a uint8 RGB view to the network's input.

    Attributes:
        size: side of the square input in pixels.
        resize: ``squash`` (both sides to ``size``), ``shortest`` (short side to ``size``, then a
            centre crop) or ``longest`` (long side to ``size``, the rest filled with 0).
        interpolation: Pillow's antialiased filter.
        mean, std: per channel, of values in 0..1.
    """

    size: int = Field(gt=0, le=4096)
    resize: Literal["squash", "shortest", "longest"] = "squash"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float]
    std: tuple[Deviation, Deviation, Deviation]

    @property
    def sha256(self) -> str:
        """Hash of all settings: calibrations hold only for the one they were made with."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class VisionFacts(_Frozen):
    """Image tower. ``grid`` is patches along one side; ``vv_start`` see ``vv_local``."""

    width: Size
    layers: Size
    heads: Size
    patch_size: Size
    grid: Size
    vv_start: int
    position_interpolation: Literal["native", "bilinear", "bicubic", "bicubic-antialias"]


class TextFacts(_Frozen):
    """Text tower and tokenizer.

    Attributes:
        cleaning: what happens to a text before the tokenizer: ``clip`` is ftfy, HTML unescaping
            and whitespace folding as in CLIP; ``none`` leaves it to the tokenizer.
        vocabulary: ``open`` can spell any word; ``closed`` maps unknown words to ``unknown``.
    """

    width: Size
    layers: Size
    heads: Size
    context_length: Size
    start: TokenId
    end: TokenId
    padding: TokenId = 0
    unknown: TokenId | None = None
    cleaning: Literal["clip", "none"] = "clip"
    vocabulary: Literal["open", "closed"] = "open"


class Source(_Frozen):
    """Where the weights come from: a model name, and a tag, file or repository with its hash."""

    model: str
    weights: str
    revision: str | None = None
    sha256: str | None = None
    native_resize: str | None = None


class TrunkFacts(_Frozen):
    """A convolutional trunk beside the ViT, in the same graph and fed by the same pixels.

    Attributes:
        source: where its weights come from.
        licence: of its weights, as their source states it.
        input_size: side in pixels to which the graph enlarges the square input.
        strides: feature -> pixels of that input from one cell to the next; a feature has
            ``(input_size / stride) ** 2`` cells.
    """

    source: Source
    licence: str
    input_size: Size
    strides: dict[str, Size]

    def grid(self, feature: str) -> tuple[int, int]:
        """Cells (rows, columns) of one of its features."""
        side = self.input_size // self.strides[feature]
        return side, side


class FileFacts(_Frozen):
    """Size and hash of one file of the bundle."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(_Frozen):
    """The content of ``manifest.json``.

    ``options`` names, for each detector, options that suit this bundle better than the published
    ones; they hold where a run says nothing else. ``trunk`` is None where there is nothing but a
    ViT.
    """

    schema_: Literal["clipvet.bundle/1"] = Field(alias="schema", default="clipvet.bundle/1")
    name: str
    description: str
    licence: str
    source: Source
    embed_dim: Size
    activation: Literal["gelu", "quickgelu"]
    precision: Literal["fp32", "fp16", "int8"]
    logit_scale: float
    vision: VisionFacts
    trunk: TrunkFacts | None = None
    text: TextFacts
    preprocessing: Preprocessing
    features: dict[str, tuple[Size, ...]]
    options: dict[str, dict[str, Any]] = {}
    files: dict[str, FileFacts]

    @field_validator("features")
    @classmethod
    def _fit_memory(cls, features: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for name, shape in features.items():
            if not 1 <= len(shape) <= 2 or math.prod(shape) > _MOST_NUMBERS:
                raise ValueError(f"{name} has shape {list(shape)[:4]}")
        return features

    @field_validator("files")
    @classmethod
    def _lie_inside(cls, files: dict[str, FileFacts]) -> dict[str, FileFacts]:
        for name in files:
            if Path(name).name != name or name in (".", ".."):
                raise ValueError(f"a file outside of its folder: {name!r}")
        if "tokenizer.json" not in files:
            raise ValueError("there is no tokenizer.json")
        return files

    @model_validator(mode="after")
    def _trunk_fits_features(self) -> Self:
        if self.trunk is not None:
            for name in self.trunk.strides:
                cells = math.prod(self.trunk.grid(name))
                if self.features.get(name, ())[:1] != (cells,):
                    raise ValueError(f"its trunk has {cells} cells of {name}, its features differ")
        return self

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and validate.

        Raises:
            BundleError: there is none, or it is not a manifest of this version.
        """
        path = folder / "manifest.json"
        try:
            content = parse_json(read_small(path, _MOST_BYTES).decode("utf-8"))
        except OSError as error:
            raise BundleError(
                f"{folder} is not a bundle: cannot read manifest.json ({error})"
            ) from None
        except ValueError as error:
            raise BundleError(
                f"{path} is not a {MANIFEST_SCHEMA} manifest: its text: {error}"
            ) from None
        try:
            return cls.model_validate(content)
        except (ValidationError, UnicodeEncodeError) as error:
            why = first_complaint(error, "its text")
            raise BundleError(f"{path} is not a {MANIFEST_SCHEMA} manifest: {why}") from None

    def to_json(self) -> str:
        """The content of ``manifest.json``."""
        # A manifest without a trunk is the same bytes as before there were trunks.
        without = None if self.trunk is not None else {"trunk"}
        return self.model_dump_json(by_alias=True, indent=1, exclude=without) + "\n"

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, the last file of a new bundle."""
        (folder / "manifest.json").write_text(self.to_json(), "utf-8")
