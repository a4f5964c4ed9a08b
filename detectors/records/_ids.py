"""The names of images in records: printable, unique, and leading back to the file."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

__all__ = ["Labels", "escaped", "file_stem", "path_of", "record_id"]

# Bytes of a file's name below an output folder: Linux takes paths of 4095.
_LONGEST = 2000


class Labels:
    """A short name for each root folder: its own name, and ``-2``, ``-3`` if that is taken.

    Attributes:
        roots: label -> folder, in the order of their first use.
    """

    def __init__(self, roots: dict[str, Path] | None = None) -> None:
        self.roots: dict[str, Path] = dict(roots or {})
        self._known = {str(folder): label for label, folder in self.roots.items()}

    def of(self, folder: Path, name: str | None = None) -> str:
        """The label of an absolute folder, or of what has another name than a folder's."""
        known = self._known.get(str(folder))
        if known is not None:
            return known
        name = label = name or escaped(folder.name) or "root"
        number = 2
        while label in self.roots:
            label = f"{name}-{number}"
            number += 1
        self.roots[label] = folder
        self._known[str(folder)] = label
        return label


def record_id(label: str, relative: str) -> str:
    """``<label>/<relative path>``, odd bytes percent-escaped."""
    return f"{label}/{escaped(relative)}"


def path_of(name: str, roots: dict[str, Path]) -> Path | None:
    """The file behind a record id, or None if its root is unknown."""
    label, _, relative = name.partition("/")
    root = roots.get(label)
    if root is None:
        return None
    if "%" in relative:
        relative = os.fsdecode(unquote_to_bytes(os.fsencode(relative)))
    return root / relative


def escaped(text: str) -> str:
    """Percent-escape ``%``, what cannot be printed, and bytes that are no UTF-8."""
    if text.isprintable() and "%" not in text:
        return text
    return "".join(char if char.isprintable() and char != "%" else _percent(char) for char in text)


def file_stem(name: str) -> str:
    """A record id as a relative file name.

    Parts too long for a file system are cut and hashed. Of a path so long that it would not fit
    below an output folder, the first and the last part stay around a hash of all.
    """
    first, *between = (_short(part) for part in name.split("/"))
    stem = "/".join([first, *between])
    if len(stem.encode()) <= _LONGEST:
        return stem
    return f"{first}/{hashlib.sha256(name.encode()).hexdigest()[:12]}/{between[-1]}"


def _short(part: str) -> str:
    if len(part.encode()) <= 160:
        return part
    digest = hashlib.sha256(part.encode()).hexdigest()[:12]
    return part.encode()[:140].decode(errors="ignore") + "-" + digest


def _percent(char: str) -> str:
    data = char.encode("utf-8", "surrogateescape" if _is_odd_byte(char) else "surrogatepass")
    return re.sub("..", lambda pair: "%" + pair[0].upper(), data.hex())


def _is_odd_byte(char: str) -> bool:
    return "\udc80" <= char <= "\udcff"
