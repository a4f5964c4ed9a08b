"""``detect run``: judge images of files and folders."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipvet.cli._options import (
    MACHINE,
    VIEWS,
    WHAT,
    Artefacts,
    Batch,
    Bundle,
    Classes,
    Detectors,
    Device,
    DeviceName,
    HighBit,
    ObjectName,
    Overlap,
    Roi,
    Settings,
    Tile,
)

if TYPE_CHECKING:
    from clipvet.detectors import Record

__all__ = ["run"]


class Heatmaps(StrEnum):
    """Choices of --heatmaps."""

    none = "none"
    npz = "npz"
    png = "png"
    overlay = "overlay"


class Table(StrEnum):
    """Choices of --format."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


OUTPUT = "What to write"


def run(  # noqa: PLR0917 - Typer makes options of them
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATHS...", help="Images and folders; - reads paths from stdin."),
    ] = None,
    detector: Detectors = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Made by detect fit: gives verdicts. -d adds detectors that have no say in them.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    object_: ObjectName = None,
    classes: Classes = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Questions about images: JSON lines or CSV with image, question and choices.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Good images that detectors may learn from.", rich_help_panel=WHAT
        ),
    ] = None,
    settings: Settings = None,
    artefact: Artefacts = None,
    bundle: Bundle = None,
    roi: Roi = None,
    tile: Tile = None,
    overlap: Overlap = 0,
    high_bit: HighBit = None,
    all_files: Annotated[
        bool,
        typer.Option(
            "--all-files",
            help="A record for every file, not only for images.",
            rich_help_panel=VIEWS,
        ),
    ] = False,
    null: Annotated[
        bool,
        typer.Option(
            "-0", "--null", help="Read NUL-separated paths from stdin.", rich_help_panel=VIEWS
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Run folder; else ./clipvet-runs/<time>.", rich_help_panel=OUTPUT
        ),
    ] = None,
    heatmaps: Annotated[
        Heatmaps,
        typer.Option(
            help="npz: exact. png: 16 bits. overlay: npz and pictures.", rich_help_panel=OUTPUT
        ),
    ] = Heatmaps.overlay,
    table: Annotated[
        Table,
        typer.Option("--format", help="A table beside records.jsonl.", rich_help_panel=OUTPUT),
    ] = Table.jsonl,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Records on stdout, and nothing else.", rich_help_panel=OUTPUT),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress, no summary.", rich_help_panel=OUTPUT),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Replace the run that is in the run folder.", rich_help_panel=OUTPUT
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="On resuming, compare the content of files.", rich_help_panel=OUTPUT
        ),
    ] = False,
    exit_zero: Annotated[
        bool,
        typer.Option(
            "--exit-zero",
            help="Exit 0 although images were flagged or failed.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    device: Device = DeviceName.auto,
    batch: Batch = 8,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images.", rich_help_panel=MACHINE),
    ] = None,
) -> None:
    """Judge images. Exits 1 if one is flagged, 3 if one could not be judged.

    An existing run folder of the same configuration is resumed.
    """  # fmt: skip
    from clipvet.cli._arguments import query_from, region_from, sources_from, specs_from
    from clipvet.cli._progress import progress_display
    from clipvet.cli._summary import print_summary
    from clipvet.detectors import DecodePolicy, Host, Questions, RunConfig, Tiling
    from clipvet.detectors import run as run_images
    from clipvet.detectors.errors import UsageError

    if tile is None and overlap:
        raise UsageError("--overlap belongs to --tile N: give both")
    config = RunConfig(
        sources=sources_from(paths or [], null=null),
        out=out or _new_folder(Path("clipvet-runs")),
        specs=specs_from(detector or [], settings or [], artefact or [], recipe=recipe),
        recipe=recipe,
        bundle=bundle,
        query=query_from(object_, classes),
        questions=None if questions is None else Questions.read(questions),
        references=references,
        region=None if roi is None else region_from(roi),
        tiling=None if tile is None else Tiling(tile, overlap),
        decode_policy=DecodePolicy() if high_bit is None else DecodePolicy.parse(high_bit),
        device=device.value,
        batch_size=batch,
        workers=workers,
        heatmaps=heatmaps.value,
        table=table.value,
        fresh=fresh,
        verify=verify,
        all_files=all_files,
    )
    host = Host.load()
    try:
        with progress_display(quiet=quiet) as progress:
            summary = run_images(
                config,
                host=host,
                progress=progress,
                on_record=_print_record if as_json else _pass,
            )
    except KeyboardInterrupt:
        message = f"detect: interrupted: the same command with --out {config.out} goes on with it"
        typer.echo(message, err=True)
        raise typer.Exit(130) from None
    if not quiet:
        print_summary(summary, host, to_stderr=as_json, recipe=recipe)
    raise typer.Exit(0 if exit_zero else summary.exit_code)


def _new_folder(parent: Path) -> Path:
    from datetime import datetime

    name = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder


def _print_record(record: Record) -> None:
    sys.stdout.write(record.to_json() + "\n")
    sys.stdout.flush()


def _pass(_record: Record) -> None:
    pass
