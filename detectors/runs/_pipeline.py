"""From images to records: decode threads, an encoder, detectors, verdict, pictures; in order.

Decoding and resizing, the shared pass, the detectors, and the pictures with their files overlap:
each stage pulls from the one before it and works a bounded number of images ahead, so memory does
not grow with the number of images, and records come in the order of the images.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from clipvet.detectors._in_order import in_order
from clipvet.detectors.engine._asked import AskedFrame, AskedView, Features
from clipvet.detectors.engine._results import Spooled
from clipvet.detectors.errors import FrameError
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.records._build import failed_record, image_facts, scored_record
from clipvet.detectors.records._records import HeatmapFacts, ImageFacts, Record
from clipvet.detectors.runs._setup import RunSetup
from clipvet.detectors.runs._sinks import HeatmapFiles
from clipvet.detectors.runs._spool import write_spool
from clipvet.detectors.runs._stages import StageClock
from clipvet.detectors.sources._source import FoundImage, NotYet

__all__ = ["make_records"]

_MOST_FAILURES_IN_A_ROW = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """One image: what it is asked, or why it cannot be; ``later`` if it is not complete yet."""

    found: FoundImage
    asked: AskedFrame | None = None
    error: FrameError | None = None
    later: bool = False
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pass:
    """Views for one call of the encoder, of one or several images.

    Attributes:
        begun: images whose first view is in it, and failed ones between them.
        views: at most a batch.
        features: of the views, by bundle; once they are encoded.
    """

    begun: list[_Read] = field(default_factory=list)
    views: list[AskedView] = field(default_factory=list)
    features: Mapping[str, Features] = field(default_factory=dict)


def make_records(
    images: Iterable[FoundImage | None],
    setup: RunSetup,
    heatmaps: HeatmapFiles,
    *,
    threads: int,
    clock: StageClock,
) -> Iterator[Record | None]:
    """Make the record of each image, in order; pictures are on disk when a record comes out.

    None among the images, which says that the next is not at hand yet, comes out behind the
    records of all before it.

    Args:
        images: to be judged.
        setup: of the run.
        heatmaps: where pictures go.
        threads: that decode images and write pictures.
        clock: is told what every stage takes.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="clipvet")
    encoder = ThreadPoolExecutor(1, thread_name_prefix="clipvet-encoder")
    ahead = 2 * threads  # while a batch is encoded, this thread gathers the next one
    try:
        found = clock.awaited("source", images)
        read = clock.awaited("decode", in_order(pool, partial(_read, setup, clock), found, ahead))
        passes = _passes(read, setup.engine.batch_size)
        encode = partial(_encode, setup, clock)
        encoded = clock.awaited("infer", in_order(encoder, encode, passes, 1))
        scored = _scored(encoded, setup, clock)
        finish = partial(_finish, setup, heatmaps, clock)
        yield from clock.awaited("write", in_order(pool, finish, scored, ahead))
    finally:
        encoder.shutdown(wait=True, cancel_futures=True)
        pool.shutdown(wait=True, cancel_futures=True)


def _read(setup: RunSetup, clock: StageClock, found: FoundImage) -> _Read:
    start = time.perf_counter()
    try:
        with clock.work("decode"):
            plan = setup.engine.plan(found.read(setup.reader))
    except NotYet:
        return _Read(found=found, later=True, seconds={})
    except FrameError as error:
        return _Read(found=found, error=error, seconds={"decode": time.perf_counter() - start})
    decoded = time.perf_counter()
    with clock.work("preprocess"):
        asked = AskedFrame(setup.engine.prepare(plan), setup.queries(found.id))
    seconds = {"decode": decoded - start, "preprocess": time.perf_counter() - decoded}
    return _Read(found=found, asked=asked, seconds=seconds)


def _passes(read: Iterable[_Read | None], size: int) -> Iterator[_Pass | None]:
    """Full batches of views across images, and smaller ones where no more images are at hand."""
    waiting = _Pass()
    for one in read:
        if one is None:
            yield waiting
            yield None
            waiting = _Pass()
        elif not one.later:
            waiting.begun.append(one)
            for view in one.asked.views() if one.asked is not None else ():
                waiting.views.append(view)
                if len(waiting.views) == size:
                    yield waiting
                    waiting = _Pass()
            if len(waiting.begun) - len(waiting.views) >= _MOST_FAILURES_IN_A_ROW:
                yield waiting
                waiting = _Pass()
    yield waiting


def _encode(setup: RunSetup, clock: StageClock, one: _Pass) -> _Pass:
    if not one.views:
        return one
    with clock.work("infer"):
        return replace(one, features=setup.engine.encode(one.views))


def _scored(
    encoded: Iterable[_Pass | None], setup: RunSetup, clock: StageClock
) -> Iterator[_Read | None]:
    """The images in order, as soon as the detectors have answered for their last view."""
    begun: deque[_Read] = deque()
    for one in encoded:
        if one is None:
            yield None
            continue
        begun.extend(one.begun)
        if one.views:
            with clock.at("score"), clock.work("score"):
                setup.engine.judge(one.views, one.features)
        while begun and (begun[0].asked is None or begun[0].asked.done):
            yield begun.popleft()


def _finish(setup: RunSetup, heatmaps: HeatmapFiles, clock: StageClock, one: _Read) -> Record:
    with clock.work("write"):
        return _record(setup, heatmaps, one)


def _record(setup: RunSetup, heatmaps: HeatmapFiles, one: _Read) -> Record:
    if one.asked is None:
        assert one.error is not None
        facts = _facts(ImageFacts(id=one.found.id), one.found)
        return failed_record(facts, one.error, _milliseconds(one.seconds))
    frame, spent = one.asked.plan.frame, one.asked.seconds

    def keep(
        heatmap: Heatmap, name: str, span: tuple[float, float] | None, label: str
    ) -> HeatmapFacts:
        name = f"{one.found.id}.{name}"
        return heatmaps.write(frame, heatmap, name=name, span=span, label=label)

    def keep_spool(spooled: Spooled, name: str) -> str:
        return write_spool(heatmaps.folder, spooled, name=f"{one.found.id}.{name}")

    return scored_record(
        _facts(image_facts(one.found.id, frame), one.found),
        setup.engine.results(one.asked),
        engine=setup.engine,
        recipe=setup.recipe,
        timing_ms=_milliseconds(
            {**one.seconds, "infer": spent["encode"], "score": spent["detectors"]}
        ),
        keep=keep,
        keep_spool=keep_spool,
    )


def _milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(1000 * spent, 3) for stage, spent in seconds.items()}


def _facts(image: ImageFacts, found: FoundImage) -> ImageFacts:
    if found.size < 0:
        return image
    return image.model_copy(update={"size": found.size, "mtime_ns": found.mtime_ns})
