"""The result for one image in memory: its record, and the arrays that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._overlays import render_overlay
from clipvet.detectors.records._records import Record, Verdict

__all__ = ["Inspection"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """A record, and what of it does not fit into a line of JSON.

    Attributes:
        record: as a run would write it.
        frame: the decoded image; None if it could not be decoded.
        heatmaps: detector -> heatmap, of those that draw one (of its first query).
    """

    record: Record
    frame: Frame | None = None
    heatmaps: Mapping[str, Heatmap] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict | None:
        """``pass``, ``flag``, ``abstain``, ``error``; None without a recipe."""
        return self.record.verdict

    @property
    def score(self) -> float | None:
        """Raw score of the first detector; higher is worse."""
        return self.record.detections[0].score if self.record.detections else None

    @property
    def heatmap(self) -> Heatmap | None:
        """Heatmap of the first detector that draws one; ``heatmap.resized()`` is [H, W]."""
        return next(iter(self.heatmaps.values()), None)

    def overlay(self, detector: str | None = None) -> NDArray[np.uint8]:
        """The image under a heatmap: uint8 RGB, in the recipe's or the detector's fixed range.

        Raises:
            UsageError: there is no such heatmap, or no range to draw it in.
        """
        name = next(iter(self.heatmaps), None) if detector is None else detector
        if name is None or name not in self.heatmaps or self.frame is None:
            raise UsageError(f"there is no heatmap of {name or 'any detector'} to draw")
        detection = next(one for one in self.record.detections if one.detector == name)
        if detection.heatmap is None or detection.heatmap.range is None:
            raise UsageError(f"{name} declares no range for pictures: fit a recipe, it sets one")
        low, high = detection.heatmap.range
        label = f"{name}  score {detection.score:.4g}  {detection.verdict or 'not judged'}"
        return render_overlay(
            self.frame.pixels, self.heatmaps[name], low=low, high=high, label=label
        )
