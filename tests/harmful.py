"""Detectors for the tests of worker processes; modules that another process can import."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from clipvet.detectors import (
    Batch,
    Context,
    DetectorOptions,
    ImageGroup,
    QueryMissing,
    Score,
    UsageError,
)
from tests.runs import Energy


class HarmOptions(DetectorOptions):
    always: str = ""
    """The harm that is done to every batch."""
    note: str = ""
    """File that gets the number of the process."""


class Hostile(Energy):
    """Does to its process what the query of an image says, or its option."""

    id: ClassVar[str] = "hostile"
    Options = HarmOptions
    options: HarmOptions

    def score(self, batch: Batch) -> list[list[Score]]:
        if self.options.note:
            Path(self.options.note).write_text(str(os.getpid()), "utf-8")
        named = [query.object for asked in batch.queries for query in asked]
        for harm in [self.options.always, *named]:
            if harm:
                getattr(self, f"_{harm}")()
        return super().score(batch)

    def _none(self) -> None:
        pass

    def _exits(self) -> None:
        os._exit(7)

    def _crashes(self) -> None:
        ctypes.string_at(0)

    def _killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _hangs(self) -> None:
        time.sleep(1000)

    def _holds(self) -> None:
        ctypes.PyDLL(None).sleep(1000)  # and no other thread of the process runs

    def _hogs(self) -> None:
        kept = []
        while True:
            kept.append(np.empty(1 << 25, np.uint8))

    def _lies(self) -> None:
        for descriptor in range(3, 64):
            try:
                os.set_blocking(descriptor, True)
                os.write(descriptor, b"\x80\x04cposix\nsystem\n" * 8)
            except OSError:
                continue

    def _lies_late(self) -> None:
        from clipvet.detectors.isolation._channel import Channel, Message

        for channel in gc.get_objects():
            if isinstance(channel, Channel):
                channel.send(Message(kind="done", facts={"answers": [], "number": 1}))

    def _forks(self) -> None:
        if os.fork() == 0:  # which keeps every pipe open
            time.sleep(1000)
        os._exit(7)


class Everything(Energy):
    """Uses all that a detector may use."""

    id: ClassVar[str] = "everything"
    learns = True
    keeps: frozenset[str] = frozenset({"level"})
    queries: ClassVar[frozenset[Any]] = frozenset({"object"})

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({"cls_embed", "patch_embed", "hidden_1"})

    def prepare(self, context: Context) -> None:
        super().prepare(context)
        self.context_ = context
        self.text_ = context.encode_text(["a photo", "a flawless photo"])
        self.text_ += 0.0  # it is the detector's own
        self.heatmap_range = (0.0, float(context.bundle.embed_dim))
        context.warn("this is said once")

    def fit(self, batches: Iterable[Batch]) -> None:
        kept = list(batches)
        self.mean_ = np.concatenate([b.features["cls_embed"] for b in kept]).mean(axis=0)
        self.mean_ += np.mean([view.pixels.mean() for b in kept for view in b.views])

    def save(self, folder: Path) -> None:
        np.save(folder / "mean.npy", self.mean_)

    def load(self, folder: Path) -> None:
        self.mean_ = np.load(folder / "mean.npy")

    def score(self, batch: Batch) -> list[list[Score]]:
        logging.getLogger("everything").warning("scores %d", len(batch))
        return [
            [self._of(batch, n, query.object or "") for query in asked]
            for n, asked in enumerate(batch.queries)
        ]

    def _of(self, batch: Batch, n: int, name: str) -> Score:
        if name == "nothing":
            raise QueryMissing("everything needs something")
        try:
            text = self.context_.encode_text([name])[0]
        except UsageError as error:
            return Score(value=-1.0, details={"level": 0, "method": str(error)})
        view = batch.views[n]
        value = float(batch.features["cls_embed"][n] @ text) + float(view.pixels.mean())
        value += float(np.abs(batch.features["hidden_1"][n]).max() + self.text_.sum())
        if hasattr(self, "mean_"):
            value += float(self.mean_.sum())
        details = {
            "method": "all",
            "level": int(view.pixels.mean() // 16),
            "box": view.box,
            "odd": np.float32(0.1),
            "sets": {"ä\udc80": {n}},
        }
        return Score(value=value, heatmap=self._one(batch, n).heatmap, details=details)

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Iterator[ImageGroup]:
        levels: dict[str, list[int]] = {}
        for place, kept in enumerate(store):
            levels.setdefault(str(kept["level"]), []).append(place)
        assert sum(1 for _ in store) == sum(map(len, levels.values()))
        for level, places in sorted(levels.items()):
            yield ImageGroup(kind="even", members=places, details={"level": level})


class DiesEarly(Energy):
    """Ends its process while it is prepared; in the parent that would be the end of the run."""

    id: ClassVar[str] = "dies-early"

    def prepare(self, context: Context) -> None:
        sys.stdout.flush()
        os._exit(3)


class DiesLate(Everything):
    id: ClassVar[str] = "dies-late"

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Iterator[ImageGroup]:
        yield ImageGroup(kind="even", members=[sum(1 for _ in store) - 1])
        os.kill(os.getpid(), signal.SIGSEGV)
