"""One detector on a test set: image metrics, pixel metrics, decisions, curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipvet.detectors.evaluation._config import EvalConfig
from clipvet.detectors.evaluation._groups import Groups
from clipvet.detectors.evaluation._maps import ALL, MapResult, evaluate_maps
from clipvet.detectors.evaluation._metrics import decisions, image_metrics, ranking_of
from clipvet.detectors.evaluation._ranking import Ranking
from clipvet.detectors.evaluation._schema import (
    Decisions,
    DetectorEvaluation,
    ImageMetrics,
    TypeEvaluation,
)
from clipvet.detectors.evaluation._scored import ScoredImage, scores_of
from clipvet.detectors.records._records import DetectionRecord

__all__ = ["Curves", "evaluate_detector"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """What is drawn of one detector.

    Attributes:
        detector: id.
        images: ``ALL`` and each type -> ranking of the images.
        maps: ``ALL`` and each type -> pixels; empty without masks.
    """

    detector: str
    images: Mapping[str, Ranking]
    maps: Mapping[str, MapResult] = field(default_factory=dict)


def evaluate_detector(
    detector: str,
    groups: Groups,
    config: EvalConfig,
    *,
    out: Path,
    gate: bool = False,
    step: Callable[[], None] = lambda: None,
) -> tuple[DetectorEvaluation, Curves]:
    """Evaluate one detector.

    Args:
        detector: id.
        groups: the images.
        config: says how many draws, and how exact pixel metrics are.
        out: the run folder with its heatmaps.
        gate: whether the recipe uses it as a gate.
        step: called for every image whose pixels are looked at.
    """
    maps = evaluate_maps(detector, groups, out=out, limit=config.pixel_limit, step=step)
    answers = [a for one in groups.images for a in one.record.detections if a.detector == detector]
    threshold = next((a.threshold.value for a in answers if a.threshold is not None), None)
    judged = threshold is not None

    def of_type(name: str, types: Sequence[str]) -> TypeEvaluation:
        images = [one for each in types for one in groups.types[each]]
        return TypeEvaluation(
            image=_image_metrics(detector, groups, types, config),
            pixel=maps[name].metrics if name in maps else None,
            decisions=_decisions(images, detector) if judged else None,
        )

    names = list(groups.types)
    kept = groups.not_abstained()
    abstained = len(kept.images) < len(groups.images)
    evaluation = DetectorEvaluation(
        **_facts(answers),
        detector=detector,
        gate=gate,
        threshold=threshold,
        unscored=sum(one.score(detector) is None for one in groups.images),
        good=_decisions(groups.good, detector) if judged else None,
        all=of_type(ALL, names),
        types={name: of_type(name, [name]) for name in names},
        not_abstained=_image_metrics(detector, kept, list(kept.types), config)
        if abstained
        else None,
    )
    return evaluation, Curves(detector=detector, images=_rankings(detector, groups), maps=maps)


def _image_metrics(
    detector: str, groups: Groups, types: Sequence[str], config: EvalConfig
) -> ImageMetrics | None:
    good = scores_of(groups.good, detector)
    defects = [scores_of(groups.types[name], detector) for name in types]
    return image_metrics(good, defects, draws=config.draws, seed=config.seed)


def _rankings(detector: str, groups: Groups) -> dict[str, Ranking]:
    good = scores_of(groups.good, detector)
    by_type = {name: scores_of(images, detector) for name, images in groups.types.items()}
    defects = {name: scores for name, scores in by_type.items() if len(scores)}
    if not len(good) or not defects:
        return {}
    together = {ALL: ranking_of(good, list(defects.values()))}
    return together | {name: ranking_of(good, [scores]) for name, scores in defects.items()}


def _decisions(images: Sequence[ScoredImage], detector: str) -> Decisions:
    """Of one detector alone; an image that it did not judge counts as an error."""
    verdicts = {
        id(one): answer.verdict
        for one in images
        for answer in one.record.detections
        if answer.detector == detector
    }
    return decisions([verdicts.get(id(one)) or "error" for one in images])


def _facts(answers: Sequence[DetectionRecord]) -> dict[str, Any]:
    """What is the same in every record."""
    methods = dict.fromkeys(str(a.details["method"]) for a in answers if "method" in a.details)
    return {
        "version": answers[0].version,
        "task": answers[0].task,
        "method": ", ".join(methods) or None,
    }
