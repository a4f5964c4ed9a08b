"""The held-out good images: decoded, scored, and summed up per detector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from clipvet.detectors._counting import counted
from clipvet.detectors._detector import Query
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._merging import PlannedFrame
from clipvet.detectors.engine._results import NEEDS_THE_WORLD, RawResult
from clipvet.detectors.errors import DetectorError, FrameError, UsageError
from clipvet.detectors.recipes._audit import Photograph
from clipvet.detectors.recipes._good_images import GoodImage, LeftOut
from clipvet.detectors.recipes._recipe import Probe
from clipvet.detectors.runs._reading import FileReader

__all__ = [
    "FitProgress",
    "ImageReader",
    "ScoredImage",
    "check_started",
    "choose_probes",
    "out_of_world",
    "photographs",
    "score_held_out",
]

FitProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many images are done, and how many there are."""


@dataclass(frozen=True)
class ScoredImage:
    """An image that nothing was learned from.

    Attributes:
        image: which.
        scores: detector -> score.
        maps: detector -> maximum and median of its map.
        results: what the scores were read from, without the maps.
    """

    image: GoodImage
    scores: dict[str, float]
    maps: dict[str, tuple[float, float]]
    results: tuple[RawResult, ...]


@dataclass(frozen=True)
class ImageReader:
    """Decodes images; one that cannot be judged is left out, with its reason."""

    engine: Engine
    reader: FileReader
    left_out: list[LeftOut]

    def plan(self, image: GoodImage) -> PlannedFrame | None:
        """The views of an image, or None if it cannot be judged."""
        try:
            return self.engine.plan(self.reader.read(image.path))
        except FrameError as error:
            self.left_out.append(LeftOut(id=image.id, reason=str(error)))
            return None

    def readable(self, groups: Iterator[Sequence[GoodImage]], count: int) -> list[list[GoodImage]]:
        """The next ``count`` groups, with those of their images that can be decoded."""
        found: list[list[GoodImage]] = []
        while len(found) < count and (group := next(groups, None)) is not None:
            images = [image for image in group if self.plan(image) is not None]
            if images:
                found.append(images)
        return found

    def frames(self, images: Sequence[GoodImage]) -> Iterator[PlannedFrame]:
        """Decoded one by one."""
        return (plan for image in images if (plan := self.plan(image)) is not None)


def check_started(engine: Engine) -> None:
    """Raise :class:`DetectorError` for a detector that could not be prepared."""
    for slot in engine.slots:
        if slot.failure is not None:
            raise DetectorError(slot.failure.message)


def score_held_out(
    engine: Engine,
    reader: ImageReader,
    images: Sequence[GoodImage],
    query: Query,
    progress: FitProgress,
    *,
    what: str = "held-out",
) -> list[ScoredImage]:
    """Score images that nothing was learned from; those that a detector cannot are left out.

    Raises:
        UsageError: a detector needs a query that was not given.
        DetectorError: a detector was benched, or not one image could be scored.
    """
    scored: list[ScoredImage] = []
    failures: list[str] = []
    for first in range(0, len(images), engine.batch_size):
        progress(f"scoring {what} images", first, len(images))
        part = images[first : first + engine.batch_size]
        planned = [(image, plan) for image in part if (plan := reader.plan(image)) is not None]
        answers = engine.score([p for _, p in planned], [(query,)] * len(planned))
        for (image, _), results in zip(planned, answers, strict=True):
            failed = next((result for result in results if result.status != "ok"), None)
            if failed is None:
                scored.append(_scored(image, results))
                continue
            reason = failed.error or f"{failed.detector} gave no score"
            if failed.status == "not_applicable":
                raise UsageError(f"{reason}: give it, or leave the detector out")
            failures.append(reason)
            reader.left_out.append(LeftOut(id=image.id, reason=reason))
        for slot in engine.slots:
            if slot.guarded is not None and slot.guarded.benched is not None:
                raise DetectorError(slot.guarded.benched)
    progress(f"scoring {what} images", len(images), len(images))
    if not scored:
        reason = failures[0] if failures else reader.left_out[-1].reason
        raise DetectorError(f"no {what} image could be scored: {reason}")
    return scored


def photographs(detector: str, scored: Sequence[ScoredImage]) -> list[Photograph]:
    """What one detector said about the held-out images, one by one."""
    return [
        Photograph(
            id=one.image.id,
            sha256=one.image.sha256,
            group=one.image.group,
            score=one.scores[detector],
            map_maximum=one.maps.get(detector, (None, None))[0],
            map_median=one.maps.get(detector, (None, None))[1],
        )
        for one in scored
    ]


def choose_probes(scored: Sequence[ScoredImage], detector: str) -> tuple[Probe, ...]:
    """The held-out images with the lowest, the median and the highest score."""
    ranked = sorted(scored, key=lambda one: (one.scores[detector], one.image.sha256))
    chosen = dict.fromkeys((0, len(ranked) // 2, len(ranked) - 1))
    return tuple(
        Probe(file=one.image.path, image=one.image.id, scores=one.scores)
        for one in (ranked[place] for place in chosen)
    )


def out_of_world(scored: Sequence[ScoredImage], *, what: str = "held-out") -> list[str]:
    """Sentences on detectors that a domain gate silences: no promised rate counts that."""
    silenced: Counter[tuple[str, str]] = Counter()
    for one in scored:
        silenced.update(
            {
                (result.domain.bundle, result.detector)
                for result in one.results
                if result.task in NEEDS_THE_WORLD
                and result.domain is not None
                and result.domain.doubt(result.task) is not None
            }
        )
    together: dict[tuple[str, int], list[str]] = {}
    for (bundle, detector), images in silenced.items():
        together.setdefault((bundle, images), []).append(detector)
    return [
        f"on {images} of {counted(len(scored), f'{what} good image')} {_abstain(sorted(names))}, "
        f"because {'it is' if images == 1 else 'they are'} not surely inside of the world of "
        f"bundle {bundle}: that comes on top of every promised rate; take a pretrained bundle, or "
        f"leave {' and '.join(sorted(names))} out"
        for (bundle, images), names in together.items()
    ]


def _abstain(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} abstains, and with it the verdict"
    return f"{' and '.join(names)} abstain, and with them the verdict"


def _scored(image: GoodImage, results: Sequence[RawResult]) -> ScoredImage:
    """Of several queries to one detector, the worst answer counts: any of them flags."""
    scores: dict[str, float] = {}
    maps: dict[str, tuple[float, float]] = {}
    for result in results:
        name = result.detector
        assert result.value is not None
        scores[name] = max(result.value, scores.get(name, result.value))
        if result.heatmap is not None:
            grid = result.heatmap.grid
            maximum, median = float(grid.max()), float(np.median(grid))
            high, low = maps.get(name, (maximum, median))
            maps[name] = (max(maximum, high), min(median, low))
    bare = tuple(replace(result, heatmap=None) for result in results)
    return ScoredImage(image, scores, maps, bare)
