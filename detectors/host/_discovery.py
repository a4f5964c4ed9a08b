"""Finding plugins: installed distributions, and the folder of one-file plugins."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from clipvet.detectors.host._hookspecs import GROUP
from clipvet.detectors.host._plugins import PluginFailure, PluginSource

__all__ = ["Candidate", "Selection", "find_plugins", "load_file", "plugins_folder"]

BUILTIN_DIST = "clipvet"
LOCAL_PACKAGE = "clipvet_local_plugins"


@dataclass(frozen=True)
class Candidate:
    """A plugin that has been found and not yet loaded."""

    source: PluginSource
    load: Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which plugins to load, as ``CLIPVET_PLUGINS`` says it.

    ``None`` loads all; ``"a,b"`` only these (and the built-in ones); ``"-a"`` all but ``a``;
    ``""`` the built-in ones alone. A name is an entry point's, a distribution's, or both
    (``dist:entry_point``). A built-in plugin goes only when it is disabled by name.
    """

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str | None) -> Selection:
        """Read the value of the variable; None if it is not set."""
        if text is None:
            return cls()
        words = [word.strip() for word in text.split(",") if word.strip()]
        without = frozenset(word[1:].strip() for word in words if word.startswith("-"))
        only = frozenset(word for word in words if not word.startswith("-"))
        return cls(only=only if only or not without else None, without=without)

    def takes(self, source: PluginSource) -> bool:
        """True if this plugin is to be loaded."""
        names = self._names(source)
        if names & self.without:
            return False
        return self.only is None or source.builtin or bool(names & self.only)

    def unmatched(self, sources: Iterable[PluginSource]) -> list[str]:
        """Names in the selection that no plugin has."""
        known = {name for source in sources for name in self._names(source)}
        return sorted(((self.only or frozenset()) | self.without) - known)

    @staticmethod
    def _names(source: PluginSource) -> set[str]:
        return {source.dist, source.entry_point, source.name}


def find_plugins(folder: Path | None) -> tuple[list[Candidate], list[PluginFailure]]:
    """All plugins of this environment, built-in ones first, then by distribution and name.

    Nothing is imported here. A distribution whose metadata cannot be read is a failure.
    """
    found: dict[str, Candidate] = {}
    failures: list[PluginFailure] = []
    for distribution in distributions():
        try:
            candidates = list(_installed(distribution))
        except Exception as error:  # noqa: BLE001 - damaged metadata raises whatever it likes
            failures.append(_unreadable(distribution, error))
            continue
        for candidate in candidates:
            # The same distribution twice on sys.path: the first one is the one that imports.
            found.setdefault(_canonical(candidate.source.name), candidate)
    for candidate in _local(folder):
        found.setdefault(candidate.source.name, candidate)
    order = sorted(found.values(), key=lambda c: (not c.source.builtin, c.source.name))
    return order, failures


def plugins_folder() -> Path:
    """Where one-file plugins live: ``CLIPVET_PLUGINS_DIR``, or the user's data folder."""
    named = os.environ.get("CLIPVET_PLUGINS_DIR")
    if named:
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("clipvet", appauthor=False) / "plugins"


def load_file(path: Path, name: str) -> Any:
    """The module in a file that is on no path, under this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, because dataclasses and pydantic look their module up.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _installed(distribution: Distribution) -> Iterator[Candidate]:
    entry_points = [entry for entry in distribution.entry_points if entry.group == GROUP]
    if not entry_points:
        return
    name, version = distribution.name, distribution.version
    for entry in entry_points:
        source = PluginSource(dist=name, version=version, entry_point=entry.name)
        yield Candidate(source, entry.load)


def _local(folder: Path | None) -> Iterator[Candidate]:
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith((".", "_")):
            source = PluginSource(dist=path.name, version="local", entry_point=path.stem)
            name = f"{LOCAL_PACKAGE}_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}"
            yield Candidate(source, partial(load_file, path, name))


def _unreadable(distribution: Distribution, error: Exception) -> PluginFailure:
    return PluginFailure(
        dist=str(getattr(distribution, "_path", "unknown distribution")),
        version="",
        entry_point="",
        phase="load",
        exception=type(error).__name__,
        message=f"its metadata cannot be read: {error}",
    )


def _canonical(name: str) -> str:
    dist, _, entry_point = name.partition(":")
    return f"{re.sub(r'[-_.]+', '-', dist).lower()}:{entry_point}"
