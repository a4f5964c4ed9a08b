"""What a detector is asked to run with, and what came of it for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Query, Task
from clipvet.detectors.frames._views import Box
from clipvet.detectors.heatmaps._heatmaps import Heatmap

__all__ = ["NEEDS_THE_WORLD", "DetectorSpec", "DomainScore", "RawResult", "ResultStatus", "Spooled"]

ResultStatus = Literal["ok", "not_applicable", "error", "pending"]
"""``pending``: only all images of the run together can tell."""

NEEDS_THE_WORLD: Final[frozenset[Task]] = frozenset({"ood", "safety", "vqa"})
"""Tasks whose answers come from the model's knowledge of the world, not from good images."""


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """One detector of a run.

    Attributes:
        id: as the plugin host knows it (``winclip``, or ``dist:id`` where two claim an id).
        options: values for the detector's ``Options``; what is left out has its default.
        bundle: name or folder of its own bundle; None takes the run's.
        artefact: folder that the detector's ``load`` reads; None if it has learned nothing.
    """

    id: str
    options: Mapping[str, Any] = field(default_factory=dict)
    bundle: str | None = None
    artefact: Path | None = None


@dataclass(frozen=True, kw_only=True)
class DomainScore:
    """What a bundle's domain gate says about an image: the mean over its views.

    Attributes:
        bundle: whose gate it is.
        score: higher is further outside of the world that the bundle was trained on.
        threshold: above it the image is outside.
        inside: up to it the image is inside for certain; at most ``threshold``.
    """

    bundle: str
    score: float
    threshold: float
    inside: float

    def doubt(self, task: Task) -> str | None:
        """Why what the bundle says about this image means nothing for a task; None if it may.

        Answers that rest on what the model knows of the world (safety, OOD, VQA) take an image
        that is inside for certain; others one that is not outside.
        """
        if self.score > self.threshold:
            return self._place("is outside of", self.threshold)
        if self.score > self.inside and task in NEEDS_THE_WORLD:
            return self._place("is not surely inside of", self.inside)
        return None

    def _place(self, where: str, limit: float) -> str:
        facts = f"domain gate {self.score:.3g}, limit {limit:.3g}"
        return f"the image {where} the world of bundle {self.bundle} ({facts})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Spooled:
    """What a set-level detector will read of one image after the run.

    Attributes:
        views: for each view its arrays, by name.
        boxes: of the views.
    """

    views: Sequence[Mapping[str, NDArray[np.generic]]]
    boxes: Sequence[Box]


@dataclass(frozen=True, kw_only=True)
class RawResult:
    """One detector's answer for one image and one query, before any verdict.

    Attributes:
        detector: id of the spec.
        version: of the algorithm.
        task: what kind of question it answers.
        query: what it was asked; None for a detector that asks for nothing beside the pixels.
        value: finite, higher is worse; the largest over the views. None unless status is "ok".
        heatmap: float32, laid together over the views, in pixels of the oriented image.
        details: JSON-able facts of the view with the largest value.
        status: "ok", "not_applicable" (its query is missing), "error", or "pending" (only all
            images of a run together can tell).
        error: one line that names the detector; None if status is "ok".
        domain: of the bundle whose features it read; None if that has no gate.
        spooled: of a pending result.
    """

    detector: str
    version: str
    task: Task
    query: Query | None = None
    value: float | None = None
    heatmap: Heatmap | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    status: ResultStatus = "ok"
    error: str | None = None
    domain: DomainScore | None = None
    spooled: Spooled | None = None
