"""Files to frames, formats of plugins included."""

from __future__ import annotations

import logging
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.engine._capture import captured
from clipvet.detectors.engine._containment import one_line
from clipvet.detectors.errors import FrameError, FrameUnreadable, UnfitEnvironment
from clipvet.detectors.frames._frames import DecodePolicy, Frame, is_candidate, read_frame
from clipvet.detectors.host._host import Reader
from clipvet.detectors.records._ids import escaped

__all__ = ["FileReader"]

log = logging.getLogger("clipvet.run")


class FileReader:
    """Reads image files; safe to use from several threads.

    Args:
        readers: suffix -> a plugin's reader for it.
        policy: for what a file does not say itself.
    """

    def __init__(self, readers: Mapping[str, Reader], policy: DecodePolicy) -> None:
        self._readers = readers
        self._policy = policy

    def takes(self, path: Path) -> bool:
        """True if a file is worth a record."""
        return path.suffix.lower() in self._readers or is_candidate(path)

    def read(self, path: Path) -> Frame:
        """Decode a file; whatever is wrong with it is a :class:`FrameError`."""
        reader = self._readers.get(path.suffix.lower())
        try:
            if reader is not None:
                return self._by_plugin(path, reader)
            return read_frame(path, policy=self._policy)
        except (FrameError, UnfitEnvironment):
            raise
        except Exception as error:
            log.debug("%s", path, exc_info=True)
            kind = type(error).__name__
            message = f"cannot be read ({kind}: {one_line(error)})".replace(str(path), path.name)
            raise FrameUnreadable(message, file=escaped(str(path))) from error

    def decode(
        self,
        content: bytes | NDArray[Any],
        *,
        name: str,
        bgr: bool = False,
        notes: Sequence[str] = (),
    ) -> Frame:
        """Decode an image that is no file of its own; see :meth:`read`.

        Args:
            content: bytes of an image file, or an array, see ``read_frame``.
            name: for messages and ``Frame.source``.
            bgr: an array's channels are in OpenCV's order.
            notes: what is known about it.
        """
        try:
            frame = read_frame(content, policy=self._policy, bgr=bgr)
        except FrameError as error:
            raise type(error)(error.reason, file=escaped(name)) from error
        return replace(frame, source=name, notes=(*notes, *frame.notes))

    def _by_plugin(self, path: Path, reader: Reader) -> Frame:
        if not stat.S_ISREG(path.stat().st_mode):
            raise FrameUnreadable("not a regular file: give a file", file=escaped(str(path)))
        digest = sha256_of(path)
        with captured(f"reader{path.suffix}"):
            pixels = reader(path)
        try:
            frame = read_frame(np.asarray(pixels), policy=self._policy)
        except FrameError as error:
            raise type(error)(
                f"its reader gave {one_line(error)}", file=escaped(str(path))
            ) from error
        return replace(frame, sha256=digest, source=str(path))
