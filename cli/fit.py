"""``detect fit``: from a folder of good images to a recipe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clipvet.cli._options import (
    MORE,
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

__all__ = ["fit"]

PROMISE = "Verdict and promise"


class CombinationName(StrEnum):
    """For the parser."""

    any = "any"
    all = "all"
    weighted = "weighted"


def fit(  # noqa: PLR0917 - Typer makes options of them
    good: Annotated[
        list[Path],
        typer.Argument(metavar="GOOD...", help="Images and folders of good parts, nothing else."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The recipe's folder: new or empty.")],
    detector: Detectors = None,
    object_: ObjectName = None,
    classes: Classes = None,
    settings: Settings = None,
    artefact: Artefacts = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A detector that abstains instead of flagging; repeatable.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    combine: Annotated[
        CombinationName,
        typer.Option(
            help="When several detectors flag an image together: any of them is above its "
            "threshold, all of them are, or the weighted mean of -log p is above one.",
            rich_help_panel=PROMISE,
        ),
    ] = CombinationName.any,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=W",
            help="Weight of a detector in --combine weighted, else 1; repeatable.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    false_alarm: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Share of good images that may be flagged; else the strictest of 0.01, 0.02, "
            "0.05 and 0.1 that can be promised.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            metavar="C",
            help="Keep that share with this confidence, for instance 0.95, and not only on "
            "average over the good images that could have been given; takes more of them.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    bad: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="BAD",
            help="Images of bad parts, to measure with; sub-folders are kinds of defects; "
            "repeatable.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    threshold: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="conformal: keeps the share of false alarms, whatever the bad images say. "
            "max-f1, recall=0.95: chosen on the images of --bad, and promises nothing.",
            rich_help_panel=PROMISE,
        ),
    ] = "conformal",
    shots: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=0,
            help="Images (with --group-by: parts) to learn from; else a quarter, at most 16.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Images whose ids share this match show one part: they stay together in the "
            "split, and count once.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN:IDS",
            help="Learn from false alarms of a run, too: RUN:id,id,... or RUN:@FILE with one id "
            "a line; repeatable.",
            rich_help_panel=MORE,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RECIPE",
            help="Take everything from this recipe, and add GOOD to the images that calibrate it.",
            rich_help_panel=MORE,
        ),
    ] = None,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn",
            help="With --from: learn from GOOD and calibrate anew, on GOOD alone. patchcore adds "
            "to what it knows; other detectors start afresh (give the old images, too).",
            rich_help_panel=MORE,
        ),
    ] = False,
    bundle: Bundle = None,
    roi: Roi = None,
    tile: Tile = None,
    overlap: Overlap = 0,
    high_bit: HighBit = None,
    device: Device = DeviceName.auto,
    batch: Batch = 8,
    isolate: Isolate = False,
    isolate_time: IsolateTime = None,
    isolate_memory: IsolateMemory = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no summary.")] = False,
) -> None:
    """Learn from good images, calibrate on others, and write a recipe that gives verdicts.

    Without --detector that is patchcore, with quality as a gate. Exits 3 if images were left out
    because they could not be judged; the recipe is written.
    """  # fmt: skip
    from clipvet.cli._arguments import (
        decode_policy_from,
        isolation_from,
        query_from,
        refuse,
        region_from,
        specs_from,
        tiling_from,
        weights_from,
    )
    from clipvet.cli._fit_summary import print_fit_summary
    from clipvet.cli._progress import steps_display
    from clipvet.detectors import (
        FIT_DETECTORS,
        FIT_GATES,
        Accepted,
        FitConfig,
        GroupBy,
        Host,
        RefitConfig,
        fit_like,
        refit,
    )
    from clipvet.detectors import fit as fit_recipe
    from clipvet.detectors.errors import UsageError

    accepted = tuple(Accepted.parse(text) for text in accept or ())
    limits = isolation_from(isolate=isolate, seconds=isolate_time, gib=isolate_memory)
    if recipe is None:
        if learn:
            raise UsageError("--learn belongs to --from RECIPE: give both")
        config: FitConfig | RefitConfig = FitConfig(
            sources=tuple(good),
            out=out,
            specs=tuple(
                specs_from(
                    detector or [],
                    settings or [],
                    artefact or [],
                    recipe=None,
                    default=FIT_DETECTORS,
                )
            ),
            gates=tuple(gate or (() if detector else FIT_GATES)),
            combination=combine.value,
            weights=weights_from(weight or []),
            bundle=bundle,
            query=query_from(object_, classes),
            region=region_from(roi),
            tiling=tiling_from(tile, overlap),
            decode_policy=decode_policy_from(high_bit),
            rate=false_alarm,
            confidence=confidence,
            bad=tuple(bad or ()),
            threshold=threshold,
            shots=shots,
            group_by=None if group_by is None else GroupBy(group_by),
            accepted=accepted,
            device=device.value,
            batch_size=batch,
            isolate=limits,
        )
    else:
        given = {
            "--detector": detector, "--gate": gate, "--object": object_, "--classes": classes,
            "--set": settings, "--artefact": artefact, "--bundle": bundle, "--roi": roi,
            "--tile": tile, "--overlap": overlap, "--high-bit": high_bit, "--group-by": group_by,
            "--weight": weight, "--combine": combine.value != "any",
            "--confidence": confidence, "--threshold": threshold != "conformal",
        }  # fmt: skip
        refuse(given, f"--from fixes it: leave it out, or fit without {recipe}")
        if learn:
            config = fit_like(
                recipe,
                sources=tuple(good),
                out=out,
                rate=false_alarm,
                bad=tuple(bad or ()),
                shots=shots,
                accepted=accepted,
                device=device.value,
                batch_size=batch,
                isolate=limits,
            )
        else:
            refuse(
                {"--shots": shots, "--accept": accept, "--bad": bad},
                "it is for a new fit, and --from keeps what was learned: add --learn, and give "
                "all good images",
            )
            config = RefitConfig(
                sources=tuple(good),
                recipe=recipe,
                out=out,
                rate=false_alarm,
                device=device.value,
                batch_size=batch,
                isolate=limits,
            )
    host = Host.load()
    with steps_display("fit", quiet=quiet) as progress:
        if isinstance(config, RefitConfig):
            summary = refit(config, host=host, progress=progress)
        else:
            summary = fit_recipe(config, host=host, progress=progress)
    if not quiet:
        print_fit_summary(summary)
    raise typer.Exit(3 if any(image.failed for image in summary.left_out) else 0)
