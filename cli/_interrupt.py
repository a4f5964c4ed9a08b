"""Ctrl-C: the first ends the work in good order, the second ends the process."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["second_interrupt_kills"]


def second_interrupt_kills() -> None:
    """From the first SIGINT on, the next is left to the system, which waits for nothing.

    Whatever is on disk at any moment can be resumed, so nothing is lost by it. Where SIGINT is
    ignored, or somebody else listens to it, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _first)


def _first(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt
