"""The other side: a process that runs one detector and does what it is asked, until it is not.

Everything that it needs of clipvet (text embeddings, pixels, the next batch) it asks for on the
same channel. It ends with the process that started it, at the end of its pipe or by the kernel.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Batch, Context, Detector
from clipvet.detectors.engine._capture import captured
from clipvet.detectors.engine._containment import Failure, checked_answers, checked_finding
from clipvet.detectors.errors import DetectorError
from clipvet.detectors.host._discovery import load_file
from clipvet.detectors.isolation._channel import Channel, ChannelClosed, Message
from clipvet.detectors.isolation._errors import described, raised
from clipvet.detectors.isolation._values import (
    answers_message,
    batch_from,
    bundle_from,
    finding_message,
    image_from,
)

__all__ = ["main"]

_PR_SET_PDEATHSIG: Final = 1


def main(reading: int, writing: int, parent: int) -> None:
    """Serve until the other end of the pipes is closed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before this was said
            return
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, False)
    try:
        _Worker(Channel(reading, writing)).serve()
    except ChannelClosed:
        os._exit(0)  # whatever the plugin has running


class _Worker:
    """One detector and the channel to who asks about it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._asking = threading.Lock()
        self._busy = False
        self._batches = 0
        self.name = ""
        self.detector: Detector

    def serve(self) -> None:
        """Do what is asked, one thing after the other."""
        tasks: dict[str, Callable[[Message], Message]] = {
            "start": self._start,
            "look": lambda _message: self._facts(),
            "load": self._load,
            "prepare": self._prepare,
            "fit": self._fit,
            "save": self._save,
            "batch": self._score,
            "finish": self._finish,
        }
        while True:
            request = self._channel.receive()
            number = {"number": request.facts["number"]}
            self._busy = True
            try:
                with captured(self.name):
                    answer = tasks[request.kind](request)
                self._end_asking()
                self._channel.send(replace(answer, facts={**answer.facts, **number}))
            except ChannelClosed:
                raise
            except BaseException as error:  # noqa: BLE001 - it is the detector's, and is told
                self._end_asking()
                self._channel.send(Message(kind="failed", facts={**self._why(error), **number}))

    def say(self, message: Message) -> None:
        """Tell something that is not answered."""
        self._channel.send(message)

    def ask(self, kind: str, **facts: Any) -> Message:
        """Ask for something, while a request is being answered; raises what the answer raises."""
        with self._asking:
            if not self._busy:
                raise RuntimeError("clipvet is asked only while it waits for an answer")
            self._channel.send(Message(kind=kind, facts=facts))
            reply = self._channel.receive()
        if reply.kind == "failed":
            raise raised(reply.facts)
        return reply

    def _why(self, error: BaseException) -> dict[str, str]:
        facts = described(error)
        if isinstance(error, MemoryError):
            limit = resource.getrlimit(resource.RLIMIT_DATA)[0] / 2**30
            said = f"its worker process may have {limit:.3g} GiB"
            facts |= {"type": "MemoryError", "text": f"{facts['text']}: {said}".lstrip(": ")}
        return facts

    def _end_asking(self) -> None:
        with self._asking:  # a thread of the detector may still wait for a reply
            self._busy = False

    def _start(self, request: Message) -> Message:
        facts = request.facts
        self.name = facts["name"]
        _limit(resource.RLIMIT_DATA, facts["memory"])
        _limit(resource.RLIMIT_CORE, 0)
        logging.basicConfig(level=facts["level"], handlers=[_Told(self)], force=True)
        with captured(self.name):
            cls = _find(**facts["class"])
            self.detector = cls(cls.Options.model_validate(facts["options"]))
        return Message(kind="done")

    def _load(self, request: Message) -> Message:
        self.detector.load(Path(request.facts["folder"]))
        return self._facts()

    def _prepare(self, request: Message) -> Message:
        def encode_text(prompts: Sequence[str]) -> NDArray[np.float32]:
            (embeddings,) = self.ask("text", prompts=list(prompts)).arrays
            return embeddings.copy()

        def warn(text: str) -> None:
            self.say(Message(kind="warn", facts={"text": str(text)}))

        bundle = bundle_from(request.facts["bundle"])
        self.detector.prepare(Context(bundle=bundle, encode_text=encode_text, warn=warn))
        return self._facts()

    def _fit(self, _request: Message) -> Message:
        self.detector.fit(self._coming())
        return self._facts()

    def _coming(self) -> Iterator[Batch]:
        while (message := self.ask("batch")).kind == "batch":
            yield batch_from(message, None)

    def _save(self, request: Message) -> Message:
        self.detector.save(Path(request.facts["folder"]))
        return Message(kind="done")

    def _score(self, request: Message) -> Message:
        self._batches = number = self._batches + 1

        def pixels(place: int) -> NDArray[np.uint8]:
            if number != self._batches:
                raise RuntimeError("the pixels of an earlier batch are gone")
            (array,) = self.ask("pixels", view=place).arrays
            return array

        answers = checked_answers(self.name, self.detector, batch_from(request, pixels))
        if isinstance(answers, Failure):
            raise DetectorError(answers.message)
        return answers_message(answers)

    def _finish(self, _request: Message) -> Message:
        for said in self.detector.finish(_Store(self)):
            self.say(finding_message(checked_finding(said)))
        return Message(kind="done")

    def _facts(self) -> Message:
        """What the instance says about itself, which may depend on its options."""
        try:
            low, high = (float(edge) for edge in getattr(self.detector, "heatmap_range", ()))
            edges = [low, high] if np.isfinite([low, high]).all() else None
        except (TypeError, ValueError):
            edges = None
        needs = sorted(self.detector.needs)
        facts = {"needs": needs, "keeps": sorted(self.detector.keeps), "heatmap_range": edges}
        return Message(kind="done", facts=facts)


class _Store(Sequence[Mapping[str, Any]]):
    """What a set-level detector kept; each pass over it is read from the disk of the other side."""

    def __init__(self, worker: _Worker) -> None:
        self._worker = worker
        self._passes = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        self._passes += 1
        number, place = self._passes, 0
        while images := self._worker.ask("store", **{"pass": number}).facts["images"]:
            for details in images:
                yield _Kept(self._worker, place, details)
                place += 1

    def __len__(self) -> int:
        return int(self._worker.ask("count").facts["count"])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        (details,) = self._worker.ask("kept", place=int(place)).facts["images"]
        return _Kept(self._worker, int(place), details)


class _Kept(Mapping[str, Any]):
    """What was kept of one image; its arrays come when one is asked for."""

    def __init__(self, worker: _Worker, place: int, details: Mapping[str, Any]) -> None:
        self._worker = worker
        self._place = place
        self._details = details

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        return image_from(self._worker.ask("arrays", place=self._place))

    def __getitem__(self, name: str) -> Any:
        return self._details[name] if name in self._details else self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._details
        yield from self._arrays

    def __len__(self) -> int:
        return len(self._details) + len(self._arrays)


class _Told(logging.Handler):
    """What is logged here is logged there."""

    def __init__(self, worker: _Worker) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter())
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record).encode("utf-8", "backslashreplace").decode()
        facts = {"logger": record.name, "level": record.levelno, "text": text}
        self._worker.say(Message(kind="log", facts=facts))


def _limit(what: int, size: int) -> None:
    hard = resource.getrlimit(what)[1]
    size = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(what, (size, size))


def _find(module: str, qualname: str, file: str | None) -> type[Detector]:
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module or file is None:
            raise
        found = load_file(Path(file), module)  # of the plugins folder, which is on no path
    for part in qualname.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, Detector)):
        raise TypeError(f"{module}.{qualname} is no detector")
    return found
