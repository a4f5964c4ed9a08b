"""What every source of images is to a run: an iterator that knows how to name what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

from numpy.typing import NDArray

from clipvet.detectors.errors import FrameUnreadable
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.records._ids import Labels

__all__ = ["BrokenFile", "FoundImage", "ImageReader", "NotYet", "Source"]


class ImageReader(Protocol):
    """What turns files, and images that are none, into frames."""

    def read(self, path: Path) -> Frame:
        """Decode a file; raises :class:`FrameError`."""

    def decode(
        self,
        content: bytes | NDArray[Any],
        *,
        name: str,
        bgr: bool = False,
        notes: Sequence[str] = (),
    ) -> Frame:
        """Decode the bytes of an image file, or an array; raises :class:`FrameError`."""


class FoundImage(Protocol):
    """One image to judge.

    Attributes:
        id: of its record.
        size: bytes of the file that it is, or lies in; -1 if there is none.
        mtime_ns: modification time of that file; -1 if there is none.
    """

    @property
    def id(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...

    def read(self, reader: ImageReader) -> Frame:
        """Decode it, in any thread.

        Raises:
            FrameError: it cannot be judged.
            NotYet: it may be complete later.
        """


class NotYet(Exception):
    """This image gets no record now: its source offers it again, or finds that it is gone."""


@dataclass(kw_only=True)
class Source(ABC):
    """Gives images one by one; one that is composed shares these three with its parts.

    Attributes:
        labels: the first parts of the record ids.
        ignored: why -> how many were passed over, so far.
        problems: what could not be looked at, so far: images in it are not judged.
    """

    labels: Labels = field(default_factory=Labels)
    ignored: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @abstractmethod
    def __iter__(self) -> Iterator[FoundImage | None]:
        """Images in their order, and None wherever the next one is not at hand yet.

        None lets a run finish what it has instead of waiting for a full batch.
        """

    def count(self) -> int | None:
        """How many images there will be, for a progress bar; None if nobody can know."""
        return None


@dataclass(frozen=True, kw_only=True)
class BrokenFile:
    """A file that was to hold many images and cannot be opened: one record says why."""

    id: str
    path: Path
    size: int
    mtime_ns: int
    reason: str

    def read(self, reader: ImageReader) -> NoReturn:
        """Raise the reason."""
        raise FrameUnreadable(self.reason, file=str(self.path))
