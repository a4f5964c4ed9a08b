"""Few-shot and zero-shot scores as the product gives them: the plugin itself on encoded images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Detector, DetectorOptions, Query, View
from clipvet.detectors.clip import Runtime
from clipvet.plugins.patchcore import PatchCore
from clipvet.plugins.winclip import WinClip

__all__ = ["FEW_SHOT", "Encoded", "Judged", "judge"]

FEW_SHOT: dict[str, type[Detector]] = {cls.id: cls for cls in (PatchCore, WinClip)}
"""Detectors that compare patches with those of good images, by id."""


@dataclass(frozen=True)
class Encoded:
    """``features`` of n images by name, each [n, ...], and the object's name."""

    features: Mapping[str, NDArray[np.float32]]
    name: str

    @classmethod
    def of(cls, runtime: Runtime, images: Sequence[NDArray[np.uint8]], name: str) -> Encoded:
        """Encode uint8 RGB images [h, w, 3] of one object."""
        return cls(runtime.encode_views(images), name)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Some of the images, as the engine hands them to a detector."""
        pixels = np.zeros((1, 1, 3), np.uint8)  # they read features alone
        return Batch(
            features={key: values[list(rows)] for key, values in self.features.items()},
            views=[View(pixels=pixels, box=(0, 0, 1, 1)) for _ in rows],
            queries=[[Query(object=self.name)] for _ in rows],
        )


@dataclass(frozen=True)
class Judged:
    """``scores`` [n] and ``maps`` [n, gh, gw] of the queries, higher is worse."""

    scores: NDArray[np.float64]
    maps: NDArray[np.float32]


def judge(
    runtime: Runtime,
    options: DetectorOptions,
    encoded: Encoded,
    references: Sequence[int],
    queries: Sequence[int],
) -> Judged:
    """Score some images against others; without ``references``, against prompts alone.

    The detector is the one that the options are of.
    """
    detector = next(cls for cls in FEW_SHOT.values() if type(options) is cls.Options)(options)
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    if len(references):
        detector.fit([encoded.batch(references)])
    found = [row[0] for row in detector.score(encoded.batch(queries))]
    grid = runtime.info.grid
    return Judged(
        np.array([score.value for score in found]),
        np.stack([np.zeros(grid, np.float32) if s.heatmap is None else s.heatmap for s in found]),
    )
