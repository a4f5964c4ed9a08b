"""Options that `detect bundles export` and `detect bundles pull` share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = [
    "Accept",
    "Activation",
    "ActivationName",
    "AsJson",
    "BundleName",
    "ModelName",
    "Offline",
    "Origin",
    "OriginName",
    "Positions",
    "PositionsName",
    "Precision",
    "PrecisionName",
    "Resize",
    "ResizeName",
    "Size",
    "VvStart",
]


class ResizeName(StrEnum):
    SQUASH = "squash"
    SHORTEST = "shortest"
    LONGEST = "longest"


class PrecisionName(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class PositionsName(StrEnum):
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    ANTIALIAS = "bicubic-antialias"


class ActivationName(StrEnum):
    GELU = "gelu"
    QUICKGELU = "quickgelu"


class OriginName(StrEnum):
    HUB = "hub"
    URL = "url"


AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
BundleName = Annotated[str, typer.Argument(metavar="BUNDLE", help="Name, or path of a folder.")]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="open_clip name (ViT-B-32), or hf-hub:org/name.")
]
Size = Annotated[
    int | None, typer.Option("--image-size", min=1, help="Side of the input, if not as trained.")
]
Positions = Annotated[
    PositionsName, typer.Option("--positions", help="How positions are fitted to another size.")
]
Resize = Annotated[ResizeName, typer.Option("--resize", help="How an image becomes square.")]
VvStart = Annotated[
    int | None, typer.Option("--vv-start", min=0, help="First block of vv_local, from 0.")
]
Precision = Annotated[PrecisionName, typer.Option("--precision", help="Of the weights on disk.")]
Activation = Annotated[
    ActivationName | None,
    typer.Option("--activation", help="If other than the model's config says."),
]
Origin = Annotated[
    OriginName | None, typer.Option("--origin", help="For a tag that has both; default: hub.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Use what is on this machine only.")]
Accept = Annotated[
    bool, typer.Option("--accept-change", help="Take weights that changed since the first pull.")
]
