"""URLs of object storage, which one may be given in the place of a path."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["as_url", "is_url"]

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])", re.IGNORECASE)


def is_url(name: str | Path) -> bool:
    """True for ``s3://bucket/folder`` and the like, of which a Path leaves out one slash."""
    return _URL.match(str(name)) is not None and not os.path.lexists(name)


def as_url(name: str | Path) -> str:
    """A URL with the slash that a Path has taken from it; a path as it is."""
    return _URL.sub(r"\1://", str(name), count=1) if is_url(name) else str(name)
