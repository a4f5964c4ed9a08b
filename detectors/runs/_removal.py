"""The files of a run folder, and how to remove them without touching anything else."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from clipvet.detectors.errors import UsageError
from clipvet.detectors.records._ids import file_stem
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._regions import COCO, LABELME, labelme_name

__all__ = [
    "FAILURES",
    "RECORDS",
    "REPORT_FOLDER",
    "REPORT_MARK",
    "REPORT_PAGE",
    "REPORT_PICTURES",
    "RUN",
    "SETS",
    "SPOOL",
    "inside_pictures",
    "is_report",
    "own_files",
    "record_lines",
    "remove_report_folder",
    "remove_run",
]

RECORDS: Final = "records.jsonl"
_DOOMED: Final = "records.jsonl.removed"
FAILURES: Final = "failures.jsonl"
RUN: Final = "run.json"
REPORT_PAGE: Final = "report.html"
REPORT_FOLDER: Final = "report"
REPORT_PICTURES: Final = "pictures"
# Near the top of every report, so that a report may replace a report and nothing else.
REPORT_MARK: Final = "clipvet.report/1"
SETS: Final = "sets"
SPOOL: Final = "spool"
_REPORTS: Final = (REPORT_PAGE, f"{REPORT_FOLDER}/index.html")
_TABLES: Final = ("records.csv", "records.parquet", "records.sqlite", COCO)
_NAMED_BY_RECORDS = ("heatmaps", "overlays", LABELME, SPOOL)


def own_files(path: Path, state: Mapping[str, Any]) -> list[str]:
    """Those files of a run, beside ``run.json`` and the pictures, that are there."""
    sets = state.get("sets")
    listed = [one.get("file") for one in sets.values()] if isinstance(sets, dict) else []
    names = [RECORDS, FAILURES, *_TABLES, *_REPORTS]
    names += [name for name in listed if name and _inside(path, name, (SETS,))]
    return [name for name in names if (path / name).is_file()]


def remove_run(path: Path, state: Mapping[str, Any]) -> None:
    """Remove what a run has written, ``run.json`` last; whatever else is there stays.

    Args:
        path: the run folder.
        state: what its ``run.json`` says.
    """
    # Renamed first: were this cut off, the next run must not go on from records without pictures.
    doomed = path / _DOOMED
    _remove_pictures(path, doomed)
    if (path / RECORDS).is_file():
        (path / RECORDS).replace(doomed)
        _remove_pictures(path, doomed)
    remove_report_folder(path / REPORT_FOLDER)
    for name in own_files(path, state):
        if name not in _REPORTS or is_report(path / name):
            (path / name).unlink()
    for top in (*_NAMED_BY_RECORDS, SETS):
        for folder, _, _ in os.walk(path / top, topdown=False):
            if not any(Path(folder).iterdir()):
                Path(folder).rmdir()
    (path / RUN).unlink(missing_ok=True)


def _remove_pictures(path: Path, records: Path) -> None:
    """The pictures that some records name, and then the records."""
    for record in record_lines(records) if records.is_file() else ():
        for name in _names(record) if record else ():
            if inside_pictures(path, name):
                (path / name).unlink(missing_ok=True)
    records.unlink(missing_ok=True)


def remove_report_folder(folder: Path) -> None:
    """Remove the page and the pictures of a report; whatever else is there stays."""
    page, pictures = folder / "index.html", folder / REPORT_PICTURES
    if not is_report(page) or folder.is_symlink() or pictures.is_symlink():
        return
    for picture in pictures.glob("*.webp"):
        if picture.stem.isdigit():
            picture.unlink()
    page.unlink()
    for empty in (pictures, folder):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()


def is_report(path: Path) -> bool:
    """True for a page that ``write_report`` wrote."""
    try:
        with path.open("rb") as file:
            return REPORT_MARK.encode() in file.read(300)
    except OSError:
        return False


def record_lines(path: Path) -> Iterator[Record | None]:
    """Records; None for a line that is none (a disk lost it, or someone edited it)."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield Record.from_json(line)
            except UsageError:
                yield None


def inside_pictures(path: Path, name: str) -> bool:
    """True if a record's name for a picture leads to a file of the run."""
    return _inside(path, name, _NAMED_BY_RECORDS)


def _names(record: Record) -> Iterator[str]:
    yield labelme_name(record.image.id)
    for one in record.detections:
        if one.heatmap:
            yield from filter(None, (one.heatmap.file, one.heatmap.overlay))
        if one.spool:
            yield one.spool
            # A run that is killed while its images score each other has maps that no record names.
            stem = file_stem(f"{record.image.id}.{one.detector}")
            yield from (f"heatmaps/{stem}.npz", f"heatmaps/{stem}.png", f"overlays/{stem}.png")


def _inside(path: Path, name: str, folders: Collection[str]) -> bool:
    """A record is a file like any other: it must not name what is not the run's."""
    parts = Path(name).parts
    if not parts or parts[0] not in folders:
        return False
    top = Path(os.path.realpath(path), parts[0])
    return Path(os.path.realpath((path / name).parent)).is_relative_to(top)
