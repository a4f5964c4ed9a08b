"""The hash by which files are known."""

from __future__ import annotations

import errno
import hashlib
import stat
from pathlib import Path

__all__ = ["sha256_of"]


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes, read in pieces.

    Raises:
        OSError: it cannot be read, or is no regular file: opening a pipe would wait for ever.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
