"""The plugin host: loads every plugin by itself and keeps what it registered.

Nothing is loaded when this module is imported. Whatever a plugin does while it loads or
registers becomes a :class:`PluginFailure`; the other plugins never notice. Contract: hooks in
``_hookspecs.py``, rules in ``docs/plugins.md``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.errors import UnfitEnvironment, UsageError
from clipvet.detectors.host._discovery import Selection, find_plugins, plugins_folder
from clipvet.detectors.host._load import PluginLoad
from clipvet.detectors.host._names import Registration, settle
from clipvet.detectors.host._plugins import DetectorEntry, PluginFailure, PluginRecord
from clipvet.detectors.host._validation import nearest

__all__ = ["Host", "Reader"]

Reader: TypeAlias = Callable[[Path], NDArray[np.uint8]]

log = logging.getLogger("clipvet.plugins")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the plugins of this environment brought. Made by :meth:`load`.

    A name that two third parties claim appears in no mapping by itself, only as ``dist:name``
    for each of them; a built-in keeps its name.

    Attributes:
        detectors: id -> class and origin.
        bundles: name -> folder.
        readers: suffix -> function of a path that gives uint8 pixels.
        commands: name -> Typer app or function, for ``detect x NAME``.
        trainers: name -> function, for ``detect train NAME``.
        plugins: every plugin that loaded, built-in ones first.
        failures: everything that went wrong, in the order of the plugins.
    """

    detectors: Mapping[str, DetectorEntry] = field(default_factory=dict)
    bundles: Mapping[str, Path] = field(default_factory=dict)
    readers: Mapping[str, Reader] = field(default_factory=dict)
    commands: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    trainers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    plugins: tuple[PluginRecord, ...] = ()
    failures: tuple[PluginFailure, ...] = ()

    @classmethod
    def load(
        cls,
        *,
        select: str | None = None,
        plugins_dir: Path | None = None,
        strict: bool | None = None,
    ) -> Self:
        """Find, load and ask every plugin.

        ``CLIPVET_TRACE_PLUGINS=1`` makes the logger ``clipvet.plugins`` tell of every import, hook
        call, registration and failure.

        Args:
            select: which plugins, see :class:`Selection`; None means ``CLIPVET_PLUGINS``.
            plugins_dir: folder of one-file plugins; None means ``CLIPVET_PLUGINS_DIR``, or
                the user's data folder.
            strict: raise if anything failed; None means ``CLIPVET_PLUGINS_STRICT`` is ``1``.

        Raises:
            UnfitEnvironment: strict, and something failed.
        """
        if os.environ.get("CLIPVET_TRACE_PLUGINS") == "1":
            log.setLevel(logging.DEBUG)
        selection = Selection.parse(os.environ.get("CLIPVET_PLUGINS") if select is None else select)
        candidates, failures = find_plugins(
            plugins_folder() if plugins_dir is None else plugins_dir
        )
        failures += [_unknown(name) for name in selection.unmatched(c.source for c in candidates)]
        loads = [PluginLoad(c) for c in candidates if selection.takes(c.source)]
        for load in loads:
            load.run()
            failures += load.failures
        settled = {}
        for kind in ("detector", "bundle", "reader", "command", "trainer"):
            settled[kind], clashes = settle(kind, [r for one in loads for r in one.registrations])
            failures += clashes
        host = cls(
            detectors=MappingProxyType(
                {
                    name: DetectorEntry(cls=found.value, source=found.source)
                    for name, found in settled["detector"].items()
                }
            ),
            bundles=_values(settled["bundle"]),
            readers=_values(settled["reader"]),
            commands=_values(settled["command"]),
            trainers=_values(settled["trainer"]),
            plugins=tuple(load.record() for load in loads if load.loaded),
            failures=tuple(failures),
        )
        for failure in failures:
            log.debug("%s", failure)
        if (os.environ.get("CLIPVET_PLUGINS_STRICT") == "1") if strict is None else strict:
            host.check()
        return host

    def check(self) -> None:
        """Raise :class:`UnfitEnvironment` if any plugin failed."""
        if self.failures:
            count = len(self.failures)
            more = f" (and {count - 1} more: detect plugins list)" if count > 1 else ""
            raise UnfitEnvironment(f"{self.failures[0]}{more}")

    def detector(self, name: str) -> DetectorEntry:
        """The detector called ``name``: an id, or ``dist:id``.

        Raises:
            UsageError: there is none, or several plugins claim this id.
        """
        if name in self.detectors:
            return self.detectors[name]
        matches = {
            key: entry
            for key, entry in self.detectors.items()
            if name in (entry.id, f"{entry.dist}:{entry.id}")
        }
        if len(matches) == 1:
            return next(iter(matches.values()))
        if matches:
            owners = " and ".join(f"{entry.dist} {entry.version}" for entry in matches.values())
            raise UsageError(
                f"detector {name!r} is registered by {owners}: ask for {' or '.join(matches)}"
            )
        failed = f"; failed to load: {len(self.failures)}" if self.failures else ""
        known = ", ".join(sorted(self.detectors)) or "none"
        raise UsageError(
            f"there is no detector {name!r}{nearest(name, self.detectors)}: known are {known}"
            f"{failed} (detect plugins list)"
        )


def _unknown(name: str) -> PluginFailure:
    return PluginFailure(
        dist=name,
        version="",
        entry_point="",
        phase="load",
        exception="UsageError",
        message=f"CLIPVET_PLUGINS names {name!r}, and no plugin or distribution is called that",
    )


def _values(settled: Mapping[str, Registration]) -> Mapping[str, Any]:
    return MappingProxyType({name: found.value for name, found in settled.items()})
