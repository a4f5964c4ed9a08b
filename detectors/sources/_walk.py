"""Which files a run looks at, in an order that does not depend on the file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import Frame, is_candidate
from clipvet.detectors.records._ids import escaped, record_id
from clipvet.detectors.sources._globs import Glob
from clipvet.detectors.sources._source import ImageReader, Source
from clipvet.detectors.sources._urls import as_url, is_url

__all__ = ["FoundFile", "Walk", "check_sources", "find_images", "found_file"]

_OWN_FOLDERS = {
    "run.json": (b'"clipvet.run/', "run folder"),
    "recipe.toml": (b'"clipvet.recipe/', "recipe"),
}


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """One file to judge: its record id, and what tells whether it has changed since."""

    id: str
    path: Path
    size: int
    mtime_ns: int

    def read(self, reader: ImageReader) -> Frame:
        """Decode it; raises :class:`FrameError`."""
        return reader.read(self.path)


@dataclass(kw_only=True)
class Walk(Source):
    """Goes through files and folders: recursive, sorted, streaming.

    Left out and counted in :attr:`ignored`: files that are no pictures by suffix or content,
    dot files, run folders, recipes, and folders that were met already (a link may lead back). A
    file that is named outright is always taken. Nothing is opened but regular files.

    Attributes:
        sources: files and folders.
        all_files: take every file that is not a dot file.
        takes: whether a file found in a folder is worth a record.
        matching: whether a file that a pattern means is; None is ``takes``.
    """

    sources: Iterable[Path] = ()
    all_files: bool = False
    takes: Callable[[Path], bool] = is_candidate
    matching: Callable[[Path], bool] | None = None
    _roots: set[tuple[int, int]] = field(default_factory=set, init=False)
    _named: set[str] = field(default_factory=set, init=False)

    def __iter__(self) -> Iterator[FoundFile]:
        self._roots.clear()
        self._named.clear()
        for source in self.sources:
            yield from self.take(source)

    def take(self, source: Path) -> Iterator[FoundFile]:
        """What one source holds; a second time, nothing."""
        path = Path(os.path.abspath(source))  # noqa: PTH100 - resolve() would follow links
        if path.is_dir():
            identity = _identity(path)
            if identity in self._roots:
                self.ignored["named twice"] += 1
                return
            self._roots.add(identity)
            yield from self._folder(path)
        elif self.named_first(path):
            yield found_file(path, record_id(self.labels.of(path.parent), path.name))

    def take_matching(self, pattern: Glob) -> Iterator[FoundFile]:
        """The files that a pattern means, without a word about the others."""
        if pattern.root.is_dir():
            yield from self._folder(pattern.root, pattern)

    def named_first(self, path: Path) -> bool:
        """True the first time that a file is named; a second time is counted."""
        if str(path) in self._named:
            self.ignored["named twice"] += 1
            return False
        self._named.add(str(path))
        return True

    def _folder(self, root: Path, only: Glob | None = None) -> Iterator[FoundFile]:
        identity = _identity(root)
        takes = self.takes if only is None or self.matching is None else self.matching
        label = self.labels.of(root)
        real_root = os.path.realpath(root)
        above = len(os.path.join(root, ""))  # noqa: PTH118 - of all that stands before a name
        seen = {identity}
        pending = [self._entries(root)]  # one open listing per level, not a call per level
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
            elif only is not None and not _meant(only, root, entry):
                continue
            elif entry.name.startswith("."):
                self.ignored["hidden"] += 1
            elif _is_folder(entry):
                if self._enters(entry, seen, real_root):
                    pending.append(self._entries(Path(entry.path)))
            else:
                path = Path(entry.path)
                if self.all_files or takes(path):
                    yield found_file(path, record_id(label, entry.path[above:]))
                else:
                    self.ignored["not an image"] += 1

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listing:
                return iter(sorted(listing, key=lambda entry: os.fsencode(entry.name)))
        except OSError as error:
            self._cannot_list(folder, error)
            return iter(())

    def _cannot_list(self, folder: str | Path, error: OSError) -> None:
        self.problems.append(f"{escaped(str(folder))}: cannot be listed ({error.strerror})")

    def _enters(self, entry: os.DirEntry[str], seen: set[tuple[int, int]], real_root: str) -> bool:
        if entry.is_symlink():
            # What lies under the root is met under its own name; a link to it adds nothing.
            real = os.path.realpath(entry.path)
            if real == real_root or real.startswith(real_root.rstrip("/") + "/"):
                self.ignored["link to a folder of the same tree"] += 1
                return False
        try:
            identity = _identity(Path(entry.path))
        except FileNotFoundError:
            self.ignored["gone while it was listed"] += 1
            return False
        except OSError as error:  # too long a path, for one: images may lie in there
            self._cannot_list(entry.path, error)
            return False
        if identity in seen:
            self.ignored["folder met before"] += 1
            return False
        seen.add(identity)
        own = _own_folder(Path(entry.path))
        if own is not None:
            self.ignored[own] += 1
            return False
        return True


def find_images(folder: Path) -> list[Path]:
    """The image files that a run over a folder would look at, in that order.

    Raises:
        UsageError: it is no folder, cannot be read in part, or holds no image.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: give a folder of images")
    walk = Walk(sources=[folder])
    found = [file.path for file in walk]
    if walk.problems:
        raise UsageError(walk.problems[0])
    if not found:
        raise UsageError(f"{folder} holds no image: give a folder of images")
    return found


def check_sources(sources: Iterable[Path]) -> None:
    """Raise :class:`UsageError` for the first source that does not exist."""
    for source in sources:
        if is_url(source):
            raise UsageError(f"{as_url(source)}: object storage is read with --engine ray")
        if not os.path.lexists(source):
            raise UsageError(f"{source}: no such file or folder")


def found_file(path: Path, name: str) -> FoundFile:
    """A file with its size and time; -1 for both if it is gone."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return FoundFile(id=name, path=path, size=-1, mtime_ns=-1)
    return FoundFile(id=name, path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _meant(only: Glob, root: Path, entry: os.DirEntry[str]) -> bool:
    names = Path(entry.path).relative_to(root).parts
    return only.enters(names) if _is_folder(entry) else only.matches(names)


def _own_folder(folder: Path) -> str | None:
    """What clipvet itself wrote this folder as, or None: its pictures are no input."""
    for name, (mark, kind) in _OWN_FOLDERS.items():
        marker = folder / name
        try:
            if stat.S_ISREG(marker.lstat().st_mode):
                with marker.open("rb") as file:
                    if mark in file.read(256):
                        return kind
        except OSError:
            continue
    return None
