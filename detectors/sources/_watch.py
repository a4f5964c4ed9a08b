"""A folder that files arrive in: each is judged once it is complete.

Folders are listed again and again (``os.scandir``): that works on network shares and in
containers, where notifications of the kernel do not arrive.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clipvet.detectors.errors import FrameUnreadable, UsageError
from clipvet.detectors.frames._frames import Frame, is_candidate
from clipvet.detectors.frames._magic import has_image_suffix
from clipvet.detectors.records._ids import escaped
from clipvet.detectors.sources._source import ImageReader, NotYet, Source
from clipvet.detectors.sources._walk import FoundFile, Walk, found_file

__all__ = ["Watch", "Watching"]

_MOST_PENDING: Final = 10_000
_CHANGED: Final = "changed after it was judged"
_GONE: Final = "gone before it was read"


@dataclass(frozen=True, kw_only=True)
class Watching:
    """How a folder is watched; all times in seconds.

    Attributes:
        settle: a file is read once its size and time have stayed the same for so long.
        patience: a file that cannot be decoded then is taken for incomplete until it has not
            changed for so long; then it gets its record.
        poll: between two looks at the folder; a slow folder is looked at less often.
        idle: end when nothing was new or under way for so long; None never ends.
    """

    settle: float = 1.0
    patience: float = 30.0
    poll: float = 0.5
    idle: float | None = None

    def __post_init__(self) -> None:
        if self.settle < 0 or self.patience < 0 or self.poll <= 0 or (self.idle or 0) < 0:
            raise UsageError("times of a watched folder are seconds, and not negative")


@dataclass(frozen=True, kw_only=True)
class _Arrival:
    """A file that was the same at two looks; the last time that it is offered is ``final``."""

    file: FoundFile
    final: bool

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def mtime_ns(self) -> int:
        return self.file.mtime_ns

    def read(self, reader: ImageReader) -> Frame:
        try:
            frame = reader.read(self.file.path)
        except FrameUnreadable:
            if self.final and found_file(self.file.path, self.id) == self.file:
                raise
            raise NotYet from None
        if found_file(self.file.path, self.id) != self.file:
            raise NotYet  # written to while it was read
        return frame


@dataclass(kw_only=True)
class _Pending:
    file: FoundFile
    since: float
    look: int
    tried: bool = False


@dataclass(kw_only=True)
class Watch(Source):
    """What is in folders, and then what arrives, in the order of the looks, sorted in each.

    A name is judged once. A file that changes afterwards is counted, and judged when the run is
    taken up the next time.

    Attributes:
        folders: watched with all that lies below, as ``Walk`` goes through them.
        watching: when a file counts as complete.
        is_done: whether an id has a record.
        all_files, takes: as of ``Walk``.
    """

    folders: Sequence[Path]
    is_done: Callable[[str], bool]
    watching: Watching = field(default_factory=Watching)
    all_files: bool = False
    takes: Callable[[Path], bool] = is_candidate
    _pending: dict[str, _Pending] = field(default_factory=dict, init=False)
    _more: bool = field(default=False, init=False)
    _looks: int = field(default=0, init=False)
    _own: Counter[str] = field(default_factory=Counter, init=False)
    _judged: set[bytes] = field(default_factory=set, init=False)
    _rejected: set[bytes] = field(default_factory=set, init=False)

    def __iter__(self) -> Iterator[_Arrival | None]:
        busy = time.monotonic()
        while True:
            start = time.monotonic()
            arrivals = self._look(start)
            took = time.monotonic() - start
            yield from arrivals
            yield None  # from here on all of them have their records, or were not complete
            self._settle(arrivals)
            now = time.monotonic()
            if self._pending or self._more:
                busy = now
            elif self.watching.idle is not None and now - busy >= self.watching.idle:
                return
            time.sleep(max(self.watching.poll, took))

    def _look(self, now: float) -> list[_Arrival]:
        """Go through the folders once; returns the files that have settled."""
        there = [folder for folder in self.folders if folder.is_dir()]
        walk = Walk(sources=there, all_files=self.all_files, takes=self._worth, labels=self.labels)
        self._looks += 1
        self._more = False
        arrivals = [one for found in walk if (one := self._arrival(found, now)) is not None]
        for name in [n for n, one in self._pending.items() if one.look != self._looks]:
            del self._pending[name]
            self._own[_GONE] += 1
        self.ignored.clear()
        self.ignored.update(walk.ignored + self._own)
        gone = [f"{escaped(str(f))}: the folder is gone" for f in self.folders if f not in there]
        self.problems[:] = [*gone, *walk.problems]  # a share that is back is no problem any more
        return arrivals

    def _arrival(self, found: FoundFile, now: float) -> _Arrival | None:
        """Note what one file looks like; it is returned if it is to be read."""
        if self.is_done(found.id):
            if self._looks > 1 and _version(found) not in self._judged:
                self._own[_CHANGED] += 1
            self._judged.add(_version(found))
            return None
        before = self._pending.get(found.id)
        if before is None or before.file != found:
            if before is None and len(self._pending) >= _MOST_PENDING:
                self._more = True
                return None
            self._pending[found.id] = _Pending(file=found, since=now, look=self._looks)
            return None
        before.look = self._looks
        age = now - before.since
        final = age >= self.watching.patience
        if age < self.watching.settle or (before.tried and not final):
            return None
        before.tried = True
        return _Arrival(file=found, final=final)

    def _settle(self, arrivals: Iterable[_Arrival]) -> None:
        for one in arrivals:
            if self.is_done(one.id):
                self._judged.add(_version(one.file))
                del self._pending[one.id]

    def _worth(self, path: Path) -> bool:
        """As ``takes``, which opens files of unknown suffix: once, not at every look."""
        if has_image_suffix(path):
            return True
        version = _version(found_file(path, str(path)))
        if version in self._rejected:
            return False
        worth = self.takes(path)
        if not worth:
            self._rejected.add(version)
        return worth


def _version(file: FoundFile) -> bytes:
    # A digest, not the name: a million files stay below 100 MB.
    text = f"{file.size} {file.mtime_ns} {file.id}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
