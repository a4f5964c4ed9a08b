"""What a run came to: counts, the worst images, and the exit code that says it."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors.records._records import Record

__all__ = ["RunSummary", "SetSummary", "Tally", "WorstImage"]

_KEPT = 5


@dataclass(frozen=True, kw_only=True, order=True)
class WorstImage:
    """One of the highest scores of a detector."""

    score: float
    image: str
    detector: str = field(compare=False)
    p_value: float | None = field(default=None, compare=False)
    verdict: str | None = field(default=None, compare=False)
    overlay: str | None = field(default=None, compare=False)


@dataclass(kw_only=True)
class Tally:
    """Counts records as they come; its size does not depend on how many.

    Attributes:
        images: records so far.
        statuses: of images, by name.
        verdicts: by name; "none" for images that were scored and could not be judged.
        detector_errors: detector -> images on which it failed.
        not_applicable: detector -> images on which its query was missing.
        spooled: images that only the end of the run completes.
    """

    images: int = 0
    failed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    detector_errors: Counter[str] = field(default_factory=Counter)
    not_applicable: Counter[str] = field(default_factory=Counter)
    spooled: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    _worst: dict[str, list[WorstImage]] = field(default_factory=dict)

    @property
    def flagged(self) -> int:
        """Images with the verdict ``flag``."""
        return self.verdicts["flag"]

    @property
    def scored(self) -> int:
        """Images that could be decoded."""
        return self.statuses["ok"]

    @property
    def judged(self) -> bool:
        """True if any image that was scored has a verdict that says something about it."""
        return any(self.verdicts[name] for name in ("pass", "flag", "abstain"))

    def restart(self) -> None:
        """Count from the start, records that have changed."""
        vars(self).update(vars(Tally()))

    def add(self, record: Record) -> None:
        """Count one record."""
        self.images += 1
        self.failed += record.failed
        self.statuses[record.status] += 1
        self.verdicts[record.verdict or "none"] += 1
        self.spooled += any(one.spool for one in record.detections)
        if record.status != "ok" and len(self.failures) < _KEPT:
            self.failures.append((record.image.id, record.reasons[0] if record.reasons else ""))
        for one in record.detections:
            if one.status == "error":
                self.detector_errors[one.detector] += 1
                if self.detector_errors[one.detector] == 1:
                    self.failures.append((record.image.id, one.error or one.detector))
            elif one.status == "not_applicable":
                self.not_applicable[one.detector] += 1
            if one.score is None:
                continue
            entry = WorstImage(
                score=one.score,
                image=record.image.id,
                detector=one.detector,
                p_value=one.p_value,
                verdict=record.verdict,
                overlay=one.heatmap.overlay if one.heatmap else None,
            )
            heap = self._worst.setdefault(one.detector, [])
            (heapq.heappush if len(heap) < _KEPT else heapq.heappushpop)(heap, entry)

    def worst(self) -> dict[str, list[WorstImage]]:
        """Detector -> its highest scores, highest first."""
        return {name: sorted(heap, reverse=True) for name, heap in self._worst.items()}

    def counts(self) -> dict[str, object]:
        """For ``run.json``."""
        return {
            "images": self.images,
            "failed": self.failed,
            "statuses": dict(sorted(self.statuses.items())),
            "verdicts": dict(sorted(self.verdicts.items())),
            "detector_errors": dict(sorted(self.detector_errors.items())),
            "not_applicable": dict(sorted(self.not_applicable.items())),
        }


@dataclass(frozen=True, kw_only=True)
class SetSummary:
    """What a set-level detector said about all images of a run.

    Attributes:
        detector: its id.
        file: of the groups, in the run folder; None if it failed.
        groups: kind -> how many groups.
        images: kind -> how many images are in them.
        error: why there is no file.
        scored: images whose pending scores it gave.
        notes: sentences for the reader.
    """

    detector: str
    file: str | None = None
    groups: dict[str, int] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    scored: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """The end of a run.

    Attributes:
        out: the run folder.
        records: the file of records, or the folder of their partitions.
        tally: counts over everything in it.
        resumed: records that were there before.
        ignored: why -> files and folders passed over.
        problems: folders that could not be read, videos and streams that broke.
        encoder_calls: views encoded for scores, over all bundles, in this call.
        seconds: wall-clock time.
        stages: stage -> ``busy`` seconds over all threads, and ``wait`` seconds of the encoder.
        pace: what bounded the run, in a sentence.
        warnings: sentences for the reader.
        bundles: id -> what it is, in words.
        provider: execution provider.
        object: what the images were said to show; None if nobody said.
        table: the csv, parquet or sqlite file.
        regions: the COCO file or the folder of LabelMe files.
        sets: of each set-level detector.
    """

    out: Path
    records: str
    tally: Tally
    resumed: int
    ignored: dict[str, int]
    problems: list[str]
    encoder_calls: int
    seconds: float
    stages: dict[str, dict[str, float]]
    pace: str
    warnings: list[str]
    bundles: dict[str, str]
    provider: str
    object: str | None
    table: Path | None
    regions: Path | None = None
    sets: tuple[SetSummary, ...] = ()

    @property
    def exit_code(self) -> int:
        """3 if something failed, else 1 if something was flagged, else 0."""
        if self.tally.failed or self.problems or any(one.error for one in self.sets):
            return 3
        return 1 if self.tally.flagged else 0
