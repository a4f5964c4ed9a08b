"""A worker process: started, talked to against the clock, and never left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Final, TypeAlias

from clipvet.detectors.errors import UnfitEnvironment
from clipvet.detectors.isolation._channel import (
    Channel,
    ChannelClosed,
    Message,
    OutOfTime,
    ProtocolError,
)
from clipvet.detectors.isolation._errors import described, raised

__all__ = ["Replies", "WorkerLost", "WorkerProcess"]

Replies: TypeAlias = Mapping[str, Callable[[Message], Message | None]]
"""Kind of message -> what takes it, and answers it if it is a question."""

_PIPE_SIZE: Final = 1 << 20
_DYING_S: Final = 1.0
# Not `-m`, which would import this package before its own path is known; `-P`: nothing is
# imported from the working directory that the parent would not import from there.
_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from clipvet.detectors.isolation._worker import main; main(*map(int, sys.argv[2:]))"
)


class WorkerLost(Exception):
    """The worker is gone; the text says how, and fits behind "its worker process"."""


class WorkerProcess:
    """One life of a worker, in a session of its own.

    The thread that starts it waits for its end, and lives as long as it does: Linux kills the
    worker with that thread, so also if this process is killed.

    Attributes:
        usable: False once a conversation broke off; then the process is gone.
    """

    def __init__(self) -> None:
        ours, theirs = _pipes()
        self._channel = Channel(*ours)
        self._lock = threading.Lock()
        self._reaped = False
        self.usable = True
        self._requests = 0
        started: Future[subprocess.Popen[bytes]] = Future()
        self._keeper = threading.Thread(
            target=self._keep, args=(theirs, started), daemon=True, name="clipvet-worker"
        )
        self._keeper.start()
        try:
            self._process = started.result()
        except OSError as error:
            self._channel.close()
            raise UnfitEnvironment(f"a worker process cannot be started: {error}") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def converse(
        self, request: Message, replies: Replies, *, seconds: float, fresh: str = ""
    ) -> Iterator[Message]:
        """Ask something, answer what the worker asks meanwhile, and give what it says.

        Args:
            request: to the worker.
            replies: for what the worker wants meanwhile; what they raise is raised there.
            seconds: of the worker's own time for everything.
            fresh: kind of question that gives it all of its time again.

        Yields:
            Messages of other kinds; the last one is "done".

        Raises:
            WorkerLost: it died, was too slow, or does not keep to the protocol. It is gone.
            Exception: whatever the worker raised, see :func:`raised`.
        """
        self.usable = False
        self._requests = number = self._requests + 1
        request = replace(request, facts={**request.facts, "number": number})
        try:
            left = seconds - self._send(request, seconds)
            while not self.usable:
                start = time.monotonic()
                message = self._channel.receive(deadline=start + left)
                left = seconds if message.kind == fresh else left - (time.monotonic() - start)
                if message.kind in {"done", "failed"}:
                    if message.facts.get("number") != number:
                        raise ProtocolError("the answer to another question")
                    self.usable = True
                if message.kind in replies:
                    reply = _reply(replies[message.kind], message)
                    left -= 0.0 if reply is None else self._send(reply, left)
                elif message.kind == "failed":
                    raise raised(message.facts)
                else:
                    yield message
        except ChannelClosed:
            raise WorkerLost(self._end()) from None
        except OutOfTime:
            raise WorkerLost(f"was stopped after {seconds:g} s") from None
        except ProtocolError as error:
            raise WorkerLost(f"was stopped, for it sent {error},") from error
        finally:
            if not self.usable:  # it may be anywhere in the conversation
                self.kill()
                self._channel.close()

    def kill(self) -> None:
        """Kill it and what it started; any thread may."""
        with self._lock:
            if not self._reaped:
                _kill_group(self.pid)
        self._keeper.join()

    def close(self) -> None:
        """Kill it and free the pipes; nobody may converse."""
        self.kill()
        self._channel.close()

    def _send(self, message: Message, seconds: float) -> float:
        """Send, and return the seconds for which the worker did not listen."""
        start = time.monotonic()
        self._channel.send(message, deadline=start + seconds)
        return time.monotonic() - start

    def _end(self) -> str:
        """How it ended: it closed its pipes, so it is dead or about to die."""
        self._keeper.join(_DYING_S)
        self.kill()
        code = self._process.returncode
        if code >= 0:
            return f"ended by itself with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    def _keep(self, pipes: tuple[int, int], started: Future[subprocess.Popen[bytes]]) -> None:
        """Start the worker, wait for its end, and end what it left running."""
        arguments = [json.dumps([str(path) for path in sys.path]), *map(str, pipes)]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-P", "-c", _START, *arguments, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # ours may belong to the records
                pass_fds=pipes,
                start_new_session=True,  # Ctrl-C is for us
            )
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            started.set_exception(error)
            return
        started.set_result(process)
        with contextlib.suppress(ChildProcessError):  # somebody ignores SIGCHLD
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:  # until it is reaped, nobody else can have its number
            _kill_group(process.pid)
            process.wait()
            self._reaped = True


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _reply(reply: Callable[[Message], Message | None], message: Message) -> Message | None:
    try:
        return reply(message)
    except Exception as error:  # noqa: BLE001 - the worker's question, and its to handle
        return Message(kind="failed", facts=described(error))


def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Two pipes: the ends (read, write) of this process, and of the other."""
    read, their_write = os.pipe()
    their_read, write = os.pipe()
    for descriptor in (write, their_write):
        with contextlib.suppress(OSError):  # a user may have only so much of it
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return (read, write), (their_read, their_write)
