"""Images in object storage: walked in the order in which folders on a disk are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from clipvet.detectors.engine._containment import one_line
from clipvet.detectors.errors import FrameUnreadable, UsageError
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.frames._magic import has_image_suffix
from clipvet.detectors.records._ids import escaped, record_id
from clipvet.detectors.scale._storage import open_url
from clipvet.detectors.sources._globs import Glob, has_wildcards
from clipvet.detectors.sources._source import FoundImage, ImageReader, Source
from clipvet.detectors.sources._urls import as_url

__all__ = ["ObjectWalk", "StoredImage", "stored_image"]


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """One object to judge; see ``FoundImage``.

    Attributes:
        url: of the object.
        whole_file: a plugin reads this kind of file, and wants it on a disk.
    """

    id: str
    url: str
    size: int
    mtime_ns: int
    whole_file: bool = False

    def read(self, reader: ImageReader) -> Frame:
        """Fetch and decode it."""
        try:
            system, path = open_url(self.url)
            content = bytes(system.cat_file(path))
        except Exception as error:
            kind = type(error).__name__
            message = f"cannot be fetched ({kind}: {one_line(error)})"
            raise FrameUnreadable(message, file=escaped(self.url)) from error
        if not self.whole_file:
            return reader.decode(content, name=self.url)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, PurePosixPath(path).name)
            file.write_bytes(content)
            return reader.read(file)


@dataclass(kw_only=True)
class ObjectWalk(Source):
    """The objects below a URL, or that a pattern in one means: sorted, streaming.

    Names of objects decide what is an image: nothing is fetched here.

    Attributes:
        url: of a folder or an object; may hold ``*``, ``?``, ``[abc]`` and ``**``.
        all_files: take every object whose name does not begin with a dot.
        takes: whether an object of this name is worth a record.
    """

    url: str
    all_files: bool = False
    takes: Callable[[PurePosixPath], bool] = field(default=has_image_suffix)

    def __iter__(self) -> Iterator[FoundImage]:
        scheme, _, rest = self.url.partition("://")
        parts = tuple(part for part in rest.split("/") if part)
        first = next((i for i, part in enumerate(parts) if has_wildcards(part)), len(parts))
        root, wanted = f"{scheme}://{'/'.join(parts[:first])}", parts[first:]
        system, path = open_url(root)
        try:
            kind = system.info(path)["type"]
        except FileNotFoundError:
            raise UsageError(f"{self.url}: no such object or folder") from None
        if kind != "directory":
            yield stored_image(root, self, system.info(path))
            return
        pattern = Glob(root=Path("/"), parts=_open_ended(wanted)) if wanted else None
        label = self.labels.of(Path(root))
        for names, info in self._below(system, path, (), pattern):
            relative = "/".join(names)
            yield _of(record_id(label, relative), f"{root}/{relative}", info)

    def _below(
        self, system: Any, folder: str, above: tuple[str, ...], pattern: Glob | None
    ) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
        try:
            listing = {entry["name"].rstrip("/"): entry for entry in system.ls(folder, detail=True)}
        except OSError as error:
            self.problems.append(f"{folder}: cannot be listed ({one_line(error)})")
            return
        run = next((path for path in listing if path.endswith("/run.json")), None)
        if run is not None and b'"clipvet.run/' in system.cat_file(run, end=256):
            self.ignored["run folder"] += 1
            return
        for path in sorted(listing, key=os.fsencode):
            name = path.rpartition("/")[2]
            names, info = (*above, name), listing[path]
            is_folder = info["type"] == "directory"
            if path == folder.rstrip("/") or not name:  # an empty object stands for the folder
                continue
            if pattern is not None and not (
                pattern.enters(names) if is_folder else pattern.matches(names)
            ):
                continue
            if name.startswith("."):
                self.ignored["hidden"] += 1
            elif is_folder:
                yield from self._below(system, path, names, pattern)
            elif self.all_files or self.takes(PurePosixPath(name)):
                yield names, info
            else:
                self.ignored["not an image"] += 1


def stored_image(url: str, source: Source, info: Mapping[str, Any] | None = None) -> StoredImage:
    """One object that is named outright, as a file would be: after the folder it lies in."""
    folder, _, name = url.rpartition("/")
    return _of(record_id(source.labels.of(Path(folder)), name), as_url(url), info or {})


def _of(name: str, url: str, info: Mapping[str, Any]) -> StoredImage:
    size = info.get("size")
    return StoredImage(
        id=name, url=url, size=-1 if size is None else int(size), mtime_ns=_mtime_ns(info)
    )


def _open_ended(parts: tuple[str, ...]) -> tuple[str, ...]:
    return parts if parts[-1] != "**" else (*parts, "*")


def _mtime_ns(info: Mapping[str, Any]) -> int:
    """Modification time; every kind of storage has its own name and type for it."""
    for key in ("LastModified", "last_modified", "mtime", "updated", "created"):
        when = info.get(key)
        if isinstance(when, str):
            when = datetime.fromisoformat(when)
        if isinstance(when, datetime):
            when = when.timestamp()
        if isinstance(when, (int, float)):
            return round(when * 1e9)
    return -1
