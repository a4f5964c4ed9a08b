"""Scores that come after the last image of a run, on their way into the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from clipvet.detectors._counting import counted
from clipvet.detectors._detector import Score
from clipvet.detectors.engine._containment import checked_score
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._merging import merge_scores
from clipvet.detectors.engine._setup import Slot
from clipvet.detectors.errors import FrameError
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.recipes._verdicts import judge
from clipvet.detectors.records._build import detection_record, judged_again, raw_result
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._ids import path_of
from clipvet.detectors.records._records import DetectionRecord, HeatmapFacts, Record
from clipvet.detectors.runs._removal import RECORDS
from clipvet.detectors.runs._set_store import spooled_detection
from clipvet.detectors.runs._sinks import HeatmapFiles
from clipvet.detectors.runs._spool import SpoolFile

__all__ = ["LateScores", "is_spooled"]


def is_spooled(record: Record) -> bool:
    """Whether only the end of the run can complete a record."""
    return any(one.spool for one in record.detections)


class LateScores:
    """Collects scores of set-level detectors; pictures are written as they come.

    What is kept in memory is the part of a record that changes, about a kilobyte an image.

    Args:
        heatmaps: where pictures go; its folder is the run's.
        engine: whose detectors score.
        recipe: of the run, or None.
        roots: label -> folder, as in record ids.
        read: decodes a file again, for the picture under a heatmap.
    """

    def __init__(
        self,
        heatmaps: HeatmapFiles,
        engine: Engine,
        recipe: Recipe | None,
        *,
        roots: Mapping[str, Path],
        read: Callable[[Path], Frame],
    ) -> None:
        self._heatmaps = heatmaps
        self._engine = engine
        self._recipe = recipe
        self._roots = dict(roots)
        self._read = read
        self._found: dict[tuple[str, str], DetectionRecord] = {}

    def take(self, slot: Slot, record: Record, views: Sequence[Score]) -> None:
        """Complete one detection of a record.

        Args:
            slot: the detector.
            record: of the image.
            views: a score for each view of the image.

        Raises:
            TypeError, ValueError: they are no scores of this image.
        """
        name = record.image.id
        pending = spooled_detection(record, slot.id)
        if pending is None or pending.spool is None:
            raise ValueError(f"{name} has a score already: only pending ones can be given")
        boxes = SpoolFile(self._heatmaps.folder / pending.spool).boxes
        scores = [checked_score(score) for score in views]
        if len(scores) != len(boxes) or any(score.spool for score in scores):
            wanted = counted(len(boxes), "view")
            raise ValueError(f"finish gave {counted(len(scores), 'score')} for {wanted} of {name}")
        assert record.image.width is not None
        assert record.image.height is not None
        size = record.image.width, record.image.height
        main = "" if record.runtime is None else record.runtime.bundle
        known = raw_result(pending, main)
        facts = {"detector": slot.id, "version": slot.version, "task": slot.task}
        result = merge_scores(
            slot,
            {**facts, "query": None, "domain": known.domain},
            scores,
            boxes,
            size=size,
            region=self._engine.region,
        )

        def keep(
            heatmap: Heatmap, of: str, span: tuple[float, float] | None, label: str
        ) -> HeatmapFacts:
            drawn = self._heatmaps.mode == "overlay" and span is not None
            frame = self._frame(record) if drawn else None
            return self._heatmaps.write(frame, heatmap, name=f"{name}.{of}", span=span, label=label)

        detection = detection_record(
            result,
            judge([result], self._recipe).detections[0],
            name=slot.id,
            engine=self._engine,
            recipe=self._recipe,
            keep=keep,
        )
        kept = {key: pending.details[key] for key in slot.keeps & pending.details.keys()}
        self._found[slot.id, name] = detection.model_copy(
            update={"spool": pending.spool, "details": {**kept, **detection.details}}
        )

    def records(self, failures: Mapping[str, str], reasons: Mapping[str, str]) -> Iterator[Record]:
        """All records of the run, complete.

        Args:
            failures: detector -> why it gave no scores at all.
            reasons: detector -> why an image is left without one.
        """
        for record in read_records(self._heatmaps.folder / RECORDS):
            if not is_spooled(record):
                yield record
                continue
            detections = [
                self._completed(one, record, failures, reasons) if one.spool else one
                for one in record.detections
            ]
            yield judged_again(record, detections, self._recipe)

    def _completed(
        self,
        one: DetectionRecord,
        record: Record,
        failures: Mapping[str, str],
        reasons: Mapping[str, str],
    ) -> DetectionRecord:
        failure = failures.get(one.detector)
        found = self._found.get((one.detector, record.image.id))
        if failure is None and found is not None:
            return found
        reason = reasons.get(one.detector) or f"{one.detector}: it gave this image no score"
        return one.model_copy(
            update={
                "status": "not_applicable" if failure is None else "error",
                "error": failure or reason,
                "score": None,
                "heatmap": None,
                "regions": (),
            }
        )

    def _frame(self, record: Record) -> Frame | None:
        """The image once more, if it is a file and still the same."""
        path = path_of(record.image.id, self._roots)
        if path is None or not path.is_file():
            return None
        try:
            frame = self._read(path)
        except FrameError:
            return None
        return frame if frame.sha256 == record.image.sha256 else None
