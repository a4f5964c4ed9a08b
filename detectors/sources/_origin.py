"""From a record back to the file that its image came from, and whether that has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.errors import FrameError
from clipvet.detectors.records._ids import path_of
from clipvet.detectors.records._records import ImageFacts
from clipvet.detectors.sources._archive import is_archive, read_member
from clipvet.detectors.sources._video import is_video

__all__ = ["has_changed"]


def has_changed(image: ImageFacts, roots: dict[str, Path], *, verify: bool) -> bool:
    """True if a file is another by size or time than when its record was made.

    A file that is gone has not changed: nothing is lost.

    Args:
        image: of the record.
        roots: label -> folder, of the run.
        verify: compare the content, too, where the record knows its hash.
    """
    path = path_of(image.id, roots)
    if path is None:
        return False
    try:
        # Nearly always a file: a hundred thousand of them are to be looked at in a second or two.
        file, inner = path, None
        try:
            status = path.stat()
        except OSError:
            file, inner = _file_of(image.id, path, roots)
            status = file.stat()
        if (status.st_size, status.st_mtime_ns) != (image.size, image.mtime_ns):
            return True
        if not verify or image.sha256 is None:
            return False
        if inner is None:
            return sha256_of(file) != image.sha256
        return hashlib.sha256(read_member(file, inner)).hexdigest() != image.sha256
    except (OSError, ValueError):
        return False
    except FrameError:
        return True


def _file_of(name: str, path: Path, roots: dict[str, Path]) -> tuple[Path, str | None]:
    """The file itself, or the video or archive that it lies in; and its name in the archive."""
    if os.path.lexists(path):
        return path, None
    video = path.with_name(path.name.rpartition("#")[0] or path.name)
    if is_video(video):
        return video, None
    parts = name.split("/")
    for end in range(2, len(parts)):
        archive = path_of("/".join(parts[:end]), roots)
        if archive is not None and is_archive(archive):
            return archive, "/".join(parts[end:])
    return path, None
