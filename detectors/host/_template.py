"""The distribution that ``detect plugins new DIR`` writes: one detector, its hooks and tests."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from clipvet.detectors.errors import UsageError
from clipvet.detectors.host._template_files import template_files

__all__ = ["new_plugin"]

NAME = re.compile(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*")


def new_plugin(folder: Path, *, learns: bool = False, taken: Collection[str] = ()) -> list[Path]:
    """Write a distribution with one working detector, and tests that pass.

    Args:
        folder: to be made; its name becomes that of the distribution, the package and, without
            "clipvet", the detector.
        learns: whether the detector learns from good images.
        taken: ids of detectors that there are already.

    Returns:
        the files, in the order in which one reads them.

    Raises:
        UsageError: the folder holds something, its name makes no package name, or the
            distribution, the package or the detector exists.
    """
    names = _names(folder.resolve().name, taken)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder: name another one")
    names["version"] = version("clipvet")
    names["references"] = '"--references", "good", ' if learns else ""  # in its tests
    written = []
    for path, text in template_files(learns=learns).items():
        written.append(folder / path.substitute(names))
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        written[-1].write_text(text.substitute(names), encoding="utf-8")
    return written


def _names(name: str, taken: Collection[str]) -> dict[str, str]:
    if not NAME.fullmatch(name.lower()):
        raise UsageError(
            f"{name!r} makes no package name: letters a-z and digits, joined by '-' or '_', a "
            "letter first, for example clipvet-scratches"
        )
    words = re.split(r"[-_.]", name.lower())
    dist, module = "-".join(words), "_".join(words)
    own = [word for word in words if word != "clipvet"] or words
    identity = "-".join(own)
    if keyword.iskeyword(module) or not own[0][0].isalpha():
        raise UsageError(f"{name!r} makes no Python name: try clipvet-{dist}-detector")
    if identity in taken:
        raise UsageError(f"there is a detector {identity!r} already: name the folder otherwise")
    if _installed(dist) or _importable(module):
        raise UsageError(f"a package {dist!r} is installed already: name the folder otherwise")
    return {
        "dist": dist,
        "module": module,
        "id": identity,
        "cls": "".join(word.capitalize() for word in own),
    }


def _installed(dist: str) -> bool:
    try:
        distribution(dist)
    except PackageNotFoundError:
        return False
    return True


def _importable(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None  # a mere folder on the way is no module
