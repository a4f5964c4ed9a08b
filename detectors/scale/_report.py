"""What a partitioned run says about itself: progress, ``run.json``, the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipvet.detectors.errors import UnfitEnvironment
from clipvet.detectors.recipes._drift import LineWatch
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._report import Progress, Status, setup_facts
from clipvet.detectors.runs._setup import RunSetup
from clipvet.detectors.runs._stages import in_words, together
from clipvet.detectors.runs._tally import RunSummary, Tally
from clipvet.detectors.scale._listing import Partition
from clipvet.detectors.scale._partitions import PartitionFolder
from clipvet.detectors.sources._source import Source
from clipvet.detectors.sources._urls import as_url

__all__ = ["PartitionReport"]

_SAVE_EVERY_S = 30.0


class PartitionReport:
    """Keeps count of one call of ``run_on_ray``.

    Partitions are finished in any order; their records are read in that of the images, so what
    depends on it (a line that drifts) is as in a local run.

    Args:
        folder: whose ``run.json`` is kept up to date.
        setup: the driver's own.
        source: of the images.
        progress, on_record: of the run.
    """

    def __init__(
        self,
        folder: PartitionFolder,
        setup: RunSetup,
        source: Source,
        *,
        progress: Callable[[Progress], None],
        on_record: Callable[[Record], None],
    ) -> None:
        self._folder = folder
        self._setup = setup
        self._source = source
        self._progress = progress
        self._on_record = on_record
        self._tally = Tally()
        self._watch = None if setup.recipe is None else LineWatch(setup.recipe)
        self._sizes: dict[str, int] = {}  # of the partitions whose records have not been read
        self._finished: set[str] = set()
        self._total = self._done = self._resumed = self._encoder_calls = 0
        self._stages = together({}, {})
        self._processor = 0.0
        self._start = self._saved = time.perf_counter()
        self._started = folder.state.get("started", _now())
        self._calls_before = folder.state.get("encoder_calls", 0)

    def expect(self, part: Partition) -> None:
        """Account for a partition that is to have records, in the order of the images."""
        self._sizes[part.name] = part.table.num_rows
        self._total += part.table.num_rows

    def resume(self, done: Collection[str]) -> None:
        """Take up the partitions that have their records from earlier calls."""
        for name in [name for name in self._sizes if name in done]:
            self._resumed += self._sizes[name]
            self._count(name)
        if self._resumed:
            self._read()

    def take(self, row: Mapping[str, Any]) -> None:
        """Account for a partition that a worker has finished.

        Raises:
            UnfitEnvironment: the worker could not.
        """
        facts = json.loads(row["facts"])
        if "failure" in facts:
            raise UnfitEnvironment(facts["failure"])
        self._encoder_calls += facts["encoder_calls"]
        self._stages = together(self._stages, facts["stages"])
        self._processor += facts["processor"]
        self._count(row["name"])
        self._read()
        if time.perf_counter() - self._saved > _SAVE_EVERY_S:
            self.save("running")

    def save(self, status: Status) -> None:
        """Bring ``run.json`` up to date."""
        self._folder.save(
            status=status,
            **setup_facts(self._setup),
            sources={label: as_url(root) for label, root in self._source.labels.roots.items()},
            counts=self._tally.counts(),
            ignored=dict(sorted(self._source.ignored.items())),
            problems=list(self._source.problems),
            encoder_calls=self._calls_before + self._encoder_calls,
            seconds={
                "wall": round(time.perf_counter() - self._start, 3),
                "processor": round(self._processor, 3),
            },
            stages=self._stages,
            started=self._started,
            finished=_now() if status == "finished" else None,
            drift=[asdict(drift) for drift in self._watch.drifts] if self._watch else [],
            warnings=self._warnings(),
        )
        self._saved = time.perf_counter()

    def summary(self) -> RunSummary:
        """The end of the run."""
        engine = self._setup.engine
        return RunSummary(
            out=Path(self._folder.storage.url),
            records=f"{self._folder.storage.url}/records",
            tally=self._tally,
            resumed=self._resumed,
            ignored=dict(self._source.ignored),
            problems=list(self._source.problems),
            encoder_calls=self._encoder_calls,
            seconds=time.perf_counter() - self._start,
            stages=self._stages,
            pace=in_words(self._stages),
            warnings=self._warnings(),
            bundles={info.id: info.description for info in engine.infos.values()},
            provider=engine.provider,
            object=self._setup.query.object,
            table=None,
        )

    def _count(self, name: str) -> None:
        self._finished.add(name)
        self._done += self._sizes[name]

    def _read(self) -> None:
        """Read the records of those partitions before which none is missing any more."""
        while (name := next(iter(self._sizes), None)) in self._finished and name is not None:
            for record in self._folder.records(name):
                self._tally.add(record)
                if self._watch is not None:
                    self._watch.see(record)
                self._on_record(record)
            self._finished.discard(name)
            del self._sizes[name]
        self._progress(
            Progress(
                done=self._done,
                total=self._total,
                flagged=self._tally.flagged,
                failed=self._tally.failed,
            )
        )

    def _warnings(self) -> list[str]:
        moved = [drift.sentence for drift in self._watch.drifts] if self._watch else []
        sets = [
            f"{slot.id} compares all images of a run when it is merged: "
            f"detect merge {self._folder.storage.url} --out DIR"
            for slot in self._setup.engine.slots
            if slot.keeps
        ]
        return [*self._setup.warnings, *self._setup.engine.warnings, *moved, *sets]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
