"""What the host knows about a plugin: where it comes from, what it brought, what went wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from clipvet.detectors._detector import Detector

__all__ = ["DetectorEntry", "Phase", "PluginFailure", "PluginRecord", "PluginSource"]

Phase = Literal["load", "register", "validate", "call"]


@dataclass(frozen=True, kw_only=True)
class PluginSource:
    """Where a plugin comes from.

    Attributes:
        dist: name of the distribution, or the file name of a local plugin ("mine.py").
        version: of the distribution; "local" for a file of the plugins folder.
        entry_point: name of the entry point; the stem of a local file.
    """

    dist: str
    version: str
    entry_point: str

    @property
    def name(self) -> str:
        """``dist:entry_point``: two distributions may use one entry-point name."""
        return f"{self.dist}:{self.entry_point}"

    @property
    def builtin(self) -> bool:
        """True for what the distribution ``clipvet`` itself brings."""
        return self.dist == "clipvet"

    def __str__(self) -> str:
        return f"{self.dist} {self.version} ({self.entry_point})"


@dataclass(frozen=True, kw_only=True)
class PluginFailure:
    """One thing that a plugin could not do. The host went on without it.

    Attributes:
        dist, version, entry_point: as in :class:`PluginSource`.
        phase: ``load`` (its module did not import), ``register`` (pluggy refused a signature),
            ``validate`` (it registered something that is not what it should be) or ``call``
            (a hook of it raised).
        exception: name of the exception's type.
        message: one line.
    """

    dist: str
    version: str
    entry_point: str
    phase: Phase
    exception: str
    message: str

    def __str__(self) -> str:
        where = f"{self.dist} {self.version} ({self.entry_point})"
        return f"plugin {where}, {self.phase}: {self.exception}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class DetectorEntry:
    """A registered detector class and who registered it."""

    cls: type[Detector]
    source: PluginSource

    @property
    def id(self) -> str:
        """The detector's own id, which other plugins may claim too."""
        return self.cls.id

    @property
    def plugin(self) -> str:
        """Name of the plugin, ``dist:entry_point``."""
        return self.source.name

    @property
    def dist(self) -> str:
        """Name of the distribution."""
        return self.source.dist

    @property
    def version(self) -> str:
        """Version of the distribution; the algorithm's own is ``cls.version``."""
        return self.source.version

    @property
    def builtin(self) -> bool:
        """True if clipvet itself brings it."""
        return self.source.builtin


@dataclass(frozen=True, kw_only=True)
class PluginRecord:
    """One loaded plugin and the names of what it brought."""

    source: PluginSource
    hooks: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    trainers: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with the source's fields at the top."""
        fields = asdict(self)
        return {**fields.pop("source"), "builtin": self.source.builtin, **fields}
