"""``detect x inappropriate-report``: documents a set of images from the run that judged it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from clipvet.detectors import RunFacts, UsageError, counted, read_records, thumbnail
from clipvet.plugins.inappropriate._dataset import Criterion, SetSummary, detection_of, summarise
from clipvet.plugins.inappropriate._page import PAGE
from clipvet.plugins.inappropriate._rule import ID

__all__ = ["report"]

# Near the top of every page, so that a report may replace a report and nothing else.
MARK = "clipvet.inappropriate-report/1"
FOLDERS = 20


def report(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER", help="Written by detect -d inappropriate.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Else inappropriate-report.html in the run folder."),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SCORE",
            help="Count images from this score on as flagged; else the run's verdicts decide, or "
            "0.9, as in the authors' scan, if it gave none.",
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Pictures for each concept.")
    ] = 6,
    clear: Annotated[
        bool, typer.Option("--clear", help="Show pictures as they are; else they are blurred.")
    ] = False,
) -> None:
    """Document what a set of images holds, as the Q16 paper does: one HTML page, nothing loaded.

    Flagged share, examples by concept (blurred), folders. Q16 is not a nudity, legality or
    child-safety filter, and an image that is not flagged is not thereby approved.
    """  # fmt: skip
    facts = RunFacts.read(run_folder)
    target = out or run_folder / "inappropriate-report.html"
    _check_target(target)
    criterion = Criterion.of(read_records(facts.records), at)
    summary = summarise(read_records(facts.records), criterion, examples_each=examples)
    if not sum(summary.methods.values()):
        raise UsageError(f"{run_folder} holds no score of {ID}: run detect -d {ID} first")
    page = _page(facts, summary, criterion, clear=clear)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written ({error.strerror}): choose another --out"
        ) from error
    flagged = summary.outcomes["flagged"]
    are = "is" if flagged == 1 else "are"
    typer.echo(f"{flagged} of {counted(summary.judged, 'judged image')} {are} flagged: {target}")


def _check_target(target: Path) -> None:
    if target.is_file():
        with target.open(encoding="utf-8", errors="replace") as file:
            if MARK in file.read(300):
                return
    if target.exists():
        raise UsageError(f"{target} exists and is no report of this kind: choose another --out")


def _page(facts: RunFacts, summary: SetSummary, criterion: Criterion, *, clear: bool) -> str:
    import jinja2

    concepts = [
        {
            "group": group,
            "pictures": [
                {
                    "id": record.image.id,
                    "score": detection.score,
                    "thumbnail": thumbnail(record.image, facts, blurred=not clear),
                }
                for record in summary.examples(group.name)
                if (detection := detection_of(record)) is not None
            ],
        }
        for group in summary.ranked(summary.concepts)
    ]
    folders = summary.ranked(summary.folders)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(PAGE).render(
        mark=MARK,
        folders_of_run=[str(folder) for folder in facts.roots.values()],
        status=facts.status,
        made=datetime.now(UTC).isoformat(timespec="minutes"),
        summary=summary,
        criterion=criterion,
        clear=clear,
        concepts=concepts,
        folders=folders[:FOLDERS],
        more_folders=max(0, len(folders) - FOLDERS),
        most=max(summary.histogram) or 1,
    )
