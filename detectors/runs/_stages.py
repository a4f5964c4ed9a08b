"""Where the time of a run goes: how long every stage works, and what the encoder waits for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias, TypeVar

__all__ = ["STAGES", "StageClock", "Stages", "in_words", "together"]

Item = TypeVar("Item")

STAGES: Final = ("source", "decode", "preprocess", "infer", "score", "write")
"""In the order of an image's way; ``source`` finds images, ``infer`` is the shared pass."""
Stages: TypeAlias = Mapping[str, Mapping[str, float]]
"""Stage -> ``busy`` and ``wait``, see :class:`StageClock`."""
_MAIN = "write"


class StageClock:
    """Adds up two things for every stage, from any thread.

    ``busy``: seconds of work, over all threads. ``wait``: seconds that the encoder stood idle
    because of the stage, that is, while the thread of the run waited for it or was at it; of
    ``infer`` itself, that it stood idle at all. What ``wait`` says is largest, bounds the run;
    if ``infer`` waits for nothing, the encoder does.
    """

    def __init__(self) -> None:
        self._busy = dict.fromkeys(STAGES, 0.0)
        self._idle = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()
        self._encoding = False
        self._at = _MAIN
        self._start = self._since = time.perf_counter()
        self._processor = time.process_time()

    @property
    def wall(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    @contextmanager
    def work(self, stage: str) -> Iterator[None]:
        """This thread works at a stage; one thread at a time infers."""
        start = time.perf_counter()
        if stage == "infer":
            self._turn(encoding=True)
        try:
            yield
        finally:
            if stage == "infer":
                self._turn(encoding=False)
            with self._lock:
                self._busy[stage] += time.perf_counter() - start

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """The thread of the run is at a stage or waits for it."""
        before = self._at
        self._turn(at=stage)
        try:
            yield
        finally:
            self._turn(at=before)

    def awaited(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items, which the thread of the run gets from a stage."""
        iterator = iter(items)
        while True:
            with self.at(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def stages(self) -> dict[str, dict[str, float]]:
        """Stage -> ``busy`` and ``wait`` so far."""
        self._turn()
        with self._lock:
            busy, idle = dict(self._busy), dict(self._idle)
        idle["infer"] = sum(idle.values())
        # The same threads decode and preprocess, one after the other: nobody waits for one alone.
        reading = busy["decode"] + busy["preprocess"]
        if reading:
            idle["preprocess"] = idle["decode"] * busy["preprocess"] / reading
            idle["decode"] -= idle["preprocess"]
        return {
            name: {"busy": round(busy[name], 3), "wait": round(idle[name], 3)} for name in STAGES
        }

    def processor(self) -> float:
        """Seconds of processor time, over all threads of this process."""
        return time.process_time() - self._processor

    def sentence(self) -> str:
        """What bounds the run, in a line."""
        full = self.processor() / max(self.wall, 1e-9) / len(os.sched_getaffinity(0))
        return f"{in_words(self.stages())}; processors {full:.0%} busy"

    def _turn(self, *, encoding: bool | None = None, at: str | None = None) -> None:
        with self._lock:
            now = time.perf_counter()
            if not self._encoding:
                self._idle[self._at] += now - self._since
            self._since = now
            self._encoding = self._encoding if encoding is None else encoding
            self._at = self._at if at is None else at


def together(one: Stages, other: Stages) -> dict[str, dict[str, float]]:
    """What the stages of two parts of a run took."""
    return {
        name: {
            what: round(one.get(name, {}).get(what, 0.0) + other.get(name, {}).get(what, 0.0), 3)
            for what in ("busy", "wait")
        }
        for name in STAGES
    }


def in_words(stages: Stages) -> str:
    """What the encoder did all the time: work, or wait for a stage."""
    busy, idle = stages["infer"]["busy"], stages["infer"]["wait"]
    total = max(busy + idle, 1e-9)
    waits = {name: facts["wait"] / total for name, facts in stages.items() if name != "infer"}
    told = [
        f"{name} {share:.0%}"
        for name, share in sorted(waits.items(), key=lambda wait: -wait[1])
        if share >= 0.01
    ]
    waited = f" and waited for {', '.join(told)}" if told else ""
    return f"the encoder worked {busy / total:.0%} of the time{waited}"
