"""Small pictures of the images of a run, from the files that it judged."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from clipvet.detectors.errors import FrameError
from clipvet.detectors.frames._frames import read_frame
from clipvet.detectors.records._ids import path_of
from clipvet.detectors.records._records import ImageFacts
from clipvet.detectors.reports._facts import RunFacts

__all__ = ["Thumbnail", "shrunk", "thumbnail"]

# What is left of a picture once its longer side has 12 pixels: colours and rough shapes. The
# reader of a report cannot undo it.
_BLURRED_SIDE = 12

Picture: TypeAlias = Image.Image


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture, or the reason why there is none.

    Attributes:
        webp: the file's bytes.
        size: (width, height) in pixels.
        reason: words that follow the name of the image: "has changed since the run".
    """

    webp: bytes | None = None
    size: tuple[int, int] = (0, 0)
    reason: str | None = None

    @property
    def data(self) -> str | None:
        """The picture as a ``data:`` address."""
        if self.webp is None:
            return None
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode()


def thumbnail(
    image: ImageFacts, facts: RunFacts, *, side: int = 160, blurred: bool = False
) -> Thumbnail:
    """The picture of a record, if its file is still the one that was judged.

    A file of the same size and modification time is; any other is if its content is the same.

    Args:
        image: of the record.
        facts: of its run.
        side: pixels of the longer side; smaller pictures are not enlarged.
        blurred: leave colours and rough shapes only, in the data itself.
    """
    path = _original(image.id, facts.roots)
    if path is None:
        return Thumbnail(reason="is not below a folder of this run")
    try:
        untouched = _untouched(path, image)
        frame = read_frame(path, policy=facts.decode_policy)
    except (FrameError, OSError, ValueError):
        gone = not path.exists()
        return Thumbnail(reason="is no longer there" if gone else "cannot be read any more")
    if not untouched and (image.sha256 is None or frame.sha256 != image.sha256):
        return Thumbnail(reason="has changed since the run")
    return shrunk(Image.fromarray(frame.pixels), side=side, blurred=blurred)


def shrunk(picture: Picture, *, side: int, blurred: bool = False) -> Thumbnail:
    """A picture as a small WebP."""
    picture.thumbnail((side, side))
    if blurred:
        size = picture.size
        picture.thumbnail((_BLURRED_SIDE, _BLURRED_SIDE), Image.Resampling.BOX)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=60, method=2)
    return Thumbnail(webp=file.getvalue(), size=picture.size)


def _original(name: str, roots: dict[str, Path]) -> Path | None:
    """The file behind a record id; None if that leads out of its folder."""
    path = path_of(name, roots)
    if path is None:
        return None
    root = roots[name.partition("/")[0]]
    if path == root or ".." in path.parts or not path.is_relative_to(root):
        return None
    return path


def _untouched(path: Path, image: ImageFacts) -> bool:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (image.size, image.mtime_ns)
