"""A folder for results: on a disk that all workers see, or in object storage through fsspec."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from clipvet.detectors.errors import MissingDependency, UnfitEnvironment
from clipvet.detectors.sources._urls import as_url, is_url

__all__ = ["Storage", "open_url"]


def open_url(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        UnfitEnvironment: a package for this kind of storage is missing, or it is unknown.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingDependency("fsspec", url, "ray") from None
    try:
        # Listings are read once each, and a million of them would stay in memory.
        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise UnfitEnvironment(f"{url}: cannot be reached by fsspec ({error})") from error
    return system, str(path)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where the files of a run are; small enough to be sent to every worker.

    Attributes:
        url: of a folder in object storage, or the absolute path of a folder.
    """

    url: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The storage that a path, or a URL that was made a path, means."""
        return cls(url=as_url(folder) if is_url(folder) else os.path.abspath(folder))  # noqa: PTH100

    @property
    def local(self) -> Path | None:
        """The folder, if it is on a disk."""
        return None if is_url(self.url) else Path(self.url)

    def read(self, name: str) -> bytes:
        """The content of a file; raises FileNotFoundError, too."""
        with self._reached("read from"):
            if self.local is not None:
                return (self.local / name).read_bytes()
            system, root = open_url(self.url)
            return bytes(system.cat_file(f"{root}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, in place of an older one."""
        with self._reached("write to"):
            if self.local is None:
                system, root = open_url(self.url)
                system.pipe_file(f"{root}/{name}", content)
                return
            path = self.local / name
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)

    def upload(self, folder: Path) -> None:
        """Write every file below a folder under its name in it."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(path.relative_to(folder).as_posix(), path.read_bytes())

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of what lies in a folder; none if there is no such folder."""
        with self._reached("list"):
            try:
                if self.local is not None:
                    return sorted(os.listdir(self.local / folder))  # noqa: PTH208
                system, root = open_url(self.url)
                found = system.ls(f"{root}/{folder}".rstrip("/"), detail=False)
            except FileNotFoundError:
                return []
            return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._reached("remove from"):
            if self.local is not None:
                (self.local / name).unlink(missing_ok=True)
            else:
                system, root = open_url(self.url)
                system.rm_file(f"{root}/{name}")

    @contextmanager
    def _reached(self, doing: str) -> Iterator[None]:
        """Whatever a client of object storage raises is a fault of the environment."""
        try:
            yield
        except (FileNotFoundError, UnfitEnvironment, KeyboardInterrupt):
            raise
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            message = f"cannot {doing} {self.url} ({reason}): check it, then start the run again"
            raise UnfitEnvironment(message) from error
