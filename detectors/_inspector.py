"""One image in, one record out: the detectors inside somebody's inspection script."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from clipvet.detectors._closing import Closing
from clipvet.detectors._detector import Query
from clipvet.detectors._in_order import in_order
from clipvet.detectors._inspection import Inspection
from clipvet.detectors.clip import Device
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._merging import PlannedFrame
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import FrameError, UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._frames import Frame, FrameSource, read_frame
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.host._host import Host
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.records._build import failed_record, image_facts, scored_record
from clipvet.detectors.records._records import ImageFacts, Record
from clipvet.detectors.runs._reading import FileReader

__all__ = ["Inspector"]

_DECODERS = 4


class Inspector(Closing):
    """Detectors on one set of runtimes, for images that come one by one.

    ``inspector(image)`` gives the same scores, bit for bit, as ``detect run`` on that image
    with the same settings. May be called from several threads. Use it as a context manager, or
    call :meth:`close`.

    Args:
        detectors: ids or specs.
        bundle: name or folder; None is the embedded one.
        object: what the pictures show ("bottle"); None asks about "object".
        query: the whole query, for detectors that ask for more than an object; questions about
            one image are given with it.
        references: good images to learn from, before the first one is judged.
        region, tiling: how a frame becomes views.
        decode_policy: how a file becomes a frame.
        recipe: fixes all of the above; see :meth:`load`.
        device, batch_size, threads: as for :class:`Engine`. With ``batch_size=1`` a single image
            is answered soonest on every device: elsewhere than on a CPU, batches are padded.
        isolate: run the detectors of plugins in worker processes, which may hang or crash; give
            limits, or take those of :class:`Isolation`.
        host: the plugins; None loads them.
        warmup: make the sessions now, so that the first image is as fast as the others.

    Attributes:
        recipe: None without one; then every verdict is None.
        engine: what scores.
        warnings: sentences worth reading once.

    Raises:
        UsageError: an unknown detector or option, or a setting that the recipe fixes.
        UnfitEnvironment: a bundle, device, artefact or recipe that does not serve.
    """

    def __init__(
        self,
        detectors: Sequence[str | DetectorSpec] = (),
        *,
        bundle: str | os.PathLike[str] | None = None,
        object: str | None = None,  # noqa: A002 - the word of the command line and the records
        query: Query | None = None,
        references: Iterable[FrameSource] = (),
        region: Region | None = None,
        tiling: Tiling | None = None,
        decode_policy: DecodePolicy | None = None,
        recipe: Recipe | None = None,
        device: Device = "auto",
        batch_size: int = 8,
        threads: int | None = None,
        isolate: bool | Isolation = False,
        host: Host | None = None,
        warmup: bool = True,
        runtime_factory: Callable[..., Any] | None = None,
    ) -> None:
        given = (detectors, bundle, object, query, references, region, tiling, decode_policy)
        if recipe is not None and any(given):
            raise UsageError(
                "a recipe fixes detectors, bundle, query, references, region, tiling and decode "
                "policy itself: give a recipe, or these"
            )
        if object is not None and query is not None:
            raise UsageError("give an object, or a whole query, not both")
        self.recipe = recipe
        if recipe is None:
            specs = tuple(_spec(one) for one in detectors or ("winclip",))
            query = (query or Query(object=object)).over(Query(object="object"))
            policy = decode_policy or DecodePolicy()
        else:
            specs, query, policy = recipe.specs, recipe.query, recipe.decode_policy
            bundle, region, tiling = recipe.bundle, recipe.region, recipe.tiling
        host = Host.load() if host is None else host
        self._query, self._policy = query, policy
        self._files = FileReader(host.readers, policy)
        self.engine = Engine(
            specs,
            host=host,
            bundle=None if bundle is None else str(bundle),
            device=device,
            batch_size=batch_size,
            threads=threads,
            region=region,
            tiling=tiling,
            isolate=isolate if isinstance(isolate, Isolation) else Isolation() if isolate else None,
            runtime_factory=runtime_factory,
        )
        try:
            notes = recipe.check(self.engine.infos.values(), self.engine.provider) if recipe else []
            self._learn(references)
            if warmup:
                self.engine.warmup()
        except BaseException:
            self.engine.close()
            raise
        self.warnings = (*notes, *self.engine.warnings)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], **settings: Any) -> Self:
        """An inspector for a recipe.

        Args:
            folder: of the recipe.
            settings: ``device``, ``batch_size``, ``threads``, ``isolate``, ``host``, ``warmup``.

        Raises:
            RecipeError: the recipe is damaged, or belongs to another bundle.
        """
        return cls(recipe=Recipe.load(folder), **settings)

    def __call__(
        self,
        source: FrameSource,
        *,
        queries: Sequence[Query] = (),
        bgr: bool = False,
        white_level: int | None = None,
    ) -> Record:
        """The record of one image; arguments as for :meth:`inspect`."""
        return self.inspect(source, queries=queries, bgr=bgr, white_level=white_level).record

    def inspect(
        self,
        source: FrameSource,
        *,
        queries: Sequence[Query] = (),
        bgr: bool = False,
        white_level: int | None = None,
    ) -> Inspection:
        """Inspect one image.

        An image that cannot be decoded gives a record with a status and a reason, and raises
        nothing.

        Args:
            source: path, bytes, Pillow image, or array: uint8 [H, W], [H, W, 1] or [H, W, 3]
                RGB, or uint16 with a white level.
            queries: asked about this image, for instance one for each question; what one leaves
                out is taken from the inspector's own.
            bgr: an array's channels are in OpenCV's order.
            white_level: the value of a uint16 array that is white.

        Raises:
            UsageError: ``bgr`` or ``white_level`` for something that is not an array.
        """
        image = self._read(source, bgr=bgr, white_level=white_level)
        asked = tuple(query.over(self._query) for query in queries) or (self._query,)
        return self._inspect([image], asked)[0]

    def map(self, sources: Iterable[FrameSource], *, bgr: bool = False) -> Iterator[Inspection]:
        """Inspect a stream, ``batch_size`` images at a time, in order; scores as one by one.

        The next ``batch_size`` images are decoded, in threads, while these are scored; the stream
        itself is read in the caller's thread. A camera whose images must not wait for others is
        asked one by one.
        """
        size = self.engine.batch_size
        with ThreadPoolExecutor(min(size, _DECODERS), thread_name_prefix="clipvet") as pool:
            reading = in_order(pool, partial(self._read, bgr=bgr), sources, size)
            images = (image for image in reading if image is not None)
            while part := list(islice(images, size)):
                yield from self._inspect(part, (self._query,))

    def close(self) -> None:
        """Free the sessions, and end worker processes."""
        self.engine.close()

    def _learn(self, references: Iterable[FrameSource]) -> None:
        good = list(references)
        if not good:
            return
        for slot in self.engine.slots:
            if slot.entry.cls.learns:
                frames = (self._frame(source) for source in good)
                self.engine.fit(slot.id, frames, self._query)

    def _frame(
        self, source: FrameSource, *, bgr: bool = False, white_level: int | None = None
    ) -> Frame:
        if isinstance(source, (str, os.PathLike)) and not bgr and white_level is None:
            return self._files.read(Path(source))
        return read_frame(source, policy=self._policy, bgr=bgr, white_level=white_level)

    def _read(self, source: FrameSource, *, bgr: bool, white_level: int | None = None) -> _Read:
        start = time.perf_counter()
        name = _name(source)
        try:
            frame = self._frame(source, bgr=bgr, white_level=white_level)
            plan = self.engine.prepare(self.engine.plan(frame))
        except FrameError as error:
            return _Read(ImageFacts(id=name), error, _milliseconds(start))
        return _Read(image_facts(name, frame), plan, _milliseconds(start))

    def _inspect(self, images: Sequence[_Read], asked: Sequence[Query]) -> list[Inspection]:
        start = time.perf_counter()
        plans = [one.plan for one in images if isinstance(one.plan, PlannedFrame)]
        answers = iter(self.engine.score(plans, [asked] * len(plans)))
        each = _milliseconds(start) / max(1, len(plans))
        return [self._inspection(one, answers, each) for one in images]

    def _inspection(self, image: _Read, answers: Iterator[Any], score_ms: float) -> Inspection:
        timing = {"decode": image.decode_ms}
        if isinstance(image.plan, FrameError):
            return Inspection(record=failed_record(image.facts, image.plan, timing))
        results = next(answers)
        heatmaps: dict[str, Heatmap] = {}
        for result in results:
            if result.heatmap is not None:
                heatmaps.setdefault(result.detector, result.heatmap)
        record = scored_record(
            image.facts,
            results,
            engine=self.engine,
            recipe=self.recipe,
            timing_ms={**timing, "score": score_ms},
        )
        return Inspection(record=record, frame=image.plan.frame, heatmaps=heatmaps)


@dataclass(frozen=True)
class _Read:
    """A decoded image, or why there is none."""

    facts: ImageFacts
    plan: PlannedFrame | FrameError
    decode_ms: float


def _spec(detector: str | DetectorSpec) -> DetectorSpec:
    return detector if isinstance(detector, DetectorSpec) else DetectorSpec(id=detector)


def _name(source: FrameSource) -> str:
    if isinstance(source, np.ndarray):
        return "array"
    if isinstance(source, Image.Image):
        return "image"
    return "bytes" if isinstance(source, (bytes, bytearray)) else str(Path(source))


def _milliseconds(start: float) -> float:
    return (time.perf_counter() - start) * 1000.0
