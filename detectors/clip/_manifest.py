"""``manifest.json``: everything about a bundle that its graphs do not say."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipvet.detectors.errors import BundleError

__all__ = ["FileFacts", "Manifest", "Preprocessing", "Source", "TextFacts", "VisionFacts"]

MANIFEST_SCHEMA = "clipvet.bundle/1"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    std: tuple[float, float, float]

    @property
    def sha256(self) -> str:
        """Hash of all settings: calibrations hold only for the one they were made with."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class VisionFacts(_Frozen):
    """Image tower. ``grid`` is patches along one side; ``vv_start`` see ``vv_local``."""

    width: int
    layers: int
    heads: int
    patch_size: int
    grid: int
    vv_start: int
    position_interpolation: Literal["native", "bilinear", "bicubic", "bicubic-antialias"]


class TextFacts(_Frozen):
    """Text tower and tokenizer.

    Attributes:
        cleaning: what happens to a text before the tokenizer: ``clip`` is ftfy, HTML unescaping
            and whitespace folding as in CLIP; ``none`` leaves it to the tokenizer.
        vocabulary: ``open`` can spell any word; ``closed`` maps unknown words to ``unknown``.
    """

    width: int
    layers: int
    heads: int
    context_length: int
    start: int
    end: int
    padding: int = 0
    unknown: int | None = None
    cleaning: Literal["clip", "none"] = "clip"
    vocabulary: Literal["open", "closed"] = "open"


class Source(_Frozen):
    """Where the weights come from: a model name, and a tag, file or repository with its hash."""

    model: str
    weights: str
    revision: str | None = None
    sha256: str | None = None
    native_resize: str | None = None


class FileFacts(_Frozen):
    """Size and hash of one file of the bundle."""

    bytes: int
    sha256: str


class Manifest(_Frozen):
    """The content of ``manifest.json``.

    ``options`` names, for each detector, options that suit this bundle better than the published
    ones; they hold where a run says nothing else.
    """

    schema_: Literal["clipvet.bundle/1"] = Field(alias="schema", default="clipvet.bundle/1")
    name: str
    description: str
    licence: str
    source: Source
    embed_dim: int
    activation: Literal["gelu", "quickgelu"]
    precision: Literal["fp32", "fp16", "int8"]
    logit_scale: float
    vision: VisionFacts
    text: TextFacts
    preprocessing: Preprocessing
    features: dict[str, tuple[int, ...]]
    options: dict[str, dict[str, Any]] = {}
    files: dict[str, FileFacts]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and validate.

        Raises:
            BundleError: there is none, or it is not a manifest of this version.
        """
        path = folder / "manifest.json"
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(
                f"{folder} is not a bundle: cannot read manifest.json ({error})"
            ) from None
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "its text"
            raise BundleError(
                f"{path} is not a {MANIFEST_SCHEMA} manifest: {where}: {first['msg']}"
            ) from None
        for name in manifest.files:
            if Path(name).name != name or name in (".", ".."):
                raise BundleError(f"{path} lists a file outside of its folder: {name!r}")
        return manifest

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, the last file of a new bundle."""
        text = self.model_dump_json(by_alias=True, indent=1)
        (folder / "manifest.json").write_text(text + "\n", "utf-8")
