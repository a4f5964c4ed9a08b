"""Frames of a video file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.records._ids import escaped, record_id
from clipvet.detectors.sources._capture import Sampling, open_capture
from clipvet.detectors.sources._source import BrokenFile, FoundImage, ImageReader, Source
from clipvet.detectors.sources._walk import found_file

__all__ = ["Video", "VideoFrame", "is_video"]

_SUFFIXES = frozenset(
    """.3gp .avi .flv .m2ts .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm
    .wmv""".split()  # noqa: SIM905
)
# Containers tell their length in whole seconds or by a guess: less than this is no damage.
_SLACK = 0.02


def is_video(path: Path) -> bool:
    """True for an existing file that is called like a video."""
    return path.suffix.lower() in _SUFFIXES and path.is_file()


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoFrame:
    """One frame, decoded by OpenCV: uint8 BGR [H, W, 3]."""

    id: str
    name: str
    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    size: int = -1
    mtime_ns: int = -1

    def read(self, reader: ImageReader) -> Frame:
        """To RGB; raises :class:`FrameError`."""
        return reader.decode(self.pixels, name=self.name, bgr=True, notes=self.notes)


@dataclass(kw_only=True)
class Video(Source):
    """The frames of one video file, in order.

    Ids are ``<label>/clip.mp4#000123`` with the number of the frame, from 0; its time is in the
    record's notes. A file that cannot be opened gets one record that says so; one that ends
    before its declared length is a problem of the run.

    Attributes:
        path: of the file, absolute.
        sampling: which frames.
    """

    path: Path
    sampling: Sampling = field(default_factory=Sampling)

    def __iter__(self) -> Iterator[FoundImage]:
        file = found_file(self.path, record_id(self.labels.of(self.path.parent), self.path.name))
        capture = open_capture(os.fspath(self.path))
        try:
            number = -1
            for number, seconds, pixels in _frames(capture, self.sampling):
                if pixels is not None:
                    yield VideoFrame(
                        id=f"{file.id}#{number:06d}",
                        name=f"{self.path}#{number:06d}",
                        pixels=pixels,
                        notes=(f"at {seconds:.3f} s",),
                        size=file.size,
                        mtime_ns=file.mtime_ns,
                    )
            if number < 0:
                reason = "no video that OpenCV can decode, or a damaged one: convert it to MP4"
                yield BrokenFile(
                    id=file.id, path=file.path, size=file.size, mtime_ns=file.mtime_ns,
                    reason=reason,
                )  # fmt: skip
            elif number + 1 < (1 - _SLACK) * _declared(capture) - 1:
                shown = escaped(str(self.path))
                self.problems.append(
                    f"{shown}: ends after frame {number} of {_declared(capture)}: it is cut or "
                    "damaged there"
                )
        finally:
            capture.release()

    def count(self) -> int | None:
        """How many frames will be judged, as the file declares."""
        import cv2

        capture = open_capture(os.fspath(self.path))
        try:
            frames, rate = _declared(capture), float(capture.get(cv2.CAP_PROP_FPS))
        finally:
            capture.release()
        if not frames:
            return None
        if self.sampling.fps is None or not self.sampling.fps < rate:
            return -(-frames // (self.sampling.every or 1))
        return max(1, round(frames / rate * self.sampling.fps))


def _frames(
    capture: Any, sampling: Sampling
) -> Iterator[tuple[int, float, NDArray[np.uint8] | None]]:
    """Number, time and pixels of every frame; None for the pixels of those that are not wanted."""
    import cv2

    rate = capture.get(cv2.CAP_PROP_FPS)
    number, due, last = 0, 0.0, -1.0
    while capture.grab():
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if not seconds > last:  # a container without times
            seconds = number / rate if rate > 0 else last
        last, pixels = seconds, None
        if sampling.takes(number, seconds, due):
            whole, pixels = capture.retrieve()
            due = sampling.next_due(seconds)
            if not whole:
                return
        yield number, seconds, pixels
        number += 1


def _declared(capture: Any) -> int:
    """Frames that the file says it has; 0 if it does not say."""
    import cv2

    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
