"""Patterns of paths, matched while a folder is walked, so that they stream as folders do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

__all__ = ["Glob", "has_wildcards"]


def has_wildcards(text: str) -> bool:
    """True if a text holds ``*``, ``?`` or ``[``."""
    return any(character in text for character in "*?[")


@dataclass(frozen=True, kw_only=True)
class Glob:
    """A pattern: ``*``, ``?`` and ``[abc]`` within a name, ``**`` for any folders or none.

    Upper and lower case differ. Names that begin with a dot are never met.

    Attributes:
        root: the folder above the first wildcard.
        parts: what is matched below it, a pattern for each level.
    """

    root: Path
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a pattern that has a wildcard somewhere."""
        parts = Path(os.path.abspath(text)).parts  # noqa: PTH100 - resolve() would follow links
        first = next(i for i, part in enumerate(parts) if has_wildcards(part))
        rest = parts[first:]
        return cls(root=Path(*parts[:first]), parts=rest if rest[-1] != "**" else (*rest, "*"))

    def matches(self, names: Sequence[str]) -> bool:
        """True if a file of these names below the root is meant."""
        return _matches(self.parts, names)

    def enters(self, names: Sequence[str]) -> bool:
        """True if a folder of these names below the root may hold what is meant."""
        parts = self.parts[: len(names)]
        if "**" in parts:
            parts = parts[: parts.index("**")]
        elif len(names) >= len(self.parts):
            return False
        return all(map(fnmatchcase, names, parts))


def _matches(parts: Sequence[str], names: Sequence[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_matches(parts[1:], names[skip:]) for skip in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _matches(parts[1:], names[1:])
