"""The detector: how far a picture is from the most similar good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file, save_file

from clipvet.detectors import ArtefactMissing, Batch, Detector, DetectorOptions, Score


class NearestOptions(DetectorOptions):
    """Options of :class:`Nearest`."""

    neighbours: int = Field(1, ge=1, description="Good images whose distances are averaged.")


class Nearest(Detector):
    """1 - cosine of the image embedding to the nearest good one: 0 (equal) to 2."""

    id = "nearest"
    task = "anomaly"
    needs = frozenset({"cls_embed"})
    Options = NearestOptions
    learns = True

    def fit(self, batches: Any) -> None:
        """Keep the unit embedding of every good image."""
        self.good_ = np.concatenate([unit(batch.features["cls_embed"]) for batch in batches])

    def save(self, folder: Path) -> None:
        """Write the embeddings: float32 [n, E]."""
        save_file({"good": self.good_}, folder / "nearest.safetensors")

    def load(self, folder: Path) -> None:
        """Read the embeddings."""
        self.good_ = load_file(folder / "nearest.safetensors")["good"]

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view."""
        if not hasattr(self, "good_"):
            raise ArtefactMissing("nearest knows no good images: run `detect fit` first")
        return [[self._score(view)] for view in unit(batch.features["cls_embed"])]

    def _score(self, view: np.ndarray) -> Score:
        # One view at a time: a product with the whole batch would round by batch size.
        distances = np.sort(1.0 - self.good_ @ view)[: self.options.neighbours]
        details = {"method": "nearest good image", "references": len(self.good_)}
        return Score(value=float(distances.mean()), details=details)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
