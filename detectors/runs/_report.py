"""What a run says about itself: progress, ``run.json``, the summary."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

from clipvet.detectors._counting import counted
from clipvet.detectors.recipes._drift import LineWatch
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._removal import RECORDS
from clipvet.detectors.runs._setup import RunSetup
from clipvet.detectors.runs._stages import StageClock
from clipvet.detectors.runs._tally import RunSummary, SetSummary, Tally
from clipvet.detectors.sources._source import FoundImage, Source

__all__ = ["Progress", "RunReport", "Status", "setup_facts"]

Status: TypeAlias = Literal["running", "interrupted", "failed", "finished"]

_SAVE_EVERY_S = 5.0
_IDLE_SAVE_S = 1.0
_PACKAGES = (
    "clipvet", "numpy", "Pillow", "onnxruntime", "onnxruntime-gpu", "openvino", "scikit-learn",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is.

    Attributes:
        done: images of this call, those with an earlier record included.
        total: images in all; None for a stream.
        flagged, failed: of the whole run folder.
    """

    done: int
    total: int | None
    flagged: int
    failed: int


class RunReport:
    """Keeps count of one call of ``run``.

    Args:
        folder: whose ``run.json`` is kept up to date.
        setup: what computes the scores.
        tally: of everything in the folder.
        source: of the images.
        clock: of the stages.
        total: how many it will find.
        watch: of a run with a recipe: sees every record.
    """

    def __init__(
        self,
        folder: RunFolder,
        setup: RunSetup,
        tally: Tally,
        source: Source,
        clock: StageClock,
        *,
        total: int | None,
        watch: LineWatch | None = None,
    ) -> None:
        self._folder = folder
        self._setup = setup
        self._tally = tally
        self._source = source
        self._clock = clock
        self._total = total
        self._watch = watch
        self._done = 0
        self._unsynced = 0
        self._under_way: set[str] = set()
        self._asked: set[int] = set()
        self._saved = time.perf_counter()
        self._calls_before = setup.engine.encoder_calls
        self._earlier: dict[str, Any] = dict(folder.state)
        self._started = datetime.now(UTC)

    def passes(self, found: FoundImage) -> bool:
        """True, and counted, if an image has its record already, or will have it soon."""
        if self._setup.questions is not None:
            self._asked.update(self._setup.questions.about(found.id))
        done = self._folder.is_done(found.id)
        self._done += done
        if found.id in self._under_way:
            self._source.ignored["named twice"] += 1
            self._done += 1
            return True
        if not done:
            self._under_way.add(found.id)
        return done

    def idle(self) -> None:
        """No image is at hand, and all that were have their records."""
        self._under_way.clear()
        if self._unsynced and time.perf_counter() - self._saved > _IDLE_SAVE_S:
            self._sync()
            self.save("running")

    def before(self, record: Record) -> None:
        """Account for a record that is about to be written."""
        self._done += 1
        self._unsynced += 1
        self._under_way.discard(record.image.id)
        if len(self._folder.state["sources"]) != len(self._source.labels.roots):
            self.save("running")  # a record's label is on disk before the record
        elif self._unsynced > self._setup.engine.batch_size:
            self._sync()
            if time.perf_counter() - self._saved > _SAVE_EVERY_S:
                self.save("running")

    def _sync(self) -> None:
        self._folder.sync()
        self._unsynced = 0

    def progress(self) -> Progress:
        """Where the run is."""
        return Progress(
            done=self._done,
            total=self._total,
            flagged=self._tally.flagged,
            failed=self._tally.failed,
        )

    def save(self, status: Status, **facts: Any) -> None:
        """Bring ``run.json`` up to date."""
        now = datetime.now(UTC)
        earlier = self._earlier
        self._folder.save(
            status=status,
            **setup_facts(self._setup),
            sources={label: str(root) for label, root in self._source.labels.roots.items()},
            counts=self._tally.counts(),
            ignored=dict(sorted(self._source.ignored.items())),
            problems=list(self._source.problems),
            encoder_calls=earlier.get("encoder_calls", 0) + self._encoder_calls(),
            seconds={
                "wall": round(self._clock.wall, 3),
                "processor": round(self._clock.processor(), 3),
            },
            stages=self._clock.stages(),
            calls=earlier.get("calls", 0) + 1,
            started=earlier.get("started", self._started.isoformat(timespec="seconds")),
            finished=now.isoformat(timespec="seconds") if status == "finished" else None,
            drift=[asdict(drift) for drift in self._watch.drifts] if self._watch else [],
            warnings=[*self._warnings(), *(self._unasked() if status == "finished" else ())],
            **facts,
        )
        self._saved = time.perf_counter()

    def summary(
        self, table: Path | None, regions: Path | None, sets: Sequence[SetSummary]
    ) -> RunSummary:
        """The end of the run.

        Args:
            table: that was written, if one was asked for.
            regions: likewise.
            sets: what set-level detectors said.
        """
        engine = self._setup.engine
        return RunSummary(
            out=self._folder.path,
            records=str(self._folder.path / RECORDS),
            tally=self._tally,
            resumed=self._folder.resumed,
            ignored=dict(self._source.ignored),
            problems=list(self._source.problems),
            encoder_calls=self._encoder_calls(),
            seconds=self._clock.wall,
            stages=self._clock.stages(),
            pace=self._clock.sentence(),
            warnings=[*self._warnings(), *self._unasked()],
            bundles={info.id: info.description for info in engine.infos.values()},
            provider=engine.provider,
            object=self._setup.query.object,
            table=table,
            regions=regions,
            sets=tuple(sets),
        )

    def _encoder_calls(self) -> int:
        return self._setup.engine.encoder_calls - self._calls_before

    def _warnings(self) -> list[str]:
        moved = [drift.sentence for drift in self._watch.drifts] if self._watch else []
        return [*self._setup.warnings, *self._setup.engine.warnings, *moved]

    def _unasked(self) -> list[str]:
        """Questions about images that the run did not meet."""
        questions = self._setup.questions
        if questions is None or len(self._asked) == len(questions.images):
            return []
        left = [image for i, image in enumerate(questions.images) if i not in self._asked]
        asked = f"{len(left)} of {counted(len(questions.images), 'question')}"
        were = "was" if len(left) == 1 else "were"
        return [f"{asked} {were} not asked: this run has no image {left[0]}"]


def setup_facts(setup: RunSetup) -> dict[str, Any]:
    """What ``run.json`` says about that which computes the scores."""
    engine, recipe = setup.engine, setup.recipe
    thresholds: dict[str, float] = {}
    for slot in engine.slots if recipe is not None else ():
        value = None if recipe is None else recipe.map_threshold(slot.id)
        if value is not None:
            thresholds[slot.id] = value  # the local score above which a region is reported
    return {
        "versions": _versions(),
        "bundles": {
            name: {"id": info.id, "sha256": info.sha256, "licence": info.licence}
            for name, info in engine.infos.items()
        },
        "provider": engine.provider,
        "nodes": engine.placement,
        "isolated": engine.workers.facts,
        "recipe_folder": None if setup.recipe_folder is None else str(setup.recipe_folder),
        "map_thresholds": thresholds,
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
