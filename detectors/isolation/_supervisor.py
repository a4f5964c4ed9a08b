"""Keeps a worker process going: another one where one was lost, until too many were."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from clipvet.detectors._closing import Closing
from clipvet.detectors.engine._containment import Benched
from clipvet.detectors.errors import DetectorError
from clipvet.detectors.isolation._channel import Message
from clipvet.detectors.isolation._limits import SLOW_FACTOR, Isolation
from clipvet.detectors.isolation._process import Replies, WorkerLost, WorkerProcess

__all__ = ["LOST_IN_A_ROW", "Supervisor"]

LOST_IN_A_ROW: Final = 3
"""So many workers lost without an answer in between, and none is started any more."""


class Supervisor(Closing):
    """The worker of one detector, or the next one.

    Requests come one after the other, whatever thread they come from.

    Args:
        name: of the detector, for messages.
        limits: of a worker.
        startup: what a new worker is asked first, to bring it where the one before it was.
        replies: for what a worker wants whatever it was asked.
    """

    def __init__(
        self,
        name: str,
        limits: Isolation,
        *,
        startup: Callable[[], Sequence[Message]],
        replies: Replies,
    ) -> None:
        self._name = name
        self._limits = limits
        self._startup = startup
        self._replies = replies
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._lost = 0
        self._closed = False

    def call(
        self,
        request: Message,
        doing: str,
        *,
        replies: Replies | None = None,
        seconds: float | None = None,
        fresh: str = "",
    ) -> Message:
        """The worker's answer; arguments and errors as for :meth:`stream`."""
        *_, last = self.stream(request, doing, replies=replies, seconds=seconds, fresh=fresh)
        return last

    def stream(
        self,
        request: Message,
        doing: str,
        *,
        replies: Replies | None = None,
        seconds: float | None = None,
        fresh: str = "",
    ) -> Iterator[Message]:
        """What the worker says to a request, up to "done".

        Args:
            request: that may take ``seconds``; None is the time for what is slow.
            doing: what it is, for messages: "its worker process died while it <doing>".
            replies: for what the worker wants meanwhile.
            seconds: of the worker's own time.
            fresh: as for :meth:`WorkerProcess.converse`.

        Raises:
            DetectorError: the worker was lost.
            Benched: too many were lost in a row.
            Exception: what the worker raised.
        """
        slow = SLOW_FACTOR * self._limits.seconds
        with self._lock:
            if self._lost >= LOST_IN_A_ROW:
                raise Benched(
                    f"{self._name}: benched after {self._lost} lost worker processes in a row"
                )
            now = "started"
            try:
                worker = self._running(slow)
                now = doing
                yield from worker.converse(
                    request,
                    {**self._replies, **(replies or {})},
                    seconds=seconds or slow,
                    fresh=fresh,
                )
            except WorkerLost as lost:
                self._lost += 1
                raise DetectorError(
                    f"{self._name}: its worker process {lost} while it {now}"
                ) from lost
            except Exception:
                self._lost = 0  # it raised something, and lives
                raise
            self._lost = 0

    def close(self) -> None:
        """End the worker; a request that is under way fails."""
        self._closed = True
        worker = self._worker
        if worker is None:
            return
        worker.kill()
        if self._lock.acquire(blocking=False):  # else whoever talks to it sees its end
            worker.close()
            self._lock.release()

    def _running(self, seconds: float) -> WorkerProcess:
        if self._closed:
            raise DetectorError(f"{self._name}: it is closed")
        if self._worker is None or not self._worker.usable:
            self._worker = worker = WorkerProcess()
            for request in self._startup():
                for _ in worker.converse(request, self._replies, seconds=seconds):
                    pass
        return self._worker
