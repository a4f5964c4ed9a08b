"""What the papers' protocols share: where files lie, a bundle's features, rates at a threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from clipvet.detectors import (
    Batch,
    Context,
    DetectorSpec,
    Host,
    Inspection,
    Inspector,
    Query,
    View,
    is_candidate,
    read_frame,
)
from clipvet.detectors.clip import Bundle, Runtime, find_bundle

__all__ = [
    "Setup",
    "Unmeasured",
    "batch_of",
    "context_of",
    "encoded",
    "f1_max",
    "false_positive_rate",
    "images",
    "inspected",
    "interpolated_rate",
    "rounded",
]

Features = Mapping[str, NDArray[np.float32]]

_AT_ONCE = 32


class Unmeasured(Exception):
    """A part, or a method of it, cannot be measured here; one sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What was asked for.

    Attributes:
        bundle: name or folder.
        data: folder of all sets.
        artefacts: detector -> folder of what it has learned.
        seeds: draws of references.
    """

    bundle: str
    data: Path
    artefacts: Mapping[str, Path] = field(default_factory=dict)
    seeds: int = 5

    def spec(self, detector: str, options: Mapping[str, Any] | None = None) -> DetectorSpec:
        """A detector with its artefact."""
        return DetectorSpec(
            id=detector, options=options or {}, artefact=self.artefacts.get(detector)
        )

    def opened(self) -> Bundle:
        """The bundle; raises BundleError if there is none of that name."""
        return find_bundle(self.bundle, Host.load().bundles)

    def folder(self, name: str, wanted: str) -> Path:
        """A folder below the data; ``wanted`` says what should lie there.

        Raises:
            Unmeasured: it is not there.
        """
        folder = self.data / name
        if not folder.is_dir():
            raise Unmeasured(f"{folder} is not there: wants {wanted}")
        return folder


def images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted; none if there is no folder."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and is_candidate(p))


def encoded(runtime: Runtime, files: Sequence[Path]) -> Iterator[Features]:
    """Features of a few files at a time, in order."""
    for first in range(0, len(files), _AT_ONCE):
        part = files[first : first + _AT_ONCE]
        yield runtime.encode_views([read_frame(file).pixels for file in part])


def batch_of(features: Features, query: Query) -> Batch:
    """Features as the engine hands them to a detector that reads no pixels."""
    blank = View(pixels=np.zeros((1, 1, 3), np.uint8), box=(0, 0, 1, 1))
    count = len(next(iter(features.values())))
    return Batch(features=features, views=[blank] * count, queries=[[query]] * count)


def context_of(runtime: Runtime) -> Context:
    """What a detector prepares with."""
    return Context(bundle=runtime.info, encode_text=runtime.encode_text)


def inspected(inspector: Inspector, path: Path, queries: Sequence[Query] = ()) -> Inspection:
    """An image of which every detector scored every query.

    Raises:
        Unmeasured: it could not be read, or there is no score.
    """
    found = inspector.inspect(path, queries=queries)
    if found.record.status != "ok":
        raise Unmeasured(f"{path} is {found.record.status}: {'; '.join(found.record.reasons)}")
    for detection in found.record.detections:
        if detection.score is None:
            raise Unmeasured(f"{path}: {detection.error or detection.status}")
    return found


def f1_max(label: NDArray[Any], scores: NDArray[Any]) -> float:
    """The largest F1 over all thresholds."""
    precision, recall, _ = precision_recall_curve(label, scores)
    total = precision + recall
    return float(np.max(2 * precision * recall / np.where(total > 0, total, 1)))


def false_positive_rate(inside: NDArray[Any], outside: NDArray[Any]) -> float:
    """Share of OOD images that pass where 95 % of the ID images pass; ID is positive.

    Scores are higher where worse. The threshold is the floor(.95 n)-th best ID score and passes
    itself (ViM's code).
    """
    threshold = np.sort(inside)[max(0, len(inside) * 95 // 100 - 1)]
    return float(np.mean(outside <= threshold))


def interpolated_rate(inside: NDArray[Any], outside: NDArray[Any]) -> float:
    """Likewise, between two thresholds linearly along the ROC curve (CLIPN's code)."""
    label = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    wrong, right, _ = roc_curve(label, -np.r_[inside, outside], drop_intermediate=False)
    return float(np.interp(0.95, right, wrong))


def rounded(value: SupportsFloat) -> float:
    """Four decimals are what any of these tables can bear."""
    return round(float(value), 4)
