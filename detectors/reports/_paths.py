"""Keeps the folders of the machine off a page that will be handed on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipvet.detectors.records._paths import without_folders

__all__ = ["Masker"]


@dataclass(frozen=True, kw_only=True)
class Masker:
    """Replaces absolute paths: below a source by the record's name, elsewhere by the last part.

    Attributes:
        roots: label -> folder.
    """

    roots: Mapping[str, Path]

    def text(self, text: str) -> str:
        """The text without absolute paths."""
        by_length = sorted(self.roots.items(), key=lambda item: -len(str(item[1])))
        for label, root in by_length:
            shown = str(root).encode("utf-8", "backslashreplace").decode()
            for form in {shown, str(root)} - {"/"}:
                whole = rf"{re.escape(form)}(?=/|$|[\s:,;'\"])"
                text = re.sub(whole, label.replace("\\", r"\\"), text)
        return without_folders(text)
