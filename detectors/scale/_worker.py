"""What an actor of the pool holds: the same engine and pipeline that a local run has."""

from __future__ import annotations

import json
import platform
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipvet.detectors.errors import ClipvetError, UnfitEnvironment
from clipvet.detectors.host._host import Host
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._pipeline import make_records
from clipvet.detectors.runs._setup import RunSetup, set_up
from clipvet.detectors.runs._sinks import HeatmapFiles
from clipvet.detectors.runs._stages import StageClock
from clipvet.detectors.scale._listing import images_of
from clipvet.detectors.scale._partitions import write_partition
from clipvet.detectors.scale._storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Assignment", "Attempts", "Judge"]

_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """All that a worker is told.

    Attributes:
        config: of the run, without its sources.
        configuration: what the driver's own setup came to; a worker's must be the same.
        roots: folders of the images, which a worker must see.
        out: where partitions go.
        threads: of one operator, and that decode.
    """

    config: RunConfig
    configuration: Mapping[str, Any]
    roots: Sequence[Path]
    out: Storage
    threads: int


class Attempts:
    """An actor that counts how often the work on each partition was begun."""

    def __init__(self) -> None:
        self._begun = Counter[str]()

    def begin(self, name: str) -> int:
        """Count one more."""
        self._begun[name] += 1
        return self._begun[name]


class Judge:
    """Judges partitions, one after the other.

    Nothing that clipvet raises on purpose leaves it as an exception, which Ray would wrap: it is
    a row, like any result.
    """

    def __init__(self, assignment: Assignment, attempts: Any) -> None:
        self._task = assignment
        self._attempts = attempts
        self._setup: RunSetup | None = None
        self._failure = ""
        try:
            self._host = Host.load()
            self._setup = _set_up(assignment, self._host)
        except ClipvetError as error:
            self._failure = str(error)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Judge a partition and write its records; gives one row that says so."""
        import pyarrow as pa

        name = table.column("name")[0].as_py()
        facts: dict[str, Any] = {}
        failure = self._failure or self._given_up(name, table)
        if self._setup is not None and not failure:
            try:
                facts = self._judged(self._setup, name, table)
            except ClipvetError as error:
                failure = str(error)
        if failure:
            facts = {"failure": f"a worker on {platform.node()}: {failure}"}
        return pa.table({"name": [name], "facts": [json.dumps(facts)]})

    def _given_up(self, name: str, table: pa.Table) -> str:
        """Why a partition is not tried again: Ray itself would start workers for ever."""
        import ray

        if ray.get(self._attempts.begin.remote(name)) <= _ATTEMPTS:
            return ""
        first, last = (table.column("id")[place].as_py() for place in (0, -1))
        return (
            f"{_ATTEMPTS} workers died over the images from {first} to {last}: look for the one "
            "that kills whoever decodes it, or for memory, then start the run again"
        )

    def _judged(self, setup: RunSetup, name: str, table: pa.Table) -> dict[str, Any]:
        before = setup.engine.encoder_calls
        clock = StageClock()
        records: list[Record] = []
        with ExitStack() as stack:
            folder = self._task.out.local
            scratch = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            heatmaps = HeatmapFiles(folder=scratch, mode=self._task.config.heatmaps)
            images = images_of(table, self._host.readers.keys())
            made = make_records(images, setup, heatmaps, threads=self._task.threads, clock=clock)
            records += [record for record in made if record is not None]
            if folder is None:
                self._task.out.upload(scratch)
        write_partition(self._task.out, name, records)  # after the pictures that they name
        return {
            "encoder_calls": setup.engine.encoder_calls - before,
            "processor": clock.processor(),
            "stages": clock.stages(),
        }


def _set_up(task: Assignment, host: Host) -> RunSetup:
    for root in task.roots:
        if not root.is_dir():
            raise UnfitEnvironment(
                f"{root} is not there: put images where every worker sees them by this path, or "
                "into object storage"
            )
    setup = set_up(task.config, host=host, threads=task.threads)
    own, asked = (json.loads(json.dumps(c)) for c in (setup.configuration, task.configuration))
    if own != asked:
        setup.engine.close()
        names = ", ".join(key for key in asked if own.get(key) != asked[key])
        raise UnfitEnvironment(
            f"it is not set up as the machine that started the run ({names} differ): install the "
            "same packages, bundles and recipes everywhere"
        )
    return setup
