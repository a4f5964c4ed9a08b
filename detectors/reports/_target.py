"""Where a report goes: a file or a folder, whole or not at all, and never over something else."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from clipvet.detectors._whole import sync_file, sync_tree
from clipvet.detectors.errors import UsageError
from clipvet.detectors.runs._removal import (
    REPORT_FOLDER,
    REPORT_PAGE,
    REPORT_PICTURES,
    is_report,
    remove_report_folder,
)

__all__ = ["Target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Made by :meth:`of`.

    Attributes:
        path: the file, or the folder.
        folder: whether it is a folder.
    """

    path: Path
    folder: bool

    @classmethod
    def of(cls, run: Path, out: Path | None, *, folder: bool) -> Self:
        """The target of a report.

        Raises:
            UsageError: something else is there.
        """
        path = out or run / (REPORT_FOLDER if folder else REPORT_PAGE)
        target = cls(path=path, folder=folder)
        if os.path.lexists(path) and not target._replaceable():
            kind = "folder" if folder else "file"
            raise UsageError(
                f"{path} exists and is no report in a {kind}: choose another --out, or remove it"
            )
        return target

    @property
    def page(self) -> Path:
        """The file to open."""
        return self.path / "index.html" if self.folder else self.path

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A place beside it, which becomes it in the end."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            if self.folder:
                part.mkdir()
            yield part
            if self.folder:
                sync_tree(part)
                remove_report_folder(self.path)
            else:
                sync_file(part)
            part.replace(self.path)
        except BaseException:
            _remove(part)
            raise

    def size(self) -> int:
        """Bytes of what was written."""
        pictures = self.path.glob(f"{REPORT_PICTURES}/*") if self.folder else ()
        return sum(path.stat().st_size for path in (self.page, *pictures))

    def _replaceable(self) -> bool:
        if not self.folder:
            return self.path.is_file() and is_report(self.path)
        if not self.path.is_dir() or self.path.is_symlink():
            return False
        own = {"index.html", REPORT_PICTURES}
        names = {entry.name for entry in self.path.iterdir()}
        return not names or (names <= own and is_report(self.page))


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)
