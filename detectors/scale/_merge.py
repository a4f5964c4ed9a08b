"""One run folder out of several runs over disjoint images, or out of a partitioned one."""

from __future__ import annotations

import heapq
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import unquote_to_bytes

from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import UsageError
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._drift import LineWatch
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._folder import RUN_SCHEMA, RunFolder
from clipvet.detectors.runs._regions import RegionFormat, write_regions
from clipvet.detectors.runs._removal import RECORDS, RUN, inside_pictures
from clipvet.detectors.runs._sets import finish_sets
from clipvet.detectors.runs._sinks import TableFormat, check_format, write_table
from clipvet.detectors.runs._tally import SetSummary, Tally
from clipvet.detectors.scale._merged_sets import late_scores, set_level_engine
from clipvet.detectors.scale._partitions import PARTITIONED_SCHEMA, PartitionFolder
from clipvet.detectors.scale._storage import Storage
from clipvet.detectors.sources._shard import Shard

__all__ = ["MergeSummary", "merge_runs"]

_Key: TypeAlias = tuple[int, tuple[bytes, ...]]
_SUMMED = ("encoder_calls", "calls")
_SHARED = ("versions", "bundles", "provider", "nodes", "recipe_folder", "map_thresholds")


@dataclass(frozen=True, kw_only=True)
class MergeSummary:
    """What was merged.

    Attributes:
        out: the run folder.
        runs: how many runs it is made of.
        tally: counts over everything in it.
        warnings: sentences for the reader.
        table: the csv, parquet or sqlite file.
        regions: the COCO file or the folder of LabelMe files.
        sets: of each set-level detector.
    """

    out: Path
    runs: int
    tally: Tally
    warnings: list[str]
    table: Path | None
    regions: Path | None
    sets: tuple[SetSummary, ...]


