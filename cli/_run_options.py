"""Options of ``run`` alone: where images come from, and what is written of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ActorCpus",
    "Actors",
    "AllFiles",
    "AsJson",
    "EngineChoice",
    "EngineName",
    "Every",
    "ExitZero",
    "FilesFrom",
    "Fps",
    "Fresh",
    "HeatmapMode",
    "Heatmaps",
    "Idle",
    "Null",
    "Out",
    "PartitionSize",
    "Paths",
    "Quiet",
    "Reconnect",
    "RegionForm",
    "Regions",
    "Settle",
    "ShardOf",
    "Table",
    "TableForm",
    "Verify",
    "WatchFolders",
]

SOURCES, OUTPUT = "Where images come from", "What to write"
SCALE = "On more than one machine"


class HeatmapMode(StrEnum):
    """Choices of --heatmaps."""

    none = "none"
    npz = "npz"
    png = "png"
    overlay = "overlay"


class TableForm(StrEnum):
    """Choices of --format."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    sqlite = "sqlite"


class EngineName(StrEnum):
    """Choices of --engine."""

    local = "local"
    ray = "ray"


class RegionForm(StrEnum):
    """Choices of --regions."""

    coco = "coco"
    labelme = "labelme"


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATHS...",
        help="Images, folders, .zip, videos, 'quoted/**/*.png', camera:0 or a stream's URL; "
        "- reads paths from stdin.",
    ),
]
FilesFrom = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A list of paths, one a line.", rich_help_panel=SOURCES),
]
Null = Annotated[
    bool,
    typer.Option(
        "-0",
        "--null",
        help="Paths from stdin or --files-from end with NUL.",
        rich_help_panel=SOURCES,
    ),
]
AllFiles = Annotated[
    bool,
    typer.Option(
        "--all-files",
        help="A record for every file, not only for images.",
        rich_help_panel=SOURCES,
    ),
]
WatchFolders = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Judge what is in the folders, then what arrives, until Ctrl-C.",
        rich_help_panel=SOURCES,
    ),
]
Idle = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="End --watch when nothing has arrived for so long.",
        rich_help_panel=SOURCES,
    ),
]
Settle = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="--watch reads a file that has not changed for so long; else 1.",
        rich_help_panel=SOURCES,
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Each N-th frame of a video or camera.", rich_help_panel=SOURCES
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="At most X frames a second of a video or camera.", rich_help_panel=SOURCES
    ),
]
Reconnect = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Open a broken stream again, at most N times in a row.",
        rich_help_panel=SOURCES,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Run folder; else ./clipvet-runs/<time>.", rich_help_panel=OUTPUT
    ),
]
Heatmaps = Annotated[
    HeatmapMode,
    typer.Option(
        help="npz: exact. png: 16 bits. overlay: npz and pictures.", rich_help_panel=OUTPUT
    ),
]
Table = Annotated[
    TableForm,
    typer.Option("--format", help="A table beside records.jsonl.", rich_help_panel=OUTPUT),
]
Regions = Annotated[
    RegionForm | None,
    typer.Option(help="Regions for other tools; takes --recipe.", rich_help_panel=OUTPUT),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Records on stdout, and nothing else.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="No progress, no summary.", rich_help_panel=OUTPUT),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Replace the run that is in the run folder.", rich_help_panel=OUTPUT
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="On resuming, compare the content of files.", rich_help_panel=OUTPUT
    ),
]
ExitZero = Annotated[
    bool,
    typer.Option(
        "--exit-zero",
        help="Exit 0 although images were flagged or failed.",
        rich_help_panel=OUTPUT,
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Judge part I of N, by record id; detect merge makes one run of all parts.",
        rich_help_panel=SCALE,
    ),
]
EngineChoice = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="ray: a pool of workers on Ray Data; PATHS and --out may be s3://...",
        rich_help_panel=SCALE,
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Workers of --engine ray.", rich_help_panel=SCALE),
]
ActorCpus = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Cores of each worker; else 1.", rich_help_panel=SCALE),
]
PartitionSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Images that a worker judges at a time; else 256.",
        rich_help_panel=SCALE,
    ),
]
