"""Records in a file, one a line: appended so that a killed run loses at most half a line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from clipvet.detectors._closing import Closing
from clipvet.detectors._whole import replacing
from clipvet.detectors.errors import UsageError
from clipvet.detectors.records._records import Record

__all__ = ["RecordWriter", "cut_torn_line", "read_records", "write_records"]

log = logging.getLogger("clipvet.records")


class RecordWriter(Closing):
    """Appends records to a file.

    Each record is one ``write`` of one whole line, so a kill can tear the last line only.
    Opening cuts a torn line.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        cut_torn_line(path)

    def write(self, record: Record) -> None:
        """Append one record."""
        line = memoryview(record.to_json().encode() + b"\n")
        while line:  # a full disk or a signal may take less than all of it
            line = line[self._file.write(line) :]

    def sync(self) -> None:
        """Have everything written reach the disk, power cuts included."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync, close, and let others write."""
        if not self._file.closed:
            try:
                self.sync()
            finally:
                self._file.close()


def read_records(path: str | os.PathLike[str]) -> Iterator[Record]:
    """Read records one by one; a torn last line is left out and reported to the log.

    Raises:
        UsageError: the file cannot be read, or a line is not a record (named by its number).
    """
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - entered below
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    with file:
        for number, line in enumerate(file, start=1):
            try:
                yield Record.from_json(line)
            except UsageError as error:
                if line.endswith(b"\n"):
                    raise UsageError(f"{path}, line {number}: {error}") from error
                log.warning("%s: line %d is torn (a run was killed): left out", path, number)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a whole file of records, or leave the old one as it is."""
    with replacing(path) as part, part.open("wb") as file:
        for record in records:
            file.write(record.to_json().encode() + b"\n")


def cut_torn_line(path: Path) -> int:
    """Remove what follows the last line end; returns how many bytes that were."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        keep = size
        while keep:
            first = max(0, keep - 65536)
            file.seek(first)
            end = file.read(keep - first).rfind(b"\n")
            if end >= 0:
                keep = first + end + 1
                break
            keep = first
        if keep < size:
            file.truncate(keep)
            log.warning("%s: cut a torn last line of %d bytes", path, size - keep)
    return size - keep
