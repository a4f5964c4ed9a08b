"""What a run was given: each name becomes the source that it stands for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import is_candidate
from clipvet.detectors.sources._archive import Archive, is_archive
from clipvet.detectors.sources._capture import Sampling, check_opencv
from clipvet.detectors.sources._globs import Glob, has_wildcards
from clipvet.detectors.sources._live import Live, is_live
from clipvet.detectors.sources._shard import Shard
from clipvet.detectors.sources._source import FoundImage, Source
from clipvet.detectors.sources._urls import is_url
from clipvet.detectors.sources._video import Video, is_video
from clipvet.detectors.sources._walk import FoundFile, Walk, check_sources

__all__ = ["Given", "SourceName", "check_watched", "is_source"]

SourceName: TypeAlias = str | Path
"""A path is a path. A text that is no existing path may be a pattern, ``camera:N`` or a URL."""


def is_source(text: str) -> bool:
    """True if a text can be given to a run: an existing path, a pattern, a camera, a URL."""
    return os.path.lexists(text) or has_wildcards(text) or is_live(text) or is_url(text)


@dataclass(kw_only=True)
class Given(Source):
    """Files, folders, patterns, archives and videos, one after the other; or one camera.

    Attributes:
        names: of them; may be a stream.
        sampling: of videos and cameras.
        reconnect: see ``Live``.
        is_done: whether an id has a record.
        all_files, takes: as of ``Walk``.
        shard: give this part of the images alone.
    """

    names: Iterable[SourceName]
    sampling: Sampling = field(default_factory=Sampling)
    reconnect: int = 5
    is_done: Callable[[str], bool] = lambda _id: False
    all_files: bool = False
    takes: Callable[[Path], bool] = is_candidate
    shard: Shard | None = None

    def __iter__(self) -> Iterator[FoundImage | None]:
        walk = self._walk()
        for name in self.names:
            for part in self._parts(name, walk):
                for found in part if isinstance(part, Source) else (part,):
                    if found is None or self._wants(found):
                        yield found

    def count(self) -> int | None:
        """How many images there will be; None for a stream of names and what never ends.

        Raises:
            UsageError: a name stands for nothing, or two do not go together.
            MissingDependency: it takes a package that is not installed.
        """
        if not isinstance(self.names, Sequence):
            return None
        _check(self.names, self.sampling)
        walk, total, known = self._walk(), 0, True
        for name in self.names:
            parts = 0
            for part in self._parts(name, walk):
                if not isinstance(part, Source):
                    number: int | None = self._wants(part)
                else:
                    number = part.count() if self.shard is None else None
                known = known and number is not None
                total += number or 0
                parts += 1
            if not parts and _is_pattern(name):
                raise UsageError(f"{name}: no image matches this pattern")
        return total if known else None

    def _wants(self, found: FoundImage) -> bool:
        return self.shard is None or self.shard.takes(found.id)

    def _walk(self) -> Walk:
        return Walk(
            all_files=self.all_files,
            takes=self.takes,
            matching=lambda path: is_archive(path) or is_video(path) or self.takes(path),
            labels=self.labels,
            ignored=self.ignored,
            problems=self.problems,
        )

    def _parts(self, name: SourceName, walk: Walk) -> Iterator[FoundFile | Source]:
        """The files, and the sources of many images, that a name stands for."""
        if _is_live(name):
            yield self._live(str(name))
            return
        if _is_pattern(name):
            for found in walk.take_matching(Glob.parse(str(name))):
                yield self._opened(found.path) or found
            return
        path = Path(os.path.abspath(name))  # noqa: PTH100 - resolve() would follow links
        many = self._opened(path)
        if many is None:
            yield from walk.take(path)
        elif walk.named_first(path):
            yield many

    def _opened(self, path: Path) -> Source | None:
        """A file that holds many images, or None."""
        if is_archive(path):
            return Archive(
                path=path,
                all_files=self.all_files,
                labels=self.labels,
                ignored=self.ignored,
                problems=self.problems,
            )
        if is_video(path):
            return Video(
                path=path,
                sampling=self.sampling,
                labels=self.labels,
                ignored=self.ignored,
                problems=self.problems,
            )
        return None

    def _live(self, name: str) -> Live:
        return Live(
            name=name,
            sampling=self.sampling,
            reconnect=self.reconnect,
            is_done=self.is_done,
            labels=self.labels,
            ignored=self.ignored,
            problems=self.problems,
        )


def check_watched(names: Iterable[SourceName]) -> list[Path]:
    """Folders to watch; raises :class:`UsageError` if one is none."""
    if not isinstance(names, Sequence):
        raise UsageError("a stream of paths cannot be watched: name the folders")
    folders = [Path(name) for name in names]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder: only folders can be watched")
    return folders


def _check(names: Sequence[SourceName], sampling: Sampling) -> None:
    live = [name for name in names if _is_live(name)]
    videos = [name for name in names if _is_pattern(name) or is_video(Path(name))]
    if live and len(names) > 1:
        message = f"{live[0]} never ends: run it alone, and another run beside it"
        raise UsageError(message)
    check_sources(Path(name) for name in names if not (_is_live(name) or _is_pattern(name)))
    if sampling != Sampling() and not live and not videos:
        raise UsageError("frames are chosen from videos and cameras: these are none")
    if live or any(is_video(Path(name)) for name in names):
        check_opencv()


def _is_live(name: SourceName) -> bool:
    return isinstance(name, str) and is_live(name) and not os.path.lexists(name)


def _is_pattern(name: SourceName) -> bool:
    return isinstance(name, str) and has_wildcards(name) and not os.path.lexists(name)
