"""Small pictures for a report, blurred in the data and not only on the page."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PIL import Image

from clipvet.detectors import FrameError, Record, read_frame

__all__ = ["Thumbnail", "thumbnail"]

SIDE = 160
# What is left of a picture once its longer side has 12 pixels: colours and rough shapes. The
# reader of the report cannot undo it.
BLURRED_SIDE = 12


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A picture as a ``data:`` address, or the reason why there is none."""

    data: str | None = None
    reason: str | None = None


def thumbnail(record: Record, roots: Mapping[str, str], *, blurred: bool) -> Thumbnail:
    """The picture of a record, if its file is still the one that was judged.

    Args:
        record: of the image.
        roots: ``sources`` of run.json: label -> folder.
        blurred: leave colours and rough shapes only.
    """
    path = _path_of(record.image.id, roots)
    if path is None:
        return Thumbnail(reason="not below a folder of this run")
    try:
        frame = read_frame(path)
    except FrameError:
        return Thumbnail(reason="cannot be read any more")
    if frame.sha256 != record.image.sha256:
        return Thumbnail(reason="has changed since the run")
    picture = Image.fromarray(frame.pixels)
    picture.thumbnail((SIDE, SIDE))
    if blurred:
        size = picture.size
        picture.thumbnail((BLURRED_SIDE, BLURRED_SIDE), Image.Resampling.BOX)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=75)
    return Thumbnail(data="data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode())


def _path_of(image_id: str, roots: Mapping[str, str]) -> Path | None:
    """The file behind a record id; None if that leads out of its folder."""
    label, _, relative = image_id.partition("/")
    name = os.fsdecode(unquote_to_bytes(os.fsencode(relative)))
    if label not in roots or not name or name.startswith("/") or ".." in name.split("/"):
        return None
    return Path(roots[label], name)
