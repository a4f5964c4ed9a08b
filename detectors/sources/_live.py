"""Frames of a camera or a stream: always the newest, never a queue of old ones."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._counting import counted
from clipvet.detectors.records._ids import escaped
from clipvet.detectors.sources._capture import CAMERA, Sampling, open_capture
from clipvet.detectors.sources._source import Source
from clipvet.detectors.sources._video import VideoFrame

__all__ = ["Live", "is_live"]

_NAME = re.compile(rf"{CAMERA}\d+|(?:rtsps?|rtmps?|https?|udp|tcp|srt)://.+", re.IGNORECASE)
_LOOK_S = 0.5
_DROPPED: Final = "frame dropped for a newer one"


def is_live(text: str) -> bool:
    """True for ``camera:N`` and for URLs of streams."""
    return _NAME.fullmatch(text) is not None


@dataclass(kw_only=True)
class Live(Source):
    """One camera or stream, until it ends for good.

    A thread takes every frame off the camera and keeps the newest; whatever is judged is that
    one, and how many were dropped before it is said in its notes and counted. A stream that
    breaks is opened again after 1, 2, 4, ... 30 s; when that has failed ``reconnect`` times in a
    row, it ends, and that is a problem of the run. Ids are ``<label>/000123``, counted on from
    the records that are there; a user name, password or query in a URL appears nowhere.

    Attributes:
        name: ``camera:N`` or a URL.
        sampling: which frames.
        reconnect: how often in a row a broken stream is opened again.
        is_done: whether an id has a record.
        first_wait: seconds before the first of these attempts.
    """

    name: str
    sampling: Sampling = field(default_factory=Sampling)
    reconnect: int = 5
    is_done: Callable[[str], bool] = lambda _id: False
    first_wait: float = 1.0

    def __iter__(self) -> Iterator[VideoFrame | None]:
        shown = _without_secrets(self.name)
        label = self.labels.of(Path(shown), _label(self.name))
        free = (number for number in itertools.count(1) if not self.is_done(f"{label}/{number:06}"))
        grabber = _Grabber(self)
        grabber.start()
        try:
            while True:
                shot = grabber.newest(_LOOK_S)
                if shot is not None:
                    self.ignored.update({_DROPPED: shot.dropped} if shot.dropped else {})
                    number = next(free)
                    yield VideoFrame(
                        id=f"{label}/{number:06}",
                        name=f"{shown}, frame {number}",
                        pixels=shot.pixels,
                        notes=shot.notes(),
                    )
                elif grabber.ended is not None:
                    self.problems.append(f"{escaped(shown)}: {grabber.ended}")
                    return
                yield None  # a frame is judged at once, not when a batch of them is together
        finally:
            grabber.stop()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shot:
    pixels: NDArray[np.uint8]
    at: datetime
    dropped: int
    reconnected: bool

    def notes(self) -> tuple[str, ...]:
        notes = [f"at {self.at.isoformat(timespec='milliseconds')}"]
        if self.dropped:
            notes.append(f"{counted(self.dropped, 'frame')} dropped before it")
        if self.reconnected:
            notes.append("first frame after the stream broke")
        return tuple(notes)


class _Grabber(threading.Thread):
    """Empties the camera's queue and keeps the newest frame; reconnects."""

    def __init__(self, live: Live) -> None:
        super().__init__(name="clipvet-live", daemon=True)
        self._live = live
        self._change = threading.Condition()
        self._shot: _Shot | None = None
        self._stopped = threading.Event()
        self._grabbed = 0
        self._due = 0.0
        self.ended: str | None = None

    def newest(self, timeout: float) -> _Shot | None:
        """The newest frame, once; None if none came in time or the stream has ended."""
        with self._change:
            self._change.wait_for(lambda: self._shot or self.ended is not None, timeout)
            shot, self._shot = self._shot, None
            return shot

    def stop(self) -> None:
        """Let go of the camera; a read that hangs in the network is left to its own timeout."""
        self._stopped.set()
        self.join(timeout=2.0)

    def run(self) -> None:
        """Read until stopped, or until the stream does not come back."""
        live, failures = self._live, 0
        reason = "cannot be opened: check that it is there and not in use"
        while True:
            if self._stream():
                failures, reason = 0, f"broke after {counted(self._grabbed, 'frame')}"
            if failures == live.reconnect or self._stopped.is_set():
                break
            self._stopped.wait(min(30.0, live.first_wait * 2**failures))
            failures += 1
        tries = counted(live.reconnect, "attempt")
        tries = f" and did not come back in {tries}" if live.reconnect else ""
        with self._change:
            self.ended = reason + tries
            self._change.notify_all()

    def _stream(self) -> bool:
        """Read to the end of one connection; False if not a frame came."""
        before = self._grabbed
        try:
            capture = open_capture(self._live.name)
            try:
                while not self._stopped.is_set() and capture.grab():
                    self._take(capture, first=self._grabbed == before)
                    self._grabbed += 1
            finally:
                capture.release()
        except Exception:  # noqa: BLE001 - OpenCV raises what it likes; the stream has broken
            self._stopped.wait(0.01)
        return self._grabbed > before

    def _take(self, capture: Any, *, first: bool) -> None:
        sampling, now = self._live.sampling, time.monotonic()
        if not sampling.takes(self._grabbed, now, self._due):
            return
        whole, pixels = capture.retrieve()
        if not whole:
            return
        self._due = sampling.next_due(now)
        with self._change:
            old = self._shot
            self._shot = _Shot(
                pixels=pixels,
                at=datetime.now(UTC),
                dropped=0 if old is None else old.dropped + 1,
                reconnected=(first and self._grabbed > 0) or (old is not None and old.reconnected),
            )
            self._change.notify_all()


def _without_secrets(name: str) -> str:
    if name.startswith(CAMERA):
        return name
    url = urlsplit(name)
    return f"{url.scheme}://{_host(name)}{url.path}"


def _label(name: str) -> str:
    if name.startswith(CAMERA):
        return name.replace(":", "-")
    parts = filter(None, urlsplit(name).path.split("/"))
    return escaped("-".join([_host(name).replace(":", "-"), *parts]))


def _host(name: str) -> str:
    """Name and port, without user and password."""
    return urlsplit(name).netloc.rpartition("@")[2]
