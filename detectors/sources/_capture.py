"""OpenCV's side of videos and cameras: opened quietly, sampled by number or by time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

from clipvet.detectors.errors import MissingDependency, UsageError

__all__ = ["CAMERA", "Sampling", "check_opencv", "open_capture"]

CAMERA: Final = "camera:"
_TIMEOUT_MS = 10_000


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which frames of a video or camera are judged.

    Attributes:
        every: each N-th frame, beginning with the first.
        fps: at most so many frames a second, by the time of the video or of the clock.
    """

    every: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.fps is not None:
            raise UsageError("every N-th frame, or so many a second: give one of the two")
        if self.every is not None and self.every < 1:
            raise UsageError(f"every {self.every}th frame is none: give at least 1")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise UsageError(f"{self.fps} frames a second are none: give more than 0")

    def takes(self, number: int, seconds: float, due: float) -> bool:
        """True if a frame is to be judged.

        Args:
            number: of the frame, from 0.
            seconds: its time.
            due: what :meth:`next_due` gave for the frame before that was taken, or 0.
        """
        if self.fps is not None:
            return seconds >= due - 1e-6  # times of frames are sums of floats
        return number % (self.every or 1) == 0

    def next_due(self, seconds: float) -> float:
        """The earliest time of the next frame, on a grid so that rounding does not add up."""
        if self.fps is None:
            return seconds
        return (int(seconds * self.fps + 1e-6) + 1) / self.fps


def check_opencv() -> None:
    """Raise :class:`MissingDependency` if there is no OpenCV."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        package, purpose = "opencv-python-headless", "reading videos and cameras"
        raise MissingDependency(package, purpose, "cpu") from error


def open_capture(name: str) -> Any:
    """A ``cv2.VideoCapture``, open or not, that gives up on the network after 10 s.

    Args:
        name: a file, a URL, or ``camera:N``.

    Raises:
        MissingDependency: OpenCV is not installed.
    """
    check_opencv()
    # FFmpeg's words would come between ours; they are read when the first capture is made.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if name.startswith(CAMERA):
        return cv2.VideoCapture(int(name.removeprefix(CAMERA)))
    timeouts = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS,
    ]  # fmt: skip
    return cv2.VideoCapture(name, cv2.CAP_FFMPEG, timeouts)
