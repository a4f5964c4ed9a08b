"""What one set-level detector kept of each image of a run, read from disk.

Records, and the files that they name, are the only memory: a run that was killed and resumed
loses none of it, and nothing but places in a file grows with the run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, overload

from clipvet.detectors.records._records import DetectionRecord, Record
from clipvet.detectors.runs._spool import SpoolFile

__all__ = ["Store", "spooled_detection"]


class Store(Sequence[Mapping[str, Any]]):
    """Details and arrays of each image; the images of the iteration are counted from 0.

    Args:
        path: of the records.
        detector: whose details are read.
        keeps: names of these details.
    """

    def __init__(self, path: Path, detector: str, keeps: frozenset[str]) -> None:
        self._path = path
        self._detector = detector
        self._keeps = keeps
        self._starts = array("Q")  # of the lines that count, as far as they have been read
        self._complete = False

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        start = 0
        with self._path.open("rb") as file:
            for line in file:
                kept = self._kept(Record.from_json(line))
                if kept is not None:
                    if not self._starts or start > self._starts[-1]:
                        self._starts.append(start)
                    yield kept
                start += len(line)
        self._complete = True

    def __len__(self) -> int:
        if not self._complete:
            for _ in self:
                pass
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        size = len(self)
        if not -size <= place < size:
            raise IndexError(f"place {place} of a store of {size}")
        with self._path.open("rb") as file:
            kept = self._kept(self.record(file, place % size))
        assert kept is not None
        return kept

    def record(self, file: BinaryIO, place: int) -> Record:
        """The record of the image at a place of the iteration.

        Args:
            file: the records, open.
            place: from 0.
        """
        if not 0 <= place < len(self):
            raise ValueError(f"a group has place {place}, the store has {len(self)}")
        file.seek(self._starts[place])
        return Record.from_json(file.readline())

    def _kept(self, record: Record) -> Mapping[str, Any] | None:
        for one in record.detections:
            if one.detector == self._detector and one.details.keys() >= self._keeps:
                details = {name: one.details[name] for name in self._keeps}
                return _Kept(details, self._path.parent / one.spool) if one.spool else details
        return None


def spooled_detection(record: Record, detector: str) -> DetectionRecord | None:
    """The detection of a detector that has arrays for after the run, if there is one."""
    return next((d for d in record.detections if d.detector == detector and d.spool), None)


class _Kept(Mapping[str, Any]):
    """Details of an image and its arrays, whose file is opened when one is asked for."""

    def __init__(self, details: Mapping[str, Any], path: Path) -> None:
        self._details = details
        self._path = path

    @cached_property
    def _arrays(self) -> SpoolFile:
        return SpoolFile(self._path)

    def __getitem__(self, name: str) -> Any:
        return self._details[name] if name in self._details else self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._details
        yield from (name for name in self._arrays if name not in self._details)

    def __len__(self) -> int:
        return sum(1 for _ in self)
