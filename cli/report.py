"""``detect report``: one page to look at every image of a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from clipvet.cli._text import say

__all__ = ["report"]


def report(  # noqa: PLR0917 - Typer makes options of them
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, from detect run.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR", help="Else report.html (--folder: report/) in the run folder."
        ),
    ] = None,
    folder: Annotated[
        bool,
        typer.Option(
            "--folder", help="Pictures as files beside the page, for more than 10,000 images."
        ),
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's recipe, if it is not where it was."),
    ] = None,
    blur: Annotated[
        bool,
        typer.Option(
            "--blur",
            help="Leave only colours and rough shapes of pictures that a safety detector did not "
            "pass; else the page blurs them, and shows them on request.",
        ),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that make pictures.")] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary.")] = False,
) -> None:
    """Write one page that shows every image of a run, worst first. It loads nothing.

    Exits 0, whatever the run has flagged.
    """  # fmt: skip
    from clipvet.detectors import counted, write_report

    summary = write_report(run, out=out, folder=folder, recipe=recipe, blur=blur, workers=workers)
    if quiet:
        return
    say(
        f"{counted(summary.images, 'image')}, {summary.bytes / 1e6:.1f} MB, {summary.seconds:.1f} s"
    )
    if summary.missing:
        gone = "is gone or has changed" if summary.missing == 1 else "are gone or have changed"
        say(f"  note    {counted(summary.missing, 'original')} {gone}")
    say(f"  note    {summary.note}")
    say(f"  report  {shlex.quote(str(summary.page))}")
