"""Labelled images with what a run said about them, read from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import FrameError
from clipvet.detectors.evaluation._layout import TestImage, TestSet
from clipvet.detectors.frames._frames import read_frame
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._ids import path_of
from clipvet.detectors.records._records import DetectionRecord, Record

__all__ = [
    "MaskError",
    "ScoredImage",
    "failures_of",
    "read_mask",
    "read_scored",
    "scores_of",
]

_LOSSY = frozenset({".jpg", ".jpeg"})


class MaskError(Exception):
    """A mask that does not serve; the message names it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredImage:
    """One labelled image and what came out.

    Attributes:
        image: with its label.
        record: of the run.
        answers: detector -> its detection with a score, the highest if it was asked several times.
    """

    image: TestImage
    record: Record
    answers: Mapping[str, DetectionRecord] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the oriented image."""
        return self.record.image.width or 0, self.record.image.height or 0

    def score(self, detector: str) -> float | None:
        """Raw score; None if there is none."""
        answer = self.answers.get(detector)
        return None if answer is None else answer.score

    def heatmap(self, detector: str, out: Path) -> Heatmap | None:
        """As the run folder ``out`` keeps it."""
        answer = self.answers.get(detector)
        if answer is None or answer.heatmap is None or answer.heatmap.file is None:
            return None
        return Heatmap.load(out / answer.heatmap.file)


def read_scored(out: Path, tests: TestSet) -> list[ScoredImage]:
    """What a run folder says about the images of a test set, in the order of the set."""
    roots = _sources(out)
    place = {image.path: number for number, image in enumerate(tests.images)}
    found: dict[int, ScoredImage] = {}
    for record in read_records(out / "records.jsonl"):
        path = path_of(record.image.id, roots)
        if path is not None and path in place:  # a folder may hold records of other images, too
            number = place[path]
            image = tests.images[number]
            found[number] = ScoredImage(image=image, record=record, answers=_answers(record))
    return [found[number] for number in sorted(found)]


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where the defect is: bool [H, W], everything that is not black.

    In a JPEG, which blurs, everything brighter than half.

    Args:
        path: of the mask.
        size: width and height of its image.

    Raises:
        MaskError: it cannot be read, has another size, or is black all over.
    """
    try:
        pixels = read_frame(path).pixels
    except FrameError as error:
        raise MaskError(f"mask {error}") from error
    height, width = pixels.shape[:2]
    if (width, height) != size:
        raise MaskError(
            f"mask {path} is {width}x{height} and its image {size[0]}x{size[1]}: make them equal"
        )
    least = 127 if path.suffix.lower() in _LOSSY else 0
    mask: NDArray[np.bool_] = pixels.max(axis=-1) > least
    if not mask.any():
        raise MaskError(f"mask {path} marks nothing: draw the defect in white, or remove it")
    return mask


def scores_of(images: Sequence[ScoredImage], detector: str) -> NDArray[np.float64]:
    """Scores of those images that a detector scored: float64 [n]."""
    return np.array([s for one in images if (s := one.score(detector)) is not None])


def failures_of(images: Sequence[ScoredImage]) -> Iterator[tuple[str, str]]:
    """Id and reason of every image, or answer to it, that failed."""
    for one in images:
        record = one.record
        if record.status != "ok":
            yield record.image.id, "; ".join(record.reasons) or record.status
        for answer in record.detections:
            if answer.status == "error":
                yield record.image.id, answer.error or f"{answer.detector} failed"


def _sources(out: Path) -> dict[str, Path]:
    """Label -> folder, as in the ids of a run's records."""
    text = (out / "run.json").read_text(encoding="utf-8", errors="surrogateescape")
    return {label: Path(folder) for label, folder in parse_json(text)["sources"].items()}


def _answers(record: Record) -> dict[str, DetectionRecord]:
    best: dict[str, DetectionRecord] = {}
    for one in record.detections:
        if one.score is None:
            continue
        known = best.get(one.detector)
        if known is None or known.score is None or one.score > known.score:
            best[one.detector] = one
    return best
