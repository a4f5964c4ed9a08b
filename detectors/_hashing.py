"""The hash by which files are known."""

from __future__ import annotations

import errno
import hashlib
import stat
from pathlib import Path

__all__ = ["sha256_of", "sha256_of_folder"]


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes, read in pieces.

    Raises:
        OSError: it cannot be read, or is no regular file: opening a pipe would wait for ever.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """Hex digest of the names and the content of all files below a folder.

    Raises:
        OSError: as :func:`sha256_of`.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