def merge_runs(
    runs: Sequence[Path],
    *,
    out: Path,
    host: Host,
    table: TableFormat = "jsonl",
    regions: RegionFormat | None = None,
) -> MergeSummary:
    """Make one run folder of finished runs that have no image in common.

    Of the shards of a run over folders it is the folder of the undivided run: the same records in
    the same order, but for the times. Images that were named one by one come run by run. What
    set-level detectors say is said again, about all images. Pictures are linked where the disk
    allows it, else copied.

    Args:
        runs: run folders, or folders or URLs of partitioned runs.
        out: a new or empty folder.
        host: whose set-level detectors finish.
        table: see ``RunConfig``.
        regions: likewise.

    Raises:
        UsageError: a run is not finished, has another configuration, or an image is in two.
    """
    check_format(table)
    parts = [_Part.open(run) for run in runs]
    configuration, roots = _common(parts)
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: merge into a new folder")
    tally, warnings = Tally(), _missing_shards(parts)
    first = parts[0].state
    recipe_folder = first.get("recipe_folder")
    recipe = Recipe.load(recipe_folder) if recipe_folder and Path(recipe_folder).is_dir() else None
    watch = None if recipe is None else LineWatch(recipe)
    with ExitStack() as stack:
        engine = set_level_engine(first, configuration, recipe, host)
        if engine is not None:
            stack.enter_context(engine)
        folder = stack.enter_context(RunFolder.open(out, configuration))
        sources = {label: str(root) for label, root in roots.items()}
        folder.save(sources=sources, merged=[part.storage.url for part in parts])
        for part, record in _in_order(parts, list(roots)):
            if folder.is_done(record.image.id):
                raise UsageError(f"{record.image.id} is in two of these runs: merge disjoint ones")
            part.bring(record, out)
            folder.add(record)
            tally.add(record)
            if watch is not None:
                watch.see(record)
        folder.sync()
        drifts = [] if watch is None else watch.drifts
        warnings += [drift.sentence for drift in drifts]
        sets: tuple[SetSummary, ...] = ()
        if engine is not None:
            late = late_scores(folder, engine, recipe, host)
            sets = tuple(finish_sets(folder, engine.slots, late, tally))
        written = write_table(out, table)
        found = None
        folder.save(**{name: first[name] for name in _SHARED if name in first})
        if regions is not None:
            found = write_regions(out, regions)
        folder.save(
            status="finished",
            counts=tally.counts(),
            **_facts(parts),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            drift=[asdict(drift) for drift in drifts],
            warnings=warnings,
            sets={one.detector: asdict(one) for one in sets},
        )
    return MergeSummary(
        out=out,
        runs=len(parts),
        tally=tally,
        warnings=warnings,
        table=written,
        regions=found,
        sets=sets,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One of the runs."""

    storage: Storage
    state: Mapping[str, Any]

    @classmethod
    def open(cls, run: Path) -> Self:
        storage = Storage.of(run)
        try:
            state = parse_json(storage.read(RUN).decode(errors="surrogateescape"))
            if state["schema"] not in {RUN_SCHEMA, PARTITIONED_SCHEMA}:
                raise ValueError(state["schema"])
            status = state["status"]
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{storage.url} is no run folder: give the --out of a run") from error
        if status != "finished":
            raise UsageError(f"{storage.url} is not finished ({status}): go on with that run first")
        return cls(storage=storage, state=state)

    @property
    def shard(self) -> Shard | None:
        text = self.state["configuration"].get("shard")
        return None if text is None else Shard.parse(text)

    def records(self) -> Iterator[Record]:
        if self.state["schema"] == RUN_SCHEMA:
            yield from read_records(Path(self.storage.url, RECORDS))
            return
        folder = PartitionFolder(self.storage, dict(self.state))
        for name in folder.names():
            yield from folder.records(name)

    def bring(self, record: Record, out: Path) -> None:
        """Link or copy the files that a record names."""
        for one in record.detections:
            pictures = (one.heatmap.file, one.heatmap.overlay) if one.heatmap else ()
            for name in (*pictures, one.spool):
                if name is None or not inside_pictures(out, name):
                    continue
                target = out / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if self.storage.local is None:
                    target.write_bytes(self.storage.read(name))
                    continue
                try:
                    os.link(self.storage.local / name, target)
                except FileNotFoundError:  # removed by hand: the record is still true
                    continue
                except OSError:
                    shutil.copy2(self.storage.local / name, target)


def _common(parts: Sequence[_Part]) -> tuple[dict[str, Any], dict[str, Path]]:
    """The configuration without shards, and label -> root, of all runs."""
    if not parts:
        raise UsageError("no run to merge: give run folders")
    configuration = _undivided(parts[0])
    roots: dict[str, Path] = {}
    for part in parts:
        own, url = _undivided(part), part.storage.url
        if own != configuration:
            names = sorted(
                key for key in {*own, *configuration} if own.get(key) != configuration.get(key)
            )
            raise UsageError(
                f"{url} has another configuration than {parts[0].storage.url} "
                f"({', '.join(names)} differ): merge runs that differ in nothing but their images"
            )
        for label, root in part.state["sources"].items():
            if str(roots.setdefault(label, Path(root))) != str(Path(root)):
                raise UsageError(
                    f"{label!r} means {root} in {url} and {roots[label]} in another run: "
                    "their images cannot be told apart"
                )
    return configuration, roots


def _undivided(part: _Part) -> dict[str, Any]:
    return {key: value for key, value in part.state["configuration"].items() if key != "shard"}


def _missing_shards(parts: Sequence[_Part]) -> list[str]:
    shards = [part.shard for part in parts if part.shard is not None]
    given = {str(shard) for shard in shards}
    of = {shard.of for shard in shards}
    absent = [f"{n}/{total}" for total in of for n in range(1, total + 1)]
    left = [name for name in absent if name not in given]
    return [f"the images of shard {', '.join(left)} are not among these runs"] if left else []


def _in_order(parts: Sequence[_Part], labels: Sequence[str]) -> Iterator[tuple[_Part, Record]]:
    """All records in the order of one walk, if each run has that order; else run by run."""
    places = {label: place for place, label in enumerate(labels)}

    def key(record: Record) -> _Key:
        label, _, relative = record.image.id.partition("/")
        names = relative.split("/")
        return places.get(label, 0), tuple(unquote_to_bytes(os.fsencode(name)) for name in names)

    def of(part: _Part) -> Iterator[tuple[_Part, Record]]:
        return ((part, record) for record in part.records())

    if len(parts) > 1 and all(_rises(map(key, part.records())) for part in parts):
        return heapq.merge(*map(of, parts), key=lambda one: key(one[1]))
    return chain.from_iterable(map(of, parts))


def _rises(keys: Iterable[_Key]) -> bool:
    return all(one < other for one, other in pairwise(keys))


def _facts(parts: Sequence[_Part]) -> dict[str, Any]:
    """What ``run.json`` says of all runs together."""
    states = [part.state for part in parts]
    # Each shard has walked past everything; other runs have walked past different things.
    walked = states[:1] if parts[0].shard is not None else states
    ignored, seconds = Counter[str](), Counter[str]()
    for state in walked:
        ignored.update(state.get("ignored", {}))
    for state in states:
        seconds.update(state.get("seconds", {}))
    problems = chain.from_iterable(state.get("problems", ()) for state in states)
    return {
        "ignored": dict(sorted(ignored.items())),
        "problems": list(dict.fromkeys(problems)),
        "seconds": {stage: round(spent, 3) for stage, spent in sorted(seconds.items())},
        "started": min(state.get("started", "") for state in states),
        **{name: sum(state.get(name, 1) for state in states) for name in _SUMMED},
    }
