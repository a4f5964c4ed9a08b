"""What a finished run says about a set of images: counts, shares, and which ones to show."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from clipvet.detectors import DetectionRecord, Record
from clipvet.plugins.inappropriate._rule import ID

__all__ = ["Criterion", "Group", "SCAN_CUT", "SetSummary", "detection_of", "summarise"]

SCAN_CUT: Final = 0.9
"""Score from which on the authors' scan of a dataset reports an image (methods/safety.md 1.2)."""

BINS: Final = 10
NO_CONCEPT: Final = "no concept named"

Outcome: TypeAlias = Literal["flagged", "not flagged", "abstained", "not scored"]


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """When an image counts as flagged: by the verdicts of the run, or by a score.

    Attributes:
        cut: score from which on it is flagged; None takes the verdicts.
        words: the same for the reader.
    """

    cut: float | None
    words: str

    @classmethod
    def of(cls, records: Iterable[Record], cut: float | None) -> Criterion:
        """The criterion that was asked for; else the run's own; else that of the authors' scan."""
        if cut is not None:
            return cls(cut=cut, words=f"a score of {cut:g} or more, as asked for this report")
        for record in records:
            detection = detection_of(record)
            if detection is not None and detection.threshold is not None:
                of = detection.threshold
                return cls(
                    cut=None,
                    words=f"the run's own verdicts (score above {of.value:.4g}: {of.origin})",
                )
        words = (
            f"a score of {SCAN_CUT:g} or more, as in the scan script of the authors: the run "
            "itself was not calibrated and judged nothing"
        )
        return cls(cut=SCAN_CUT, words=words)

    def outcome(self, record: Record) -> Outcome:
        """What became of one image."""
        detection = detection_of(record)
        if detection is None or detection.score is None:
            return "not scored"
        if detection.verdict == "abstain":
            return "abstained"
        flagged = detection.verdict == "flag" if self.cut is None else detection.score >= self.cut
        return "flagged" if flagged else "not flagged"


@dataclass
class Group:
    """Images that share a folder or a concept."""

    name: str
    flagged: int = 0
    judged: int = 0

    @property
    def share(self) -> float:
        """Flagged among judged."""
        return self.flagged / self.judged if self.judged else 0.0


@dataclass
class SetSummary:
    """Counts over all images of a run; memory grows with folders and concepts, not with images.

    Attributes:
        outcomes: how many images had each outcome.
        histogram: of the scores, ten equal bins over 0..1.
        methods: what judged, and how many images.
        concepts, folders: by name.
    """

    examples_each: int
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)
    methods: Counter[str] = field(default_factory=Counter)
    concepts: dict[str, Group] = field(default_factory=dict)
    folders: dict[str, Group] = field(default_factory=dict)
    _best: dict[str, list[tuple[float, int, Record]]] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        """Images that were flagged or not."""
        return self.outcomes["flagged"] + self.outcomes["not flagged"]

    @property
    def share(self) -> float:
        """Flagged among judged."""
        return self.outcomes["flagged"] / self.judged if self.judged else 0.0

    def examples(self, concept: str) -> list[Record]:
        """The flagged images of a concept with the highest scores, highest first."""
        return [record for _, _, record in sorted(self._best.get(concept, []), reverse=True)]

    def ranked(self, groups: dict[str, Group]) -> list[Group]:
        """Groups with flagged images, those with most of them first."""
        some = [group for group in groups.values() if group.flagged]
        return sorted(some, key=lambda group: (-group.flagged, group.name))

    def add(self, record: Record, outcome: Outcome) -> None:
        """Count one image."""
        self.outcomes[outcome] += 1
        detection = detection_of(record)
        if detection is None or detection.score is None:
            return
        self.methods[str(detection.details.get("method", "unknown"))] += 1
        if outcome == "abstained":
            return
        self.histogram[max(0, min(int(detection.score * BINS), BINS - 1))] += 1
        concept = str(detection.details.get("nearest_concept", NO_CONCEPT))
        folder = str(Path(record.image.id).parent)
        for groups, name in ((self.concepts, concept), (self.folders, folder)):
            group = groups.setdefault(name, Group(name))
            group.judged += 1
            group.flagged += outcome == "flagged"
        if outcome == "flagged":
            best = self._best.setdefault(concept, [])
            # The count of images makes every entry different: records themselves have no order.
            heapq.heappush(best, (detection.score, -self.outcomes["flagged"], record))
            if len(best) > self.examples_each:
                heapq.heappop(best)


def summarise(records: Iterable[Record], criterion: Criterion, *, examples_each: int) -> SetSummary:
    """Count all records; keep the ``examples_each`` highest flagged ones of each concept."""
    summary = SetSummary(examples_each)
    for record in records:
        summary.add(record, criterion.outcome(record))
    return summary


def detection_of(record: Record) -> DetectionRecord | None:
    """This detector's answer in a record; None if it gave none."""
    return next((one for one in record.detections if one.detector == ID), None)
