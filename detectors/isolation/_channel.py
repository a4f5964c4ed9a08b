"""Messages between two processes: a JSON header and raw arrays, and nothing that could run.

On the wire: the length of the header (uint64, little-endian), the header, the bytes of each
array that it declares. Never a pickle: a worker is a plugin's code, and what it sends is data.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = ["Channel", "ChannelClosed", "Message", "OutOfTime", "ProtocolError"]

MAX_HEADER: Final = 64 << 20
MAX_ARRAYS: Final = 2 << 30
DTYPES: Final = ("<f4", "|u1", "<i8")
_ALIGNMENT = 64
_MAX_DIMENSIONS = 8


class ChannelClosed(Exception):
    """The other process has gone."""


class OutOfTime(Exception):
    """The other process did not answer, or did not listen, in time."""


class ProtocolError(Exception):
    """What came is no message."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Message:
    """One message.

    Attributes:
        kind: what it is about.
        facts: JSON-able.
        arrays: float32, uint8 or int64; read-only.
    """

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    arrays: Sequence[NDArray[Any]] = ()


class Channel:
    """One end of two pipes. Any thread may send; one receives.

    Args:
        reading, writing: file descriptors, which are closed with the channel.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reader = open(reading, "rb", buffering=0)  # noqa: SIM115 - a descriptor
        self._writer = open(writing, "wb", buffering=0)  # noqa: SIM115
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._sending = threading.Lock()

    def send(self, message: Message, *, deadline: float | None = None) -> None:
        """Send a message.

        Args:
            message: whose facts are JSON-able and finite.
            deadline: on ``time.monotonic()``; None waits for ever.

        Raises:
            ChannelClosed, OutOfTime: after which nothing more can be sent.
            TypeError, ValueError: the facts are no JSON; nothing was sent.
        """
        arrays = [np.ascontiguousarray(array) for array in message.arrays]
        shapes = [[array.dtype.str, list(array.shape)] for array in arrays]
        header = json.dumps([message.kind, message.facts, shapes], allow_nan=False).encode()
        with self._sending:
            self._write(struct.pack("<Q", len(header)) + header, deadline)
            for array in arrays:
                if array.size:
                    self._write(array.reshape(-1).view(np.uint8).data, deadline)

    def receive(self, *, deadline: float | None = None) -> Message:
        """The next message; errors as for :meth:`send`, and :class:`ProtocolError`."""
        (length,) = struct.unpack("<Q", self._read(bytearray(8), deadline))
        if length > MAX_HEADER:
            raise ProtocolError(f"a header of {length} bytes")
        kind, facts, shapes = _header(self._read(bytearray(length), deadline))
        arrays = []
        for dtype, shape in shapes:
            array = _empty(dtype, shape)
            if array.size:
                self._read(array.reshape(-1).view(np.uint8).data, deadline)
            for owned in (array, array.base):  # a view's flag could be set back by its owner's
                owned.flags.writeable = False
            arrays.append(array)
        return Message(kind=kind, facts=facts, arrays=arrays)

    def close(self) -> None:
        """Let the other process see the end."""
        self._reader.close()
        self._writer.close()

    def _write(self, data: Any, deadline: float | None) -> None:
        left = memoryview(data)
        try:
            while left:
                sent = self._writer.write(left)
                if sent is None:
                    _wait(self._writer.fileno(), select.POLLOUT, deadline)
                else:
                    left = left[sent:]
        except (BrokenPipeError, ValueError) as error:
            raise ChannelClosed from error

    def _read(self, data: Any, deadline: float | None) -> Any:
        left = memoryview(data)
        try:
            while left:
                got = self._reader.readinto(left)
                if got is None:
                    _wait(self._reader.fileno(), select.POLLIN, deadline)
                elif got == 0:
                    raise ChannelClosed
                else:
                    left = left[got:]
        except ValueError as error:  # closed by another thread
            raise ChannelClosed from error
        return data


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if deadline is None:
        poll.poll()
    elif not poll.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
        raise OutOfTime


def _header(text: bytearray) -> tuple[str, dict[str, Any], list[tuple[str, list[int]]]]:
    """Kind, facts and the declared arrays, each of them what it has to be."""
    try:
        kind, facts, shapes = json.loads(text, parse_constant=_no_constant)
        declared = [(dtype, shape) for dtype, shape in shapes]
        total = sum(_size(dtype, shape) for dtype, shape in declared)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"a header that cannot be read: {error}") from error
    if not isinstance(kind, str) or not isinstance(facts, dict) or total > MAX_ARRAYS:
        raise ProtocolError(f"a header of the wrong form, or {total} bytes of arrays")
    return kind, facts, declared


def _size(dtype: Any, shape: Any) -> int:
    if dtype not in DTYPES or not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("an array that must not be sent")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array with an impossible shape")
    size: int = math.prod(shape) * np.dtype(dtype).itemsize
    return size


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _empty(dtype: str, shape: list[int]) -> Any:
    """An array that starts where the inference engine's would, lest a sum be rounded otherwise."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + _ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    return buffer[start : start + size].view(dtype).reshape(shape)
