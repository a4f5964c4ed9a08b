"""From a run folder to its report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipvet.detectors._in_order import in_order
from clipvet.detectors.errors import UnfitEnvironment
from clipvet.detectors.reports._calibrations import Calibrations, calibrations_of
from clipvet.detectors.reports._entries import Entry, EntryMaker
from clipvet.detectors.reports._facts import RunFacts
from clipvet.detectors.reports._index import read_index, record_at
from clipvet.detectors.reports._page import page_pieces
from clipvet.detectors.reports._page_facts import page_facts
from clipvet.detectors.reports._paths import Masker
from clipvet.detectors.reports._target import Target
from clipvet.detectors.runs._folder import list_files
from clipvet.detectors.runs._removal import REPORT_PICTURES

__all__ = ["ReportSummary", "write_report"]

# One file holds every picture: the more there are, the smaller they must be.
_SIDES = ((300, 480), (2000, 320))
_LEAST_SIDE = 192
_FOLDER_SIDE = 480


@dataclass(frozen=True, kw_only=True)
class ReportSummary:
    """What was written.

    Attributes:
        page: the file to open.
        images: on the page.
        missing: of these, images whose original is gone or has changed.
        bytes: of the page, with the pictures beside it.
        seconds: wall-clock time.
        note: what scores are shown against, in one sentence.
    """

    page: Path
    images: int
    missing: int
    bytes: int
    seconds: float
    note: str


def write_report(
    run: str | os.PathLike[str],
    *,
    out: Path | None = None,
    folder: bool = False,
    recipe: Path | None = None,
    blur: bool = False,
    workers: int | None = None,
) -> ReportSummary:
    """Write a page that shows every image of a run, worst first.

    The page loads nothing from anywhere and names no folder of this machine. Memory holds one
    row of figures for each image, and a few pictures at a time.

    Args:
        run: a run folder; the run may still be going on.
        out: the file, with ``folder`` the folder; else ``report.html`` or ``report/`` in the
            run folder. May exist if it is a report.
        folder: pictures become files beside the page, for runs of more than some 10,000 images.
        recipe: whose held-out scores the scores are shown against; else the run's own recipe if
            it is still where it was.
        blur: pictures that a safety detector did not pass keep colours and rough shapes only;
            else the page blurs them and can show them.
        workers: threads that make pictures; None is one for each core, at most 8.

    Raises:
        UsageError: no run folder, no records, a recipe that is not the run's, or ``out`` is
            something else.
        RecipeError: ``recipe`` is none or is damaged.
        UnfitEnvironment: ``out`` cannot be written.
    """
    start = time.perf_counter()
    facts = RunFacts.read(Path(run))
    target = Target.of(facts.folder, out, folder=folder)
    calibrations = calibrations_of(facts, recipe)
    masker = Masker(roots=facts.roots)
    index = read_index(facts.records, masker)
    for column in index.columns:
        column.span = column.span or calibrations.spans.get(column.id)
    count = len(index.rows)
    maker = EntryMaker(
        facts=facts,
        index=index,
        masker=masker,
        side=_FOLDER_SIDE if folder else next((s for n, s in _SIDES if count <= n), _LEAST_SIDE),
        blur=blur,
    )
    threads = workers or min(8, len(os.sched_getaffinity(0)))
    missing: list[int] = []
    try:
        with target.writing() as place:
            _write(place, maker, calibrations, missing, threads=threads, folder=folder)
        written = target.size()
    except OSError as error:
        raise UnfitEnvironment(
            f"cannot write {target.path} ({error.strerror or error}): choose another --out, or "
            "make room"
        ) from error
    if out is None:
        list_files(facts.folder)
    return ReportSummary(
        page=target.page,
        images=count,
        missing=len(missing),
        bytes=written,
        seconds=time.perf_counter() - start,
        note=calibrations.note,
    )


def _write(
    place: Path,
    maker: EntryMaker,
    calibrations: Calibrations,
    missing: list[int],
    *,
    threads: int,
    folder: bool,
) -> None:
    page = place / "index.html" if folder else place
    pictures = place / REPORT_PICTURES if folder else None
    if pictures is not None:
        pictures.mkdir(parents=True)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="clipvet-report")
    try:
        rows = maker.index.rows
        given = zip(rows, record_at(maker.facts.records, rows), strict=True)
        made = in_order(pool, maker.make, given, 4 * threads)
        entries = _entries((one for one in made if one is not None), missing, pictures)
        facts = page_facts(maker.facts, maker.index, calibrations, maker.masker, blurred=maker.blur)
        facts["missing"] = lambda: len(missing)  # known after the last entry
        with page.open("w", encoding="utf-8") as file:
            file.writelines(page_pieces(facts, entries, folder=folder))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _entries(
    made: Iterator[Entry], missing: list[int], pictures: Path | None
) -> Iterator[Mapping[str, Any]]:
    for number, entry in enumerate(made):
        if not entry.from_original and entry.values["width"] is not None:
            missing.append(number)
        picture = entry.picture
        address = picture.data
        if pictures is not None and picture.webp is not None:
            name = f"{number:06d}.webp"
            (pictures / name).write_bytes(picture.webp)
            address = f"{REPORT_PICTURES}/{name}"
        yield {
            **entry.values,
            "picture": address,
            "size": list(picture.size),
            "original": entry.from_original,
        }
