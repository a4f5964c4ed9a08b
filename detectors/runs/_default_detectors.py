"""Which detectors run where neither ``-d`` nor a recipe names any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from clipvet.detectors._detector import Query
from clipvet.detectors.sources._live import is_live

__all__ = ["DEFAULT_DETECTORS", "default_detectors"]

DEFAULT_DETECTORS: Final = ("mutual", "quality")
"""The images of a folder are compared with each other, and looked at for faults of the camera."""


def default_detectors(
    *,
    query: Query,
    references: bool = False,
    arriving: bool = False,
    sources: Iterable[str | Path] = (),
) -> tuple[str, ...]:
    """Choose detectors by what is known about the images.

    Args:
        query: what is asked; an object or classes that are named need a detector that reads text.
        references: whether good images are given to compare with.
        arriving: whether images come one by one or in part (a watched folder, a shard), so that
            they cannot be compared with each other.
        sources: as given; the images of a camera or a stream arrive, too.
    """
    if references:
        return ("patchcore", "quality")
    arriving = arriving or any(is_live(str(source)) for source in sources)
    if arriving or query.object is not None or query.classes:
        return ("winclip",)
    return DEFAULT_DETECTORS
