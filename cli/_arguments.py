"""From the words of a command line to the values of the library."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clipvet.detectors import DEFAULT_DETECTORS, DetectorSpec, Query, Region
from clipvet.detectors.errors import UsageError

__all__ = ["query_from", "region_from", "sources_from", "specs_from"]


def sources_from(paths: Sequence[str], *, null: bool) -> Iterable[Path]:
    """Files and folders, or a stream of them from stdin."""
    listed = null or "-" in paths
    if listed and any(path != "-" for path in paths):
        raise UsageError("paths come from stdin or from the command line, not from both")
    if not listed and not paths:
        raise UsageError("no images: give files or folders (see detect run --help)")
    return _listed(b"\0" if null else b"\n") if listed else [Path(path) for path in paths]


def _listed(end: bytes) -> Iterator[Path]:
    """Paths from stdin, as they come."""
    rest = b""
    while chunk := os.read(sys.stdin.fileno(), 65536):
        *whole, rest = (rest + chunk).split(end)
        yield from (Path(os.fsdecode(path)) for path in whole if path)
    if rest:
        yield Path(os.fsdecode(rest))


def specs_from(
    names: Sequence[str],
    settings: Sequence[str],
    artefacts: Sequence[str],
    *,
    recipe: Path | None,
) -> list[DetectorSpec]:
    """Detectors, their options and what they learned from ``-d``, ``--set``, ``--artefact``."""
    names = names or ([] if recipe is not None else DEFAULT_DETECTORS)
    options: dict[str, dict[str, Any]] = {name: {} for name in names}
    for setting in settings:
        key, equals, value = setting.partition("=")
        name, dot, option = key.rpartition(".")
        if not (equals and dot and option):
            raise UsageError(f"--set {setting}: write id.option=value")
        if name not in options:
            raise UsageError(f"--set {setting}: this run has no detector {name!r} (-d {name})")
        options[name][option] = _value(value)
    folders = dict(_folder_of(artefact, names) for artefact in artefacts)
    return [
        DetectorSpec(id=name, options=given, artefact=folders.get(name))
        for name, given in options.items()
    ]


def _folder_of(artefact: str, names: Sequence[str]) -> tuple[str, Path]:
    name, equals, folder = artefact.partition("=")
    if not (name and equals and folder):
        raise UsageError(f"--artefact {artefact}: write id=folder")
    if name not in names:
        raise UsageError(f"--artefact {artefact}: this run has no detector {name!r} (-d {name})")
    if not Path(folder).is_dir():
        raise UsageError(f"--artefact {artefact}: {folder} is no folder")
    return name, Path(folder)


def _value(text: str) -> Any:
    """JSON if it is JSON (numbers, lists, true), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def query_from(name: str | None, classes: Path | None) -> Query:
    """What every image is asked, from ``--object`` and ``--classes``."""
    if classes is None:
        return Query(object=name)
    try:
        lines = classes.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {classes}: cannot be read as text ({error})") from error
    return Query(object=name, classes=tuple(line.strip() for line in lines if line.strip()))


def region_from(text: str) -> Region:
    """A box or a mask file, from ``--roi``."""
    return Region.from_mask(text) if Path(text).exists() else Region.parse(text)
