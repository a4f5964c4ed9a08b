"""One pass, every detector: frames in, raw results out.

Detectors are grouped by bundle; each view is encoded once per group. What a view scores does
not depend on the views beside it, so any grouping of the images gives the same bits.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from clipvet.detectors._closing import Closing
from clipvet.detectors._detector import Batch, Query
from clipvet.detectors.clip import BundleInfo, Device
from clipvet.detectors.engine._advice import advised
from clipvet.detectors.engine._answers import ask
from clipvet.detectors.engine._asked import AskedFrame, AskedView, Features
from clipvet.detectors.engine._containment import read_only
from clipvet.detectors.engine._finite import finite_mean, not_finite, spoilt
from clipvet.detectors.engine._merging import PlannedFrame, merge_views
from clipvet.detectors.engine._results import DetectorSpec, DomainScore, RawResult
from clipvet.detectors.engine._setup import FeatureRuntime, Slot, build_slots, open_runtime
from clipvet.detectors.errors import ClipvetError, DetectorError, UsageError
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.frames._views import Region, Tiling, View, plan_views
from clipvet.detectors.host._host import Host
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.isolation._workers import Workers

__all__ = ["Engine", "FeatureRuntime", "PlannedFrame"]


class Engine(Closing):
    """The runtimes and prepared detectors of a run; ``score`` may be called from many threads.

    Args:
        specs: the detectors, in the order of their results.
        host: the plugins.
        bundle: name or folder for the detectors that name none; None is the embedded one.
        device: ``auto``, ``cpu``, ``openvino``, ``openvino-bf16``, ``cuda`` or ``tensorrt``.
        batch_size: views per call of the vision session.
        threads: inside one operator; None takes every usable core.
        region, tiling: how a frame becomes views.
        isolate: limits of worker processes for the detectors of plugins; None runs them here.
        runtime_factory: called in the place of ``open_runtime``; tests pass ``FakeRuntime``.

    Attributes:
        warnings: sentences for whoever reads the summary, each once.
        seconds: spent in ``encode`` and ``detectors``, so far.
        workers: where the detectors of plugins live.

    Raises:
        UsageError: an unknown detector or option.
        UnfitEnvironment: a bundle, device or artefact that does not serve.
    """

    def __init__(
        self,
        specs: Sequence[DetectorSpec],
        *,
        host: Host,
        bundle: str | Path | None = None,
        device: Device = "auto",
        batch_size: int = 8,
        threads: int | None = None,
        region: Region | None = None,
        tiling: Tiling | None = None,
        isolate: Isolation | None = None,
        runtime_factory: Callable[..., FeatureRuntime] | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"a batch of {batch_size} views is none: give at least 1")
        self.batch_size = batch_size
        self.region = region
        self.tiling = tiling
        self.warnings: list[str] = []
        name = None if bundle is None else str(bundle)
        if runtime_factory is None:
            specs, self.warnings = advised(specs, host=host, bundle=name)
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        make = runtime_factory or partial(open_runtime, host=host)
        self.runtimes: dict[str, FeatureRuntime] = {}
        self.workers = Workers(isolate)
        try:
            self._slots = build_slots(
                specs,
                host=host,
                bundle=name,
                runtimes=self.runtimes,
                make_runtime=lambda name, needs: make(
                    name, needs=needs, device=device, batch_size=batch_size, threads=threads
                ),
                make_detector=self.workers.make,
                warn=self._warn,
            )
        except BaseException:
            self.close()
            raise

    @property
    def infos(self) -> dict[str, BundleInfo]:
        """Facts of the bundles in use, by the name they were asked for; the run's own first."""
        return {name: runtime.info for name, runtime in self.runtimes.items()}

    @property
    def provider(self) -> str:
        """Execution provider of the first runtime."""
        return next(iter(self.runtimes.values())).provider

    @property
    def encoder_calls(self) -> int:
        """Views encoded so far, over all bundles."""
        return sum(runtime.encoder_calls for runtime in self.runtimes.values())

    @property
    def slots(self) -> Sequence[Slot]:
        """One for each spec: what is known of the detector."""
        return self._slots

    def bundle_of(self, detector_id: str) -> str:
        """Id of the bundle whose features a detector reads."""
        return self.runtimes[self._slot(detector_id).group].info.id

    def heatmap_range(self, detector_id: str) -> tuple[float, float] | None:
        """The range that a detector declares for its heatmaps, for pictures; None if none."""
        declared = getattr(self._slot(detector_id).detector, "heatmap_range", None)
        try:
            low, high = (float(edge) for edge in declared or ())
        except (TypeError, ValueError):
            return None
        return (low, high) if math.isfinite(high - low) and low < high else None

    @property
    def placement(self) -> dict[str, dict[str, int]]:
        """Bundle -> execution provider -> nodes of the image tower, where onnxruntime tells it."""
        found = {name: runtime.placement for name, runtime in self.runtimes.items()}
        return {
            name: {provider: sum(operators.values()) for provider, operators in nodes.items()}
            for name, nodes in found.items()
            if nodes is not None
        }

    def warmup(self) -> None:
        """Make the sessions, so that the first image is not slow; warn of what they cannot do."""
        for runtime in self.runtimes.values():
            runtime.warmup()
            for note in runtime.notes:
                self._warn(note)

    def plan(self, frame: Frame) -> PlannedFrame:
        """Cut a frame into views; raises FrameRefused if the region does not fit it."""
        views = plan_views(frame, region=self.region, tiling=self.tiling)
        return PlannedFrame(frame=frame, views=views)

    def prepare(self, plan: PlannedFrame) -> PlannedFrame:
        """Resize the views for every bundle now, in this thread; scores are the same bits."""
        pixels = [view.pixels for view in plan.views]
        squares = {group: runtime.squares(pixels) for group, runtime in self.runtimes.items()}
        return replace(plan, squares=squares)

    def score(
        self, frames: Sequence[Frame | PlannedFrame], queries: Sequence[Sequence[Query]]
    ) -> list[list[RawResult]]:
        """Score some frames, each for its queries (one empty ``Query`` if nothing is asked).

        Returns:
            For each frame its results, by detector and then by query.
        """
        planned = [f if isinstance(f, PlannedFrame) else self.plan(f) for f in frames]
        if len(planned) != len(queries):
            raise ValueError(f"{len(planned)} frames with queries for {len(queries)}")
        asked = [AskedFrame(plan, of) for plan, of in zip(planned, queries, strict=True)]
        views = [view for one in asked for view in one.views()]
        for first in range(0, len(views), self.batch_size):
            part = views[first : first + self.batch_size]
            self.judge(part, self.encode(part))
        return [self.results(one) for one in asked]

    def encode(self, views: Sequence[AskedView]) -> dict[str, Features]:
        """The shared pass over at most ``batch_size`` views: group -> features."""
        start = time.perf_counter()
        features = {
            group: read_only(runtime.encode_views([view.pixels(group) for view in views]))
            for group, runtime in self.runtimes.items()
        }
        self._spent("encode", time.perf_counter() - start, views)
        return features

    def judge(self, views: Sequence[AskedView], features: Mapping[str, Features]) -> None:
        """Let every detector answer for these views; the answers are kept with their frames."""
        start = time.perf_counter()
        pictures = tuple(one.view for one in views)  # no detector can change them for the next
        owners = [id(one.frame) for one in views]
        for group, runtime in self.runtimes.items():
            if runtime.gate is not None:
                for one, score in zip(views, runtime.gate.score(features[group]), strict=True):
                    one.frame.gated[group].append(float(score))
        broken = {group: not_finite(found, len(views)) for group, found in features.items()}
        for place, slot in enumerate(self._slots):
            queries = tuple(slot.applicable(one.frame.queries) for one in views)
            batch = Batch(features=features[slot.group], views=pictures, queries=queries)
            answers = ask(slot, batch, owners, broken[slot.group])
            for one, answer in zip(views, answers, strict=True):
                one.frame.answers[place].append(answer)
        for one in views:
            one.frame.answered += 1
        self._spent("detectors", time.perf_counter() - start, views)

    def results(self, asked: AskedFrame) -> list[RawResult]:
        """What came of a frame all of whose views are answered, by detector and then by query."""
        domains = {group: self._domain(group, scores) for group, scores in asked.gated.items()}
        return [
            replace(result, domain=domains[slot.group])
            if slot.group in domains and slot.reads
            else result
            for place, slot in enumerate(self._slots)
            for result in merge_views(
                slot, asked.plan, asked.queries, asked.answers[place], self.region
            )
        ]

    def fit(self, detector_id: str, frames: Iterable[Frame], query: Query) -> None:
        """Let a detector learn from good frames, streamed.

        Raises:
            DetectorError: the detector failed; its own handled errors pass as they are.
        """
        slot = self._slot(detector_id)
        if slot.guarded is None:
            raise DetectorError(slot.failure.message if slot.failure else detector_id)
        try:
            slot.guarded.detector.fit(self._batches(slot, frames, query))
        except (ClipvetError, KeyboardInterrupt):
            raise
        except BaseException as error:
            kind = type(error).__name__
            raise DetectorError(f"{detector_id} failed to learn: {kind}: {error}") from error

    def save(self, detector_id: str, folder: Path) -> None:
        """Write what a detector has learned into an empty folder."""
        detector = self._slot(detector_id).detector
        if detector is not None:
            detector.save(folder)

    def close(self) -> None:
        """Free the sessions, and end the workers."""
        self.workers.close()
        for runtime in self.runtimes.values():
            runtime.close()

    def _domain(self, group: str, scores: Sequence[float]) -> DomainScore:
        runtime = self.runtimes[group]
        assert runtime.gate is not None
        return DomainScore(
            bundle=runtime.info.id,
            score=finite_mean(scores),
            threshold=runtime.gate.threshold,
            inside=runtime.gate.inside,
        )

    def _batches(self, slot: Slot, frames: Iterable[Frame], query: Query) -> Iterator[Batch]:
        runtime = self.runtimes[slot.group]
        waiting: list[View] = []
        for frame in frames:
            waiting += self.plan(frame).views
            while len(waiting) >= self.batch_size:
                yield self._fit_batch(runtime, waiting[: self.batch_size], query)
                del waiting[: self.batch_size]
        if waiting:
            yield self._fit_batch(runtime, waiting, query)

    def _fit_batch(self, runtime: FeatureRuntime, views: Sequence[View], query: Query) -> Batch:
        features = read_only(runtime.encode_views([view.pixels for view in views]))
        broken = next(filter(None, not_finite(features, len(views))), None)
        if broken:
            raise DetectorError(f"{spoilt(runtime.info.id, broken)}: nothing is learned")
        return Batch(features=features, views=list(views), queries=[(query,)] * len(views))

    def _slot(self, detector_id: str) -> Slot:
        for slot in self._slots:
            if slot.id == detector_id:
                return slot
        raise UsageError(f"this run has no detector {detector_id!r}")

    def _warn(self, message: str) -> None:
        with self._lock:
            if message not in self.warnings:
                self.warnings.append(message)

    def _spent(self, stage: str, seconds: float, views: Sequence[AskedView]) -> None:
        with self._lock:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        for one in views:
            one.frame.seconds[stage] += seconds / len(views)
