"""From the words of a command line to the values of the library."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from clipvet.detectors import (
    DecodePolicy,
    DetectorSpec,
    Isolation,
    Query,
    Region,
    RunSummary,
    SourceName,
    Tiling,
    Watching,
    run,
)
from clipvet.detectors.errors import UsageError

__all__ = [
    "decode_policy_from",
    "engine_from",
    "isolation_from",
    "query_from",
    "refuse",
    "region_from",
    "sources_from",
    "specs_from",
    "tiling_from",
    "watching_from",
    "weights_from",
]


def sources_from(
    paths: Sequence[str], files_from: Path | None, *, null: bool
) -> Iterable[SourceName]:
    """What the command line names, or a stream of paths from stdin or a file.

    Only what the command line names can be a pattern, a camera or a URL.
    """
    listed = files_from is not None or "-" in paths or (null and not paths)
    if null and not listed:
        raise UsageError("-0 tells how listed paths end: give - or --files-from with it")
    if listed and any(path != "-" or files_from is not None for path in paths):
        raise UsageError("paths come from a list or from the command line, not from both")
    if not listed and not paths:
        raise UsageError("no images: give files or folders (see detect run --help)")
    if not listed:
        return list(paths)
    end = b"\0" if null else b"\n"
    if files_from is None:
        return _listed(sys.stdin.buffer, end)
    try:
        return _listed(files_from.open("rb"), end)
    except OSError as error:
        message = f"--files-from {files_from}: cannot be read ({error.strerror})"
        raise UsageError(message) from error


def _listed(file: BinaryIO, end: bytes) -> Iterator[Path]:
    """Paths from a file, as they come; a list from Windows ends its lines in its own way."""
    rest = b""
    with file:
        while chunk := os.read(file.fileno(), 65536):
            *whole, rest = (rest + chunk).split(end)
            yield from (_path(path) for path in whole if path.strip(b"\r"))
    if rest.strip(b"\r"):
        yield _path(rest)


def _path(name: bytes) -> Path:
    path = Path(os.fsdecode(name))
    return path if not name.endswith(b"\r") or path.exists() else Path(os.fsdecode(name[:-1]))


def engine_from(
    name: str, *, workers: int | None, as_json: bool, **pool: int | None
) -> Callable[..., RunSummary]:
    """What makes a run, from ``--engine`` and the options that belong to ``ray``."""
    given = {key: value for key, value in pool.items() if value is not None}
    if name == "local":
        if given:
            raise UsageError("--actors, --actor-cpus and --partition belong to --engine ray")
        return run
    if as_json:
        raise UsageError("--json does not go with --engine ray, which prints on stdout itself")
    if workers is not None:
        raise UsageError("--workers does not go with --engine ray: give --actor-cpus")
    from clipvet.detectors import RayPool, run_on_ray

    return partial(run_on_ray, pool=RayPool(**given))


def watching_from(*, watch: bool, idle: float | None, settle: float | None) -> Watching | None:
    """How folders are watched, from ``--watch``, ``--idle``, ``--settle``; None if they are not."""
    if not watch:
        if idle is not None or settle is not None:
            raise UsageError("--idle and --settle belong to --watch: give it, too")
        return None
    return Watching(idle=idle) if settle is None else Watching(idle=idle, settle=settle)


def specs_from(
    names: Sequence[str],
    settings: Sequence[str],
    artefacts: Sequence[str],
    *,
    recipe: Path | None,
    default: Sequence[str],
) -> list[DetectorSpec]:
    """Detectors, their options and what they learned from ``-d``, ``--set``, ``--artefact``.

    ``default`` names the detectors where neither ``-d`` nor a recipe does.
    """
    names = names or ([] if recipe is not None else default)
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


def region_from(text: str | None) -> Region | None:
    """A box or a mask file, from ``--roi``."""
    if text is None:
        return None
    return Region.from_mask(text) if Path(text).exists() else Region.parse(text)


def tiling_from(tile: int | None, overlap: int) -> Tiling | None:
    """How images are cut, from ``--tile`` and ``--overlap``."""
    if tile is None and overlap:
        raise UsageError("--overlap belongs to --tile N: give both")
    return None if tile is None else Tiling(tile, overlap)


def decode_policy_from(high_bit: str | None) -> DecodePolicy:
    """What becomes of more than 8 bits, from ``--high-bit``."""
    return DecodePolicy() if high_bit is None else DecodePolicy.parse(high_bit)


def isolation_from(*, isolate: bool, seconds: float | None, gib: float | None) -> Isolation | None:
    """The limits of worker processes; None without ``--isolate``."""
    given = {"seconds": seconds, "gib": gib}
    limits = {name: value for name, value in given.items() if value is not None}
    if limits and not isolate:
        raise UsageError("--isolate-time and --isolate-memory belong to --isolate: give it, too")
    return Isolation(**limits) if isolate else None


def weights_from(given: Sequence[str]) -> dict[str, float]:
    """Detector -> weight, from ``--weight id=2``."""
    weights = {}
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--weight {text}: write id=number")
    return weights


def refuse(given: Mapping[str, object], why: str) -> None:
    """Raise :class:`UsageError` for the first option that was given."""
    for option, value in given.items():
        if value:
            raise UsageError(f"{option}: {why}")
