"""``detect fit``: from a folder of good images to a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipvet.cli._options import (
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
    from clipvet.detectors import FitSummary

__all__ = ["fit"]


def fit(  # noqa: PLR0917 - Typer makes options of them
    good: Annotated[
        list[Path],
        typer.Argument(metavar="GOOD...", help="Images and folders of good parts, nothing else."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The recipe's folder: new or empty.")],
    detector: Detectors = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A detector that abstains instead of flagging; repeatable.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    object_: ObjectName = None,
    classes: Classes = None,
    settings: Settings = None,
    artefact: Artefacts = None,
    false_alarm: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Share of good images that may be flagged; else the strictest of 0.01, 0.02, "
            "0.05 and 0.1 that can be promised.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=0,
            help="Images to learn from; else a quarter, at most 16.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    bundle: Bundle = None,
    roi: Roi = None,
    tile: Tile = None,
    overlap: Overlap = 0,
    high_bit: HighBit = None,
    device: Device = DeviceName.auto,
    batch: Batch = 8,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no summary.")] = False,
) -> None:
    """Learn from good images, calibrate on others, and write a recipe that gives verdicts.

    Exits 3 if images were left out because they could not be judged; the recipe is written.
    """  # fmt: skip
    from clipvet.cli._arguments import query_from, region_from, specs_from
    from clipvet.cli._progress import steps_display
    from clipvet.detectors import DecodePolicy, FitConfig, Host, Tiling
    from clipvet.detectors import fit as fit_recipe
    from clipvet.detectors.errors import UsageError

    if tile is None and overlap:
        raise UsageError("--overlap belongs to --tile N: give both")
    config = FitConfig(
        sources=tuple(good),
        out=out,
        specs=tuple(specs_from(detector or [], settings or [], artefact or [], recipe=None)),
        gates=tuple(gate or ()),
        bundle=bundle,
        query=query_from(object_, classes),
        region=None if roi is None else region_from(roi),
        tiling=None if tile is None else Tiling(tile, overlap),
        decode_policy=DecodePolicy() if high_bit is None else DecodePolicy.parse(high_bit),
        rate=false_alarm,
        shots=shots,
        device=device.value,
        batch_size=batch,
    )
    with steps_display("fit", quiet=quiet) as progress:
        summary = fit_recipe(config, host=Host.load(), progress=progress)
    if not quiet:
        _print_summary(summary)
    raise typer.Exit(3 if any(image.failed for image in summary.left_out) else 0)


def _print_summary(summary: FitSummary) -> None:
    recipe = summary.recipe
    say = typer.echo
    names = ", ".join(spec.id for spec in recipe.specs)
    about = recipe.query.object
    say(f"{summary.out}: recipe for {names}, asked about {about!r}, on {recipe.bundles[0].id}")
    learned = f"{summary.references} to learn from, " if summary.references else ""
    say(
        f"  images     {learned}{summary.held_out} held out to calibrate, "
        f"{len(summary.left_out)} left out   {summary.seconds:.1f} s"
    )
    for image in summary.left_out[:10]:
        say(f"             left out: {image.id}: {image.reason}")
    if len(summary.left_out) > 10:
        say(f"             ... and {len(summary.left_out) - 10} more")
    flags = next(t for k, t in recipe.thresholds.items() if k not in recipe.gates)
    together = " by any of its detectors" if len(recipe.specs) > 1 else ""
    say(
        f"  promise    at most {100 * recipe.rate:g} % of good images are flagged{together}, "
        f"calibrated on {flags.n} of them"
    )
    for name, threshold in recipe.thresholds.items():
        does = "abstains" if name in recipe.gates else "flags"
        say(f"             {name} {does} above {threshold.value:.4g}")
    if summary.stricter is not None:
        rate, n = summary.stricter
        say(f"             {100 * rate:g} % would take {n} held-out images")
    if recipe.probes:
        say(f"  probes     {len(recipe.probes)} of the images are copied into the recipe")
    for warning in summary.warnings:
        say(f"  note       {warning}")
    say(f"  next       detect run IMAGES --recipe {shlex.quote(str(summary.out))}")
