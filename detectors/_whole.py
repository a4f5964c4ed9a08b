"""Files that are written whole or not at all, for a kill and for a power cut alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipvet.detectors.errors import UnfitEnvironment

__all__ = ["replacing", "room", "sync_file", "sync_tree"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside a file, which becomes it in the end.

    What was written reaches the disk before it gets its name: a name that a power cut leaves
    behind never stands for an empty file. If writing fails, what was there stays.

    Args:
        path: of the file; its folder exists.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        sync_file(part)
        os.replace(part, path)  # noqa: PTH105 - named as in the tests of the order
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def room(path: Path) -> Iterator[None]:
    """Whatever keeps a file from being written is a fault of the environment."""
    try:
        yield
    except OSError as error:
        raise UnfitEnvironment(f"cannot write {path} ({error.strerror}): make room") from error


def sync_file(path: Path) -> None:
    """Have a file that was written and closed reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Have every file below a folder reach the disk."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            sync_file(path)
