"""Keeps the folders of the machine out of what is handed on."""

from __future__ import annotations

import re

__all__ = ["without_folders"]

# A path from the root of the file system, up to its last part; no part of an address or a ratio.
_ABSOLUTE = re.compile(r"(?<![\w:/.~%+-])~?/(?:[^/\s'\"`<>|]+/)+(?=[^/\s])")


def without_folders(text: str) -> str:
    """The text, of each absolute path the last part alone."""
    return _ABSOLUTE.sub("…/", text)
