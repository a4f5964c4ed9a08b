"""Detectors that do next to nothing, in a module that a worker process can import."""

from __future__ import annotations

from clipvet.detectors import Batch, Detector, Score

__all__ = ["Global", "Local", "Pixels"]


class Global(Detector):
    """Reads the image embedding."""

    id = "global"
    task = "quality"
    needs = frozenset({"cls_embed"})

    def score(self, batch: Batch) -> list[list[Score]]:
        """One number a view."""
        return [[Score(value=float(row[0]))] for row in batch.features["cls_embed"]]


class Local(Detector):
    """Reads two features of every patch, and gives a heatmap."""

    id = "local"
    task = "anomaly"
    needs = frozenset({"patch_embed", "patch_tokens"})

    def score(self, batch: Batch) -> list[list[Score]]:
        """One number and one map a view."""
        maps = batch.features["patch_embed"][..., 0]
        return [[Score(value=float(row.max()), heatmap=row.reshape(1, -1))] for row in maps]


class Pixels(Detector):
    """Looks at the pixels of every view."""

    id = "pixels"
    task = "quality"

    def score(self, batch: Batch) -> list[list[Score]]:
        """One number a view."""
        return [[Score(value=float(view.pixels[0, 0, 0]))] for view in batch.views]
