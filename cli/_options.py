"""Options that ``run`` and ``fit`` share, declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "MACHINE",
    "MORE",
    "VIEWS",
    "WHAT",
    "Artefacts",
    "Batch",
    "Bundle",
    "Classes",
    "Detectors",
    "Device",
    "DeviceName",
    "HighBit",
    "Isolate",
    "IsolateMemory",
    "IsolateTime",
    "ObjectName",
    "Overlap",
    "Roi",
    "Settings",
    "Tile",
]

WHAT, VIEWS, MACHINE = "What to ask", "How to look", "Machine"
MORE = "Fit again, with more"


class DeviceName(StrEnum):
    """Choices of --device."""

    auto = "auto"
    cpu = "cpu"
    openvino = "openvino"
    openvino_bf16 = "openvino-bf16"
    cuda = "cuda"
    tensorrt = "tensorrt"


Detectors = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--detector",
        metavar="ID",
        help="Repeatable; else what suits the images.",
        rich_help_panel=WHAT,
    ),
]
ObjectName = Annotated[
    str | None,
    typer.Option(
        "--object",
        metavar="NAME",
        help='What the images show; else "object".',
        rich_help_panel=WHAT,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Names of the known classes, one a line.", rich_help_panel=WHAT
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="ID.OPTION=VALUE",
        help="Repeatable; see detect plugins show ID.",
        rich_help_panel=WHAT,
    ),
]
Artefacts = Annotated[
    list[str] | None,
    typer.Option(
        "--artefact",
        metavar="ID=DIR",
        help="What a detector was trained to know; repeatable.",
        rich_help_panel=WHAT,
    ),
]
Bundle = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Model bundle, name or folder; else the embedded one.",
        rich_help_panel=WHAT,
    ),
]
Roi = Annotated[
    str | None,
    typer.Option(
        metavar="BOX|FILE",
        help="Region of interest: x0,y0,x1,y1 or a mask image.",
        rich_help_panel=VIEWS,
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(metavar="N", help="Cut images into tiles of N pixels.", rich_help_panel=VIEWS),
]
Overlap = Annotated[
    int, typer.Option(metavar="M", help="Pixels that tiles share.", rich_help_panel=VIEWS)
]
HighBit = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        help="More than 8 bits: full-range, percentile, white=N.",
        rich_help_panel=VIEWS,
    ),
]
Device = Annotated[
    DeviceName,
    typer.Option(
        help="auto: CUDA where it starts, else the CPU. The others mean just that.",
        rich_help_panel=MACHINE,
    ),
]
Batch = Annotated[
    int, typer.Option(min=1, help="Views per call of the encoder.", rich_help_panel=MACHINE)
]
Isolate = Annotated[
    bool,
    typer.Option(
        "--isolate",
        help="Detectors of plugins in worker processes: hangs and crashes cost their scores only.",
        rich_help_panel=MACHINE,
    ),
]
IsolateTime = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Of --isolate, for one batch; else 60. Ten times as long for the rest.",
        rich_help_panel=MACHINE,
    ),
]
IsolateMemory = Annotated[
    float | None,
    typer.Option(
        metavar="GIB", help="Of --isolate, for each detector; else 4.", rich_help_panel=MACHINE
    ),
]
