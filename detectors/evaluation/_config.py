"""What an evaluation is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors._detector import Query
from clipvet.detectors.clip import Device
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import UsageError
from clipvet.detectors.evaluation._pixels import PIXEL_LIMIT
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.runs._config import RunConfig

__all__ = ["EvalConfig"]


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """A test on labelled images.

    Attributes:
        folder: labelled by its layout, see :func:`find_test_set`.
        masks: folder of the masks, if they are not where the layout has them.
        out: where ``eval.json``, ``curves/`` and the files of the run go; None keeps nothing.
        specs, recipe, bundle, query, references, region, tiling, decode_policy, device,
            batch_size, workers, fresh: as for a run, see :class:`RunConfig`.
        draws: of the bootstrap; 0 leaves the intervals out.
        seed: of the draws.
        pixel_limit: distinct scores up to which pixel metrics are exact.
    """

    folder: Path
    masks: Path | None = None
    out: Path | None = None
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
    fresh: bool = False
    draws: int = 1000
    seed: int = 0
    pixel_limit: int = PIXEL_LIMIT

    def __post_init__(self) -> None:
        if self.draws < 0:
            raise UsageError(f"{self.draws} draws are none: give 0 or more")
        if self.pixel_limit < 1024:
            raise UsageError(f"a limit of {self.pixel_limit} scores is too low: give 1024 or more")

    def run(self, sources: Sequence[Path], out: Path) -> RunConfig:
        """The run that scores the images; pictures are drawn only where somebody sees them."""
        return RunConfig(
            sources=sources,
            out=out,
            specs=self.specs,
            recipe=self.recipe,
            bundle=self.bundle,
            query=self.query,
            references=self.references,
            region=self.region,
            tiling=self.tiling,
            decode_policy=self.decode_policy,
            device=self.device,
            batch_size=self.batch_size,
            workers=self.workers,
            heatmaps="npz" if self.out is None else "overlay",
            fresh=self.fresh,
        )
