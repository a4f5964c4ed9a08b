"""What an evaluation is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from clipvet.detectors.errors import UsageError
from clipvet.detectors.evaluation._pixels import PIXEL_LIMIT
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._scoring_config import ScoringConfig
from clipvet.detectors.runs._sinks import HeatmapMode

__all__ = ["EvalConfig"]


@dataclass(frozen=True, kw_only=True)
class EvalConfig(ScoringConfig):
    """A test on labelled images.

    Attributes:
        specs, recipe, bundle, query, references, region, tiling, decode_policy, device,
            batch_size, workers, fresh: see :class:`ScoringConfig`.
        folder: labelled by its layout, see :func:`find_test_set`.
        masks: folder of the masks, if they are not where the layout has them.
        out: where ``eval.json``, ``curves/`` and the files of the run go; None keeps nothing.
        draws: of the bootstrap; 0 leaves the intervals out.
        seed: of the draws.
        pixel_limit: distinct scores up to which pixel metrics are exact.
    """

    folder: Path
    masks: Path | None = None
    out: Path | None = None
    draws: int = 1000
    seed: int = 0
    pixel_limit: int = PIXEL_LIMIT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws < 0:
            raise UsageError(f"{self.draws} draws are none: give 0 or more")
        if self.pixel_limit < 1024:
            raise UsageError(f"a limit of {self.pixel_limit} scores is too low: give 1024 or more")

    def run(self, sources: Sequence[Path], out: Path) -> RunConfig:
        """The run that scores the images; pictures are drawn only where somebody sees them."""
        scoring = {one.name: getattr(self, one.name) for one in fields(ScoringConfig)}
        heatmaps: HeatmapMode = "npz" if self.out is None else "overlay"
        return RunConfig(sources=sources, out=out, heatmaps=heatmaps, **scoring)
