"""After the last image: what set-level detectors say about all of them, from the records on disk.

Records are the only memory: what a detector keeps of an image is in its details there, so a run
that was killed and resumed loses none of it, and nothing but places in a file grows with the run.
"""

from __future__ import annotations

import json
import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from clipvet.detectors._detector import ImageGroup
from clipvet.detectors._whole import replacing, room
from clipvet.detectors.engine._capture import captured
from clipvet.detectors.engine._containment import blame
from clipvet.detectors.engine._setup import Slot
from clipvet.detectors.errors import DetectorError
from clipvet.detectors.records._ids import file_stem
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._removal import RECORDS, SETS
from clipvet.detectors.runs._tally import SetSummary

__all__ = ["finish_sets"]

log = logging.getLogger("clipvet.run")


def finish_sets(folder: Path, slots: Sequence[Slot]) -> list[SetSummary]:
    """Let every set-level detector finish; one that fails costs its own groups only.

    Args:
        folder: of the run; its records are complete.
        slots: the detectors.

    Raises:
        UnfitEnvironment: the disk is full.
    """
    return [_finished(folder, slot) for slot in slots if slot.keeps and slot.detector is not None]


class Store:
    """What one detector keeps of each image of a run, read from its records.

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

    def __iter__(self) -> Iterator[dict[str, Any]]:
        start = 0
        with self._path.open("rb") as file:
            for line in file:
                kept = self._kept(Record.from_json(line))
                if kept is not None:
                    if not self._starts or start > self._starts[-1]:
                        self._starts.append(start)
                    yield kept
                start += len(line)

    def image(self, file: BinaryIO, place: int) -> str:
        """Id of the image at a place of the iteration.

        Args:
            file: the records, open.
            place: from 0.
        """
        if not 0 <= place < len(self._starts):
            raise ValueError(f"a group has place {place}, the store has {len(self._starts)}")
        file.seek(self._starts[place])
        return Record.from_json(file.readline()).image.id

    def _kept(self, record: Record) -> dict[str, Any] | None:
        for one in record.detections:
            if one.detector == self._detector and one.details.keys() >= self._keeps:
                return {name: one.details[name] for name in self._keeps}
        return None


def _finished(folder: Path, slot: Slot) -> SetSummary:
    store = Store(folder / RECORDS, slot.id, slot.keeps)
    name = f"{SETS}/{file_stem(slot.id)}.jsonl"
    path = folder / name
    groups, images = Counter[str](), Counter[str]()
    try:
        with room(path):
            path.parent.mkdir(exist_ok=True)
            with (
                (folder / RECORDS).open("rb") as records,
                replacing(path) as part,
                part.open("w", encoding="utf-8") as out,
            ):
                for group in _said(slot, store):
                    out.write(_head(group))
                    for number, place in enumerate(group.members):
                        image = json.dumps(store.image(records, int(place)))
                        out.write(f", {image}" if number else image)
                    out.write("]}\n")
                    groups[group.kind] += 1
                    images[group.kind] += len(group.members)
    except (DetectorError, TypeError, ValueError) as error:
        log.debug("%s failed to finish", slot.id, exc_info=True)
        path.unlink(missing_ok=True)  # of an earlier call: it lacks the images since
        return SetSummary(detector=slot.id, error=f"{blame(slot.id, error)} (after the run)")
    return SetSummary(detector=slot.id, file=name, groups=dict(groups), images=dict(images))


def _said(slot: Slot, store: Iterable[Mapping[str, Any]]) -> Iterator[ImageGroup]:
    """The groups, one by one; whatever the detector raises is a :class:`DetectorError`."""
    assert slot.detector is not None
    try:
        with captured(slot.id):
            for group in slot.detector.finish(store):
                if not isinstance(group, ImageGroup) or not group.kind:
                    raise TypeError(f"finish gave {group!r}, not an ImageGroup with a kind")
                yield group
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise DetectorError(blame(slot.id, error)) from error


def _head(group: ImageGroup) -> str:
    """A group's line up to its images, which may be very many."""
    details = json.dumps(dict(group.details), allow_nan=False)
    return f'{{"kind": {json.dumps(group.kind)}, "details": {details}, "images": ['
