"""``detect run``: judge images, wherever they come from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipvet.cli._options import (
    MACHINE,
    WHAT,
    Artefacts,
    Batch,
    Bundle,
    Classes,
    Detectors,
    Device,
    DeviceName,
    HighBit,
    Isolate,
    IsolateMemory,
    IsolateTime,
    ObjectName,
    Overlap,
    Roi,
    Settings,
    Tile,
)
from clipvet.cli._run_options import (
    ActorCpus,
    Actors,
    AllFiles,
    AsJson,
    EngineChoice,
    EngineName,
    Every,
    ExitZero,
    FilesFrom,
    Fps,
    Fresh,
    HeatmapMode,
    Heatmaps,
    Idle,
    Null,
    Out,
    PartitionSize,
    Paths,
    Quiet,
    Reconnect,
    Regions,
    Settle,
    ShardOf,
    Table,
    TableForm,
    Verify,
    WatchFolders,
)
from clipvet.cli._text import say

if TYPE_CHECKING:
    from clipvet.detectors import Record

__all__ = ["run"]


def run(  # noqa: PLR0917 - Typer makes options of them
    paths: Paths = None,
    files_from: FilesFrom = None,
    null: Null = False,
    all_files: AllFiles = False,
    watch: WatchFolders = False,
    idle: Idle = None,
    settle: Settle = None,
    every: Every = None,
    fps: Fps = None,
    reconnect: Reconnect = 5,
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
    out: Out = None,
    heatmaps: Heatmaps = HeatmapMode.overlay,
    table: Table = TableForm.jsonl,
    regions: Regions = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    fresh: Fresh = False,
    verify: Verify = False,
    exit_zero: ExitZero = False,
    device: Device = DeviceName.auto,
    batch: Batch = 8,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images.", rich_help_panel=MACHINE),
    ] = None,
    shard: ShardOf = None,
    engine: EngineChoice = EngineName.local,
    actors: Actors = None,
    actor_cpus: ActorCpus = None,
    partition: PartitionSize = None,
    isolate: Isolate = False,
    isolate_time: IsolateTime = None,
    isolate_memory: IsolateMemory = None,
) -> None:
    """Judge images. Exits 1 if one is flagged, 3 if one could not be judged.

    An existing run folder of the same configuration is resumed.
    """  # fmt: skip
    from clipvet.cli._arguments import (
        decode_policy_from,
        engine_from,
        isolation_from,
        query_from,
        region_from,
        sources_from,
        specs_from,
        tiling_from,
        watching_from,
    )
    from clipvet.cli._progress import progress_display
    from clipvet.cli._summary import print_summary
    from clipvet.detectors import (
        Host,
        Questions,
        RunConfig,
        Sampling,
        Shard,
        default_detectors,
    )

    query = query_from(object_, classes)
    default = default_detectors(
        query=query,
        references=references is not None,
        arriving=watch or shard is not None,
        sources=paths or (),
    )
    config = RunConfig(
        sources=sources_from(paths or [], files_from, null=null),
        out=out or _new_folder(Path("clipvet-runs")),
        specs=specs_from(
            detector or [], settings or [], artefact or [], recipe=recipe, default=default
        ),
        recipe=recipe,
        bundle=bundle,
        query=query,
        questions=None if questions is None else Questions.read(questions),
        references=references,
        region=region_from(roi),
        tiling=tiling_from(tile, overlap),
        decode_policy=decode_policy_from(high_bit),
        device=device.value,
        batch_size=batch,
        workers=workers,
        heatmaps=heatmaps.value,
        table=table.value,
        regions=None if regions is None else regions.value,
        fresh=fresh,
        verify=verify,
        all_files=all_files,
        shard=None if shard is None else Shard.parse(shard),
        watching=watching_from(watch=watch, idle=idle, settle=settle),
        sampling=Sampling(every=every, fps=fps),
        reconnect=reconnect,
        isolate=isolation_from(isolate=isolate, seconds=isolate_time, gib=isolate_memory),
    )
    run_images = engine_from(
        engine.value,
        workers=workers,
        as_json=as_json,
        actors=actors,
        cpus=actor_cpus,
        partition=partition,
    )
    host = Host.load()
    if watch and not quiet:
        say(f"watching {', '.join(paths or [])}: Ctrl-C ends it", err=True)
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
        say(message, err=True)
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
