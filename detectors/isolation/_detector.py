"""A detector whose code runs in a worker process: for the engine it is like any other."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from clipvet.detectors._closing import Closing
from clipvet.detectors._counting import counted
from clipvet.detectors._detector import (
    Batch,
    Context,
    Detector,
    DetectorOptions,
    ImageGroup,
    ImageScores,
    Score,
)
from clipvet.detectors.errors import DetectorError, UsageError
from clipvet.detectors.host._plugins import DetectorEntry
from clipvet.detectors.isolation._channel import Message
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.isolation._supervisor import Supervisor
from clipvet.detectors.isolation._values import (
    answers_from,
    batch_message,
    bundle_facts,
    finding_from,
    image_message,
)

__all__ = ["IsolatedDetector"]

_STORE_CHUNK: Final = 256


class IsolatedDetector(Detector, Closing):
    """Stands for a detector of a plugin, and runs it in a worker process.

    A worker that dies, hangs or does not keep to the protocol costs the call that it was in, as
    a :class:`DetectorError`; the next call starts another one, which loads and prepares anew.

    Args:
        name: for messages.
        entry: the detector.
        options: its own.
        limits: of the worker.

    Raises:
        UsageError: its class cannot be found by another process.
        DetectorError: the worker was lost at once.
        Exception: whatever the detector's own constructor raises.
    """

    def __init__(
        self, name: str, entry: DetectorEntry, options: DetectorOptions, limits: Isolation
    ) -> None:
        super().__init__(options)
        self.queries = entry.cls.queries  # type: ignore[misc] # of the class that it stands for
        self.heatmap_range: Any = None
        self._name = name
        self._start = Message(
            kind="start",
            facts={
                "name": name,
                "memory": limits.memory,
                "level": logging.getLogger(f"clipvet.detectors.{name}").getEffectiveLevel(),
                "class": _reference(name, entry.cls),
                "options": options.model_dump(mode="json"),
            },
        )
        self._seconds = limits.seconds
        self._artefact: Path | None = None
        self._context: Context | None = None
        self._prepared = False
        self._learned: tempfile.TemporaryDirectory[str] | None = None
        self._supervisor = Supervisor(
            name,
            limits,
            startup=self._startup,
            replies={"text": self._text, "warn": self._warn, "log": _log},
        )
        try:
            self._know(self._supervisor.call(Message(kind="look"), "started"))
        except BaseException:
            self.close()
            raise

    def prepare(self, context: Context) -> None:
        """As the detector does."""
        self._context = context
        self._know(self._supervisor.call(self._prepare(), "prepared"))
        self._prepared = True

    def fit(self, batches: Iterable[Batch]) -> None:
        """As the detector does; what it learned is kept for the workers to come."""
        coming = iter(batches)

        def batch(_message: Message) -> Message:
            one = next(coming, None)
            if one is None:
                return Message(kind="end")
            return batch_message(one, self.needs, pixels=True)

        request = Message(kind="fit")
        self._know(
            self._supervisor.call(request, "learned", replies={"batch": batch}, fresh="batch")
        )
        self._forget()
        self._learned = tempfile.TemporaryDirectory(prefix="clipvet-learned-")
        self.save(Path(self._learned.name))
        self._artefact = Path(self._learned.name)

    def save(self, folder: Path) -> None:
        """As the detector does."""
        self._supervisor.call(_of_folder("save", folder), "saved what it learned")

    def load(self, folder: Path) -> None:
        """As the detector does, in every worker."""
        self._know(self._supervisor.call(_of_folder("load", folder), "loaded what it learned"))
        self._artefact = folder

    def score(self, batch: Batch) -> list[list[Score]]:
        """As the detector does; of views that failed, failures.

        Raises:
            Benched: too many workers were lost in a row.
        """

        def pixels(message: Message) -> Message:
            return Message(kind="pixels", arrays=[batch.views[message.facts["view"]].pixels])

        done = self._supervisor.call(
            batch_message(batch, self.needs, pixels=False),
            f"scored {counted(len(batch), 'view')}",
            replies={"pixels": pixels},
            seconds=self._seconds,
        )
        try:
            return answers_from(done)  # type: ignore[return-value] # the engine takes failures
        except (ValueError, TypeError, KeyError) as error:
            raise DetectorError(f"{self._name}: its worker process sent no scores") from error

    def finish(
        self, store: Sequence[Mapping[str, Any]]
    ) -> Iterator[ImageGroup | ImageScores | str]:
        """As the detector does."""
        passes: dict[int, Iterator[Mapping[str, Any]]] = {}

        def details(kept: Mapping[str, Any]) -> dict[str, Any]:
            return {name: kept[name] for name in self.keeps}

        def read(message: Message) -> Message:
            number = message.facts["pass"]
            if number not in passes:
                passes[number] = iter(store)
            images = [details(kept) for kept in islice(passes[number], _STORE_CHUNK)]
            return Message(kind="images", facts={"images": images})

        def look(message: Message) -> Message:
            return Message(
                kind="images", facts={"images": [details(store[message.facts["place"]])]}
            )

        def arrays(message: Message) -> Message:
            return image_message(store[message.facts["place"]], self.keeps)

        def count(_message: Message) -> Message:
            return Message(kind="count", facts={"count": len(store)})

        replies = {"store": read, "kept": look, "arrays": arrays, "count": count}
        request = Message(kind="finish")
        for message in self._supervisor.stream(request, "finished", replies=replies):
            if message.kind in {"group", "scores", "note"}:
                yield finding_from(message)

    def close(self) -> None:
        """End the worker, whatever it does."""
        self._supervisor.close()
        self._forget()

    def _startup(self) -> list[Message]:
        requests = [self._start]
        if self._artefact is not None:
            requests.append(_of_folder("load", self._artefact))
        if self._prepared:
            requests.append(self._prepare())
        return requests

    def _prepare(self) -> Message:
        assert self._context is not None
        return Message(kind="prepare", facts={"bundle": bundle_facts(self._context.bundle)})

    def _know(self, done: Message) -> None:
        """Take over what the instance says about itself."""
        self.needs = frozenset(map(str, done.facts.get("needs", ())))
        self.keeps = frozenset(map(str, done.facts.get("keeps", ())))
        self.heatmap_range = done.facts.get("heatmap_range")

    def _text(self, message: Message) -> Message:
        if self._context is None:
            raise RuntimeError("encode_text: not before prepare")
        prompts = [str(prompt) for prompt in message.facts["prompts"]]
        return Message(kind="text", arrays=[self._context.encode_text(prompts)])

    def _warn(self, message: Message) -> None:
        if self._context is not None:
            self._context.warn(str(message.facts["text"]))

    def _forget(self) -> None:
        if self._learned is not None:
            self._learned.cleanup()
            self._learned = None


def _reference(name: str, cls: type[Detector]) -> dict[str, str | None]:
    """Where another process finds a class."""
    module = sys.modules.get(cls.__module__)
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__ or module is None:
        raise UsageError(
            f"{name} cannot run in a process of its own: its class {cls.__qualname__} is made in "
            f"a function or in the script itself: define it at the top of a module that it imports"
        )
    file = getattr(module, "__file__", None)
    return {"module": cls.__module__, "qualname": cls.__qualname__, "file": file}


def _of_folder(kind: str, folder: Path) -> Message:
    return Message(kind=kind, facts={"folder": str(folder.absolute())})


def _log(message: Message) -> None:
    facts = message.facts
    logging.getLogger(str(facts["logger"])).log(int(facts["level"]), "%s", str(facts["text"]))
