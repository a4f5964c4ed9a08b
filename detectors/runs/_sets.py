"""After the last image: what set-level detectors say about all of them, from the disk."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from clipvet.detectors._detector import ImageGroup, ImageScores
from clipvet.detectors._whole import replacing, room
from clipvet.detectors.engine._capture import captured
from clipvet.detectors.engine._containment import blame, checked_finding
from clipvet.detectors.engine._setup import Slot
from clipvet.detectors.errors import DetectorError
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._ids import file_stem
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._late_scores import LateScores, is_spooled
from clipvet.detectors.runs._removal import RECORDS, SETS
from clipvet.detectors.runs._set_store import Store
from clipvet.detectors.runs._tally import SetSummary, Tally

__all__ = ["finish_sets"]

log = logging.getLogger("clipvet.run")


def finish_sets(
    folder: RunFolder,
    slots: Sequence[Slot],
    late: LateScores,
    tally: Tally,
    on_record: Callable[[Record], None] = lambda _record: None,
) -> list[SetSummary]:
    """Let every set-level detector finish; one that fails costs its own results only.

    Scores that were pending replace the records as one file: a run that is killed before has
    all of them pending, one that is killed after has all of them.

    Args:
        folder: of the run; its records are complete but for what is pending.
        slots: the detectors.
        late: takes the scores of images.
        tally: of the records; counts them again if they change.
        on_record: called with every record that has changed.

    Raises:
        UnfitEnvironment: the disk is full.
    """
    sets = [
        _finished(folder.path, slot, late)
        for slot in slots
        if slot.keeps and slot.detector is not None
    ]
    if tally.spooled:
        failures = {one.detector: one.error for one in sets if one.error is not None}
        reasons = {one.detector: one.notes[-1] for one in sets if one.notes}
        folder.rewrite(late.records(failures, reasons))
        tally.restart()
        for record in read_records(folder.path / RECORDS):
            tally.add(record)
            if is_spooled(record):
                on_record(record)
    return sets


def _finished(folder: Path, slot: Slot, late: LateScores) -> SetSummary:
    store = Store(folder / RECORDS, slot.id, slot.keeps)
    name = f"{SETS}/{file_stem(slot.id)}.jsonl"
    path = folder / name
    groups, images = Counter[str](), Counter[str]()
    notes: list[str] = []
    scored = 0
    try:
        with room(path):
            path.parent.mkdir(exist_ok=True)
            with (
                (folder / RECORDS).open("rb") as records,
                replacing(path) as part,
                part.open("w", encoding="utf-8") as out,
            ):
                for said in _said(slot, store):
                    if isinstance(said, str):
                        notes.append(said)
                    elif isinstance(said, ImageScores):
                        late.take(slot, store.record(records, int(said.place)), said.views)
                        scored += 1
                    else:
                        _write_group(out, said, store, records)
                        groups[said.kind] += 1
                        images[said.kind] += len(said.members)
    except (DetectorError, TypeError, ValueError) as error:
        log.debug("%s failed to finish", slot.id, exc_info=True)
        path.unlink(missing_ok=True)  # of an earlier call: it lacks the images since
        return SetSummary(detector=slot.id, error=f"{blame(slot.id, error)} (after the run)")
    return SetSummary(
        detector=slot.id,
        file=name,
        groups=dict(groups),
        images=dict(images),
        scored=scored,
        notes=tuple(notes),
    )


def _said(slot: Slot, store: Store) -> Iterator[ImageGroup | ImageScores | str]:
    """What it finds, one by one; whatever the detector raises is a :class:`DetectorError`."""
    assert slot.detector is not None
    try:
        with captured(slot.id):
            for said in slot.detector.finish(store):
                yield checked_finding(said)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise DetectorError(blame(slot.id, error)) from error


def _write_group(out: TextIO, group: ImageGroup, store: Store, records: BinaryIO) -> None:
    """A group's line, image by image: it may have very many."""
    details = json.dumps(dict(group.details), allow_nan=False)
    out.write(f'{{"kind": {json.dumps(group.kind)}, "details": {details}, "images": [')
    for number, place in enumerate(group.members):
        image = json.dumps(store.record(records, int(place)).image.id)
        out.write(f", {image}" if number else image)
    out.write("]}\n")
