"""``detect merge``: one run out of several."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from clipvet.cli._run_options import Regions, Table, TableForm
from clipvet.cli._text import say

__all__ = ["merge"]


def merge(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="Finished runs without a common image; of --engine ray, too."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new run folder.")],
    table: Table = TableForm.jsonl,
    regions: Regions = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary.")] = False,
) -> None:
    """Make one run of the shards of a run, or of a partitioned run.

    Of shards it is what the undivided run would have written. Exits 0, whatever was flagged.
    """  # fmt: skip
    from clipvet.detectors import Host, merge_runs

    summary = merge_runs(
        [Path(run) for run in runs],
        out=out,
        host=Host.load(),
        table=table.value,
        regions=None if regions is None else regions.value,
    )
    if quiet:
        return
    tally, plural = summary.tally, "" if summary.runs == 1 else "s"
    say(
        f"{tally.images} images of {summary.runs} run{plural}: "
        f"{tally.flagged} flagged, {tally.failed} failed"
    )
    for note in summary.warnings:
        say(f"  note     {note}")
    for one in summary.sets:
        kinds = ", ".join(f"{count} of {kind} images" for kind, count in sorted(one.groups.items()))
        said = one.error or f"{one.detector}: groups: {kinds or 'none'}"
        say(f"  note     {said}")
    places = {"records": summary.out / "records.jsonl", "table": summary.table}
    places["regions"] = summary.regions
    for name, place in places.items():
        if place is not None:
            say(f"  {name:<8} {shlex.quote(str(place))}")
