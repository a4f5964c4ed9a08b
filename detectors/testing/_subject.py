"""What a check works on: a detector class, its options, and pictures to show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Batch, Context, Detector, DetectorOptions, Query, Score
from clipvet.detectors.clip import BundleInfo
from clipvet.detectors.frames._views import View

__all__ = ["DEFAULT_QUERY", "FeatureSource", "Subject", "same_scores", "textures"]

DEFAULT_QUERY = Query(
    object="object",
    classes=("bolt", "washer"),
    question="is there a scratch?",
    choices=("yes", "no"),
    caption="a photo of a bolt",
)

Pixels = NDArray[np.uint8]


class FeatureSource(Protocol):
    """The part of a runtime that the checks use."""

    @property
    def info(self) -> BundleInfo:
        """Facts of the bundle."""

    def encode_views(self, views: Sequence[Pixels]) -> dict[str, NDArray[np.float32]]:
        """Features of some views."""

    def encode_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of some prompts."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One detector class under test.

    Attributes:
        cls: the class.
        options: with which it is made.
        query: what every view is asked about.
        runtime: gives features and text embeddings; the fake one or a real one.
        pair: a good and a bad picture, uint8 RGB [h, w, 3], or None.
        good: pictures to fit on.
        artefact: folder to load instead of fitting, or None.
    """

    cls: type[Detector]
    options: DetectorOptions
    query: Query
    runtime: FeatureSource
    pair: tuple[Pixels, Pixels] | None
    good: Sequence[Pixels]
    artefact: Path | None

    @property
    def count(self) -> int:
        """Number of views in the full batch."""
        return len(self._pictures)

    def batch(self, views: Sequence[int] | None = None, *, repeats: int = 1) -> Batch:
        """The test pictures, or some of them in this order; each asked ``repeats`` times."""
        chosen = range(self.count) if views is None else views
        features = {name: values[list(chosen)] for name, values in self._features.items()}
        return self._batch([self._pictures[i] for i in chosen], features, repeats)

    def pair_batch(self) -> Batch:
        """The good picture, then the bad one."""
        assert self.pair is not None
        return self._batch(self.pair, self.runtime.encode_views(list(self.pair)), 1)

    def spot_batch(self) -> Batch:
        """A picture, and the same one with a bright spot in its upper right."""
        plain = self._pictures[-1]
        spotted = plain.copy()
        height, width = plain.shape[:2]
        spotted[height // 6 : height // 3, 2 * width // 3 : 5 * width // 6] = (255, 255, 0)
        pictures = [plain, spotted]
        return self._batch(pictures, self.runtime.encode_views(pictures), 1)

    def ready(self) -> Detector:
        """A new instance that can score: loaded, fitted, or just prepared."""
        return self.made_ready(self.cls(self.options))

    def made_ready(self, detector: Detector) -> Detector:
        """The same instance, new until now, as one that can score."""
        if self.artefact is not None:
            detector.load(self.artefact)
        self.prepared(detector)
        if self.cls.learns and self.artefact is None:
            detector.fit(self._good_batches())
        return detector

    def prepared(self, detector: Detector) -> Detector:
        """The same instance, after prepare()."""
        detector.prepare(Context(bundle=self.runtime.info, encode_text=self.runtime.encode_text))
        return detector

    def scores(self) -> list[Score]:
        """All scores of the full batch, flat."""
        return [score for view in self.ready().score(self.batch()) for score in view]

    @cached_property
    def _pictures(self) -> list[Pixels]:
        return textures(5, seed=1)

    @cached_property
    def _features(self) -> dict[str, NDArray[np.float32]]:
        return self.runtime.encode_views(self._pictures)

    def _good_batches(self) -> Iterator[Batch]:
        for first in range(0, len(self.good), 3):
            part = self.good[first : first + 3]
            yield self._batch(part, self.runtime.encode_views(list(part)), 1)

    def _batch(
        self, pictures: Sequence[Pixels], features: dict[str, NDArray[np.float32]], repeats: int
    ) -> Batch:
        arrays: list[NDArray[Any]] = [*pictures, *features.values()]
        for array in arrays:
            array.flags.writeable = False
        views = [View(pixels=p, box=(0, 0, p.shape[1], p.shape[0])) for p in pictures]
        return Batch(
            features=features, views=views, queries=[[self.query] * repeats for _ in pictures]
        )


def textures(count: int, *, seed: int) -> list[Pixels]:
    """Coloured smooth noise of different sizes, uint8 RGB: pictures for tests."""
    rng = np.random.default_rng(seed)
    pictures = []
    for index in range(count):
        coarse = rng.integers(0, 256, size=(6 + index, 8, 3))
        fine = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
        noisy = np.clip(fine + rng.normal(0, 12, fine.shape), 0, 255)
        pictures.append(noisy.astype(np.uint8))
    return pictures


def same_scores(left: list[list[Score]], right: list[list[Score]]) -> bool:
    """True if values, heatmaps, and what is kept for the end of a run are equal bit for bit."""
    return [[_bits(s) for s in view] for view in left] == [
        [_bits(s) for s in view] for view in right
    ]


def _bits(score: Score) -> tuple[bytes, ...]:
    heatmap = b"" if score.heatmap is None else score.heatmap.tobytes()
    spool = [np.asarray(score.spool[name]).tobytes() for name in sorted(score.spool)]
    return np.float64(score.value).tobytes(), heatmap, *spool
