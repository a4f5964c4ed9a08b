"""Where the detectors of a run live: in this process, or in workers that are owned here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from clipvet.detectors._closing import Closing
from clipvet.detectors._detector import Detector, DetectorOptions
from clipvet.detectors.host._plugins import DetectorEntry
from clipvet.detectors.isolation._detector import IsolatedDetector
from clipvet.detectors.isolation._limits import Isolation

__all__ = ["Workers"]


class Workers(Closing):
    """Makes detectors, those of plugins in worker processes if there are limits for these."""

    def __init__(self, isolate: Isolation | None) -> None:
        self._isolate = isolate
        self._isolated: dict[str, IsolatedDetector] = {}

    def make(self, name: str, entry: DetectorEntry, options: DetectorOptions) -> Detector:
        """An instance; errors as for :class:`IsolatedDetector`."""
        if self._isolate is None or entry.builtin:
            return entry.cls(options)
        detector = IsolatedDetector(name, entry, options, self._isolate)
        self._isolated[name] = detector
        return detector

    @property
    def facts(self) -> dict[str, Any] | None:
        """Which detectors have a worker, and its limits; None without limits."""
        if self._isolate is None:
            return None
        return {"detectors": sorted(self._isolated), **asdict(self._isolate)}

    def close(self) -> None:
        """End the workers."""
        for detector in self._isolated.values():
            detector.close()
