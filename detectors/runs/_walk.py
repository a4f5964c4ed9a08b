"""Which files a run looks at, in an order that does not depend on the file system."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import is_candidate
from clipvet.detectors.records._ids import Labels, record_id

__all__ = ["FoundFile", "Walk", "check_sources", "find_images"]

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


@dataclass(kw_only=True)
class Walk:
    """Goes through files and folders: recursive, sorted, streaming.

    Left out and counted in :attr:`ignored`: files that are no pictures by suffix or content,
    dot files, run folders, recipes, and folders that were met already (a link may lead back). A
    file that is named outright is always taken. Nothing is opened but regular files.

    Attributes:
        sources: files and folders.
        all_files: take every file that is not a dot file.
        takes: whether a file found in a folder is worth a record.
        labels: the first parts of the record ids.
        ignored: why -> how many, so far.
        problems: folders that could not be read, so far: pictures in them are not judged.
    """

    sources: Iterable[Path]
    all_files: bool = False
    takes: Callable[[Path], bool] = is_candidate
    labels: Labels = field(default_factory=Labels)
    ignored: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[FoundFile]:
        self._roots: set[tuple[int, int]] = set()
        named: set[str] = set()
        for source in self.sources:
            path = Path(os.path.abspath(source))  # noqa: PTH100 - resolve() would follow links
            if path.is_dir():
                yield from self._folder(path)
                continue
            if str(path) in named:
                self.ignored["named twice"] += 1
                continue
            named.add(str(path))
            yield _found(path, record_id(self.labels.of(path.parent), path.name))

    def _folder(self, root: Path) -> Iterator[FoundFile]:
        identity = _identity(root)
        if identity in self._roots:
            self.ignored["named twice"] += 1
            return
        self._roots.add(identity)
        label = self.labels.of(root)
        real_root = os.path.realpath(root)
        seen = {identity}
        pending = [self._entries(root)]  # one open listing per level, not a call per level
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
            elif entry.name.startswith("."):
                self.ignored["hidden"] += 1
            elif _is_folder(entry):
                if self._enters(entry, seen, real_root):
                    pending.append(self._entries(Path(entry.path)))
            elif self.all_files or self.takes(Path(entry.path)):
                path = Path(entry.path)
                yield _found(path, record_id(label, os.path.relpath(path, root)))
            else:
                self.ignored["not an image"] += 1

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listing:
                return iter(sorted(listing, key=lambda entry: os.fsencode(entry.name)))
        except OSError as error:
            self.problems.append(f"{folder}: cannot be listed ({error.strerror})")
            return iter(())

    def _enters(self, entry: os.DirEntry[str], seen: set[tuple[int, int]], real_root: str) -> bool:
        if entry.is_symlink():
            # What lies under the root is met under its own name; a link to it adds nothing.
            real = os.path.realpath(entry.path)
            if real == real_root or real.startswith(real_root.rstrip("/") + "/"):
                self.ignored["link to a folder of the same tree"] += 1
                return False
        identity = _identity(Path(entry.path))
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
        if not os.path.lexists(source):
            raise UsageError(f"{source}: no such file or folder")


def _found(path: Path, name: str) -> FoundFile:
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
