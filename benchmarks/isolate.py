"""What a worker process adds to a batch and to the start: ``python -m benchmarks.isolate``.

A batch of 8 pictures of 1280x960 goes through the embedded bundle once; then its features are
scored in this process and in a worker in turns. The difference is what the worker costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks._isolated import Global, Local, Pixels
from clipvet.detectors import (
    Batch,
    Detector,
    DetectorSpec,
    Engine,
    Host,
    Isolation,
    Query,
    plan_views,
    read_frame,
)
from clipvet.detectors.testing import host_with

ROUNDS, BATCH, STARTS = 200, 8, 5
BUNDLES = Host.load(select="").bundles


def main() -> None:
    """Print one line a detector."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (960, 1280, 3), dtype=np.uint8) for _ in range(BATCH)]
    views = [plan_views(read_frame(picture))[0] for picture in pictures]
    for cls in (Global, Local, Pixels):
        here, there = _engine(cls, None), _engine(cls, Isolation())
        with here, there:
            features = next(iter(here.runtimes.values())).encode_views([v.pixels for v in views])
            batch = Batch(features=features, views=views, queries=[(Query(),)] * BATCH)
            sent = sum(features[name].nbytes for name in cls.needs) / 1e3
            plain, isolated = _in_turns(here, batch), _in_turns(there, batch)
            rounds = [(plain(), isolated()) for _ in range(ROUNDS + 10)][10:]
        added = 1000 * np.array([b - a for a, b in rounds])
        low, middle, high = np.percentile(added, [5, 50, 95])
        print(
            f"{cls.id}: {sent:.0f} kB of features, {middle:.2f} ms a batch of {BATCH} more "
            f"(5 % to 95 %: {low:.2f} to {high:.2f}, n = {ROUNDS})"
        )
    starts = []
    for _ in range(STARTS):
        start = time.perf_counter()
        _engine(Global, None).close()
        plain_start = time.perf_counter() - start
        _engine(Global, Isolation()).close()
        starts.append(time.perf_counter() - start - 2 * plain_start)
    print(f"start: {np.median(starts):.2f} s more for each detector (n = {STARTS})")


def _engine(cls: type[Detector], isolate: Isolation | None) -> Engine:
    host = host_with(cls, bundles=BUNDLES)
    return Engine([DetectorSpec(id=cls.id)], host=host, isolate=isolate)


def _in_turns(engine: Engine, batch: Batch) -> Callable[[], float]:
    detector = engine.slots[0].detector
    assert detector is not None

    def once() -> float:
        start = time.perf_counter()
        detector.score(batch)
        return time.perf_counter() - start

    return once


if __name__ == "__main__":
    main()
