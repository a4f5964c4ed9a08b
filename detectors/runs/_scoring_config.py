"""How images are to be scored: what a run and an evaluation are both asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors._detector import Query
from clipvet.detectors.clip import Device
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.isolation._limits import Isolation

__all__ = ["ScoringConfig"]


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """With which detectors, or which recipe, images are scored, and on what machine.

    Attributes:
        specs: detectors; empty takes ``DEFAULT_DETECTORS``. Beside a recipe they are scored, too,
            but the verdict stays that of the recipe's own.
        recipe: folder of a recipe: it brings detectors, bundle, region, tiling, decode policy
            and object itself.
        bundle: name or folder; None is the embedded one.
        query: what every image is asked about.
        references: good images that detectors learn from before the run.
        region, tiling, decode_policy: how files become views.
        device: ``auto``, ``cpu``, ``openvino``, ``openvino-bf16``, ``cuda`` or ``tensorrt``.
        batch_size: views per call of the encoder.
        workers: decoding threads; None is one per core, at most 8.
        isolate: limits of worker processes for the detectors of plugins; None runs them in this
            process. Scores are the same, so a run may be resumed with or without.
        fresh: replace the run that is in ``out``.
    """

    specs: Sequence[DetectorSpec] = ()
    recipe: Path | None = None
    bundle: str | None = None
    query: Query = field(default_factory=Query)
    references: Path | None = None
    region: Region | None = None
    tiling: Tiling | None = None
    decode_policy: DecodePolicy = field(default_factory=DecodePolicy)
    device: Device = "auto"
    batch_size: int = 8
    workers: int | None = None
    isolate: Isolation | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers are none: give at least 1")
        if self.recipe is None:
            return
        fixed = {
            "a bundle": self.bundle,
            "the object": self.query.object,
            "references": self.references,
            "a region": self.region,
            "tiles": self.tiling,
            "a decode policy": self.decode_policy != DecodePolicy(),
        }
        given = [name for name, value in fixed.items() if value]
        if given:
            message = f"a recipe fixes {given[0]} itself: leave it out, or run without the recipe"
            raise UsageError(message)

    @property
    def threads(self) -> int:
        """Decoding threads."""
        return self.workers or min(8, len(os.sched_getaffinity(0)))
