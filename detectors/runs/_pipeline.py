"""From images to records: decode threads, one encoder, detectors, verdict, pictures; in order.

Every stage pulls from the one before it and works a bounded number of images ahead, so memory
does not grow with the number of images, and records come in the order of the images.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from clipvet.detectors._in_order import in_order
from clipvet.detectors.engine._merging import PlannedFrame
from clipvet.detectors.engine._results import RawResult
from clipvet.detectors.errors import FrameError
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.records._build import failed_record, image_facts, scored_record
from clipvet.detectors.records._records import HeatmapFacts, ImageFacts, Record
from clipvet.detectors.runs._setup import RunSetup
from clipvet.detectors.runs._sinks import HeatmapFiles
from clipvet.detectors.sources._source import FoundImage, NotYet

__all__ = ["Made", "make_records"]

_MOST_FAILURES_IN_A_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Made:
    """One record, and the seconds that each stage spent on it."""

    record: Record
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Decoded:
    """One image: its views, or why there are none; ``later`` if it is not complete yet."""

    found: FoundImage
    plan: PlannedFrame | None = None
    error: FrameError | None = None
    later: bool = False
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scored:
    decoded: _Decoded
    results: Sequence[RawResult] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def make_records(
    images: Iterable[FoundImage | None], setup: RunSetup, heatmaps: HeatmapFiles, *, threads: int
) -> Iterator[Made | None]:
    """Make the record of each image, in order; pictures are on disk when a record comes out.

    None among the images, which says that the next is not at hand yet, comes out behind the
    records of all before it.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="clipvet")
    ahead = 2 * threads
    try:
        decoded = in_order(pool, partial(_decode, setup), images, ahead)
        scored = _scored(decoded, setup)
        yield from in_order(pool, partial(_finish, setup, heatmaps), scored, ahead)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decode(setup: RunSetup, found: FoundImage) -> _Decoded:
    start = time.perf_counter()
    try:
        plan = setup.engine.plan(found.read(setup.reader))
    except NotYet:
        return _Decoded(found=found, later=True, seconds=time.perf_counter() - start)
    except FrameError as error:
        return _Decoded(found=found, error=error, seconds=time.perf_counter() - start)
    return _Decoded(found=found, plan=plan, seconds=time.perf_counter() - start)


def _scored(decoded: Iterable[_Decoded | None], setup: RunSetup) -> Iterator[_Scored | None]:
    """Encode and score as many images at a time as fill a batch of views, or are at hand."""
    waiting: list[_Decoded] = []
    views = failures = 0
    for one in decoded:
        if one is None:
            yield from _score(waiting, setup)
            yield None
            waiting, views, failures = [], 0, 0
            continue
        if one.later:
            continue
        waiting.append(one)
        views += len(one.plan.views) if one.plan else 0
        failures += one.plan is None
        if views >= setup.engine.batch_size or failures >= _MOST_FAILURES_IN_A_BATCH:
            yield from _score(waiting, setup)
            waiting, views, failures = [], 0, 0
    yield from _score(waiting, setup)


def _score(batch: Sequence[_Decoded], setup: RunSetup) -> Iterator[_Scored]:
    engine = setup.engine
    plans = [one.plan for one in batch if one.plan is not None]
    queries = [setup.queries(one.found.id) for one in batch if one.plan is not None]
    before = dict(engine.seconds)
    results = iter(engine.score(plans, queries))
    spent = {stage: total - before.get(stage, 0.0) for stage, total in engine.seconds.items()}
    views = sum(len(plan.views) for plan in plans)
    for one in batch:
        if one.plan is None:
            yield _Scored(decoded=one)
            continue
        share = len(one.plan.views) / views
        seconds = {stage: share * total for stage, total in spent.items()}
        yield _Scored(decoded=one, results=next(results), seconds=seconds)


def _finish(setup: RunSetup, heatmaps: HeatmapFiles, scored: _Scored) -> Made:
    start = time.perf_counter()
    one = scored.decoded
    seconds = {"decode": one.seconds, **scored.seconds}
    timing = {stage: round(1000 * spent, 3) for stage, spent in seconds.items()}
    if one.plan is None:
        assert one.error is not None
        record = failed_record(_facts(ImageFacts(id=one.found.id), one.found), one.error, timing)
    else:
        frame = one.plan.frame

        def keep(
            heatmap: Heatmap, name: str, span: tuple[float, float] | None, label: str
        ) -> HeatmapFacts:
            name = f"{one.found.id}.{name}"
            return heatmaps.write(frame, heatmap, name=name, span=span, label=label)

        record = scored_record(
            _facts(image_facts(one.found.id, frame), one.found),
            scored.results,
            engine=setup.engine,
            recipe=setup.recipe,
            timing_ms=timing,
            keep=keep,
        )
    return Made(record=record, seconds={**seconds, "files": time.perf_counter() - start})


def _facts(image: ImageFacts, found: FoundImage) -> ImageFacts:
    if found.size < 0:
        return image
    return image.model_copy(update={"size": found.size, "mtime_ns": found.mtime_ns})
