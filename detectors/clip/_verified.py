"""Large files whose hash was found right before: remembered, so that a start reads them once.

What is remembered is the state of a file (device, inode, size, time of modification, time of
change) together with the hash that it had: an empty file of that name in the cache. Writing to a
file, replacing it and setting its times back all change the last of these, which no program can
set. So a file is not hashed again exactly as long as the file system says that nobody touched it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Final, NamedTuple

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip._text_cache import default_cache_folder

__all__ = ["FileState", "memory_folder", "state_of", "verified_state"]

# Smaller files are hashed at every start: 3 ms.
_LARGE: Final = 1 << 20
# A file written twice within a tick of the file system's clock has the same times: wait it out.
_SETTLED_NS: Final = 2_000_000_000


class FileState(NamedTuple):
    """Changes whenever a file does; times in nanoseconds."""

    device: int
    inode: int
    bytes: int
    modified: int
    changed: int


def verified_state(path: Path, sha256: str) -> FileState:
    """The state of a file, whose content has this hash.

    Raises:
        ValueError: the content has another hash, or changed while it was read.
        OSError: it cannot be read.
    """
    state = state_of(path)
    marker = memory_folder() / hashlib.sha256(f"{state} {sha256}".encode()).hexdigest()
    if state.bytes >= _LARGE and _exists(marker):
        return state
    if sha256_of(path) != sha256:
        raise ValueError("sha256 differs")
    if state_of(path) != state:
        raise ValueError("it was written to while it was read")
    settled = time.time_ns() - max(state.modified, state.changed) > _SETTLED_NS
    if state.bytes >= _LARGE and settled:
        with contextlib.suppress(OSError):  # a cache that cannot be written to
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
    return state


def memory_folder() -> Path:
    """Where it is remembered: whoever can write there can vouch for any file."""
    return default_cache_folder() / "verified"


def state_of(path: Path) -> FileState:
    """Without a look at the content; raises OSError."""
    status = path.stat()
    return FileState(
        device=status.st_dev,
        inode=status.st_ino,
        bytes=status.st_size,
        modified=status.st_mtime_ns,
        changed=status.st_ctime_ns,
    )


def _exists(marker: Path) -> bool:
    try:
        return marker.is_file()
    except OSError:
        return False
