"""``detect eval``: how good are the scores and the verdicts, on labelled images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

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

__all__ = ["eval"]

OUTPUT, NUMBERS = "What to write", "Numbers"


def eval(  # noqa: A001, PLR0917 - the name of the command; Typer makes options of them
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folders named good and by defect type, or a category of MVTec AD or VisA.",
        ),
    ],
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="<type>/<name of the image>.png, white where the defect is; else DIR/masks or "
            "DIR/ground_truth.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Made by detect fit: its verdicts are tested, too.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    detector: Detectors = None,
    object_: ObjectName = None,
    classes: Classes = None,
    references: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Good images that detectors may learn from; none that is tested.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    settings: Settings = None,
    artefact: Artefacts = None,
    bundle: Bundle = None,
    roi: Roi = None,
    tile: Tile = None,
    overlap: Overlap = 0,
    high_bit: HighBit = None,
    draws: Annotated[
        int,
        typer.Option(
            min=0, help="Of the bootstrap; 0: no intervals of metrics.", rich_help_panel=NUMBERS
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.", rich_help_panel=NUMBERS)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write eval.json, curves and a run folder here; else nothing is kept.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Replace the run that is in DIR.", rich_help_panel=OUTPUT),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="eval.json on stdout, and no table.", rich_help_panel=OUTPUT),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress, no table.", rich_help_panel=OUTPUT),
    ] = False,
    device: Device = DeviceName.auto,
    batch: Batch = 8,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images.", rich_help_panel=MACHINE),
    ] = None,
    isolate: Isolate = False,
    isolate_time: IsolateTime = None,
    isolate_memory: IsolateMemory = None,
) -> None:
    """Measure detectors, or a recipe, on labelled images. Exits 3 if one could not be judged.

    With 95 % intervals, for each defect type; docs/eval.md defines every number.
    """  # fmt: skip
    from clipvet.cli._arguments import (
        decode_policy_from,
        isolation_from,
        query_from,
        region_from,
        specs_from,
        tiling_from,
    )
    from clipvet.cli._eval_table import print_evaluation
    from clipvet.cli._progress import steps_display
    from clipvet.detectors import EvalConfig, Host, default_detectors, evaluate

    query = query_from(object_, classes)
    default = default_detectors(query=query, references=references is not None)
    config = EvalConfig(
        folder=folder,
        masks=masks,
        out=out,
        specs=specs_from(
            detector or [], settings or [], artefact or [], recipe=recipe, default=default
        ),
        recipe=recipe,
        bundle=bundle,
        query=query,
        references=references,
        region=region_from(roi),
        tiling=tiling_from(tile, overlap),
        decode_policy=decode_policy_from(high_bit),
        device=device.value,
        batch_size=batch,
        workers=workers,
        isolate=isolation_from(isolate=isolate, seconds=isolate_time, gib=isolate_memory),
        fresh=fresh,
        draws=draws,
        seed=seed,
    )
    with steps_display("eval", quiet=quiet) as progress:
        summary = evaluate(config, host=Host.load(), progress=progress)
    if as_json:
        sys.stdout.write(summary.evaluation.to_json() + "\n")
        sys.stdout.flush()
    elif not quiet:
        print_evaluation(summary)
    raise typer.Exit(summary.exit_code)
