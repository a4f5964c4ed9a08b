"""What a detector prints goes to the log; what everybody else prints goes where it should."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOBase
from typing import Any, TextIO

__all__ = ["captured"]

_lock = threading.Lock()
_local = threading.local()
_users = 0
_saved: tuple[TextIO, TextIO] | None = None


@contextmanager
def captured(name: str) -> Iterator[None]:
    """Send what this thread prints to the logger ``clipvet.detectors.<name>``.

    ``sys.stdout`` and ``sys.stderr`` belong to the process, so while any thread captures they
    are replaced by stand-ins that look up whose turn it is; the last one out restores them.
    """
    _enter()
    before = getattr(_local, "log", None)
    _local.log = logging.getLogger(f"clipvet.detectors.{name}")
    try:
        yield
    finally:
        _local.log = before
        _leave()


class _StandIn(TextIOBase):
    def __init__(self, original: TextIO) -> None:
        self._original = original

    def write(self, text: str) -> int:
        log: logging.Logger | None = getattr(_local, "log", None)
        if log is None:
            return self._original.write(text)
        for line in text.splitlines():
            if line.strip():
                log.info("%s", line.rstrip())
        return len(text)

    def flush(self) -> None:
        if getattr(_local, "log", None) is None:
            self._original.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _enter() -> None:
    global _users, _saved  # noqa: PLW0603 - the streams are the process's own
    with _lock:
        if _users == 0:
            _saved = (sys.stdout, sys.stderr)
            sys.stdout, sys.stderr = _StandIn(sys.stdout), _StandIn(sys.stderr)
        _users += 1


def _leave() -> None:
    global _users, _saved  # noqa: PLW0603
    with _lock:
        _users -= 1
        if _users == 0 and _saved is not None:
            sys.stdout, sys.stderr = _saved
            _saved = None
