"""The files of a run folder, and how to remove them without touching anything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clipvet.detectors.errors import UsageError
from clipvet.detectors.records._records import Record

__all__ = ["FAILURES", "OWN_FILES", "RECORDS", "RUN", "record_lines", "remove_run"]

RECORDS: Final = "records.jsonl"
FAILURES: Final = "failures.jsonl"
RUN: Final = "run.json"
OWN_FILES: Final = (RECORDS, FAILURES, "records.csv", "records.parquet")
_PICTURES = ("heatmaps", "overlays")


def remove_run(path: Path) -> None:
    """Remove what a run has written, ``run.json`` last; whatever else is there stays."""
    records = path / RECORDS
    if records.is_file():
        for record in record_lines(records):
            for one in record.detections if record else ():
                for name in (one.heatmap.file, one.heatmap.overlay) if one.heatmap else ():
                    if name and _inside_pictures(path, name):
                        (path / name).unlink(missing_ok=True)
    for top in _PICTURES:
        for folder, _, _ in os.walk(path / top, topdown=False):
            if not any(Path(folder).iterdir()):
                Path(folder).rmdir()
    for name in (*OWN_FILES, RUN):
        (path / name).unlink(missing_ok=True)


def record_lines(path: Path) -> Iterator[Record | None]:
    """Records; None for a line that is none (a disk lost it, or someone edited it)."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield Record.from_json(line)
            except UsageError:
                yield None


def _inside_pictures(path: Path, name: str) -> bool:
    """A record is a file like any other: it must not name what is not the run's."""
    parts = Path(name).parts
    if not parts or parts[0] not in _PICTURES:
        return False
    top = Path(os.path.realpath(path), parts[0])
    return Path(os.path.realpath((path / name).parent)).is_relative_to(top)
