"""From a frame, its raw results and a recipe to the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from clipvet.detectors._detector import Query
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._results import DomainScore, RawResult, Spooled
from clipvet.detectors.errors import FrameError
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._regions import find_regions
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.recipes._verdicts import Combined, Judged, Threshold, judge
from clipvet.detectors.records._paths import without_folders
from clipvet.detectors.records._records import (
    CombinedFacts,
    DetectionRecord,
    DomainFacts,
    HeatmapFacts,
    ImageFacts,
    ImageStatus,
    Record,
    RegionFacts,
    RuntimeFacts,
    ThresholdFacts,
)

__all__ = [
    "KeepHeatmap",
    "KeepSpool",
    "detection_record",
    "failed_record",
    "image_facts",
    "judged_again",
    "raw_result",
    "scored_record",
]

KeepHeatmap = Callable[[Heatmap, str, tuple[float, float] | None, str], HeatmapFacts]
"""(heatmap, name, range, label) -> where it is kept; the name tells the results of one image
apart."""
KeepSpool = Callable[[Spooled, str], str]
"""(what finish reads, name) -> the file that holds it."""


def image_facts(name: str, frame: Frame) -> ImageFacts:
    """What the record says about a decoded image."""
    return ImageFacts(
        id=name,
        sha256=frame.sha256,
        width=frame.width,
        height=frame.height,
        orientation=frame.orientation,
        bit_depth=frame.bit_depth,
        policy=frame.policy,
        notes=frame.notes,
    )


def failed_record(image: ImageFacts, error: FrameError, timing_ms: Mapping[str, float]) -> Record:
    """The record of an image that cannot be judged."""
    status = cast("ImageStatus", error.status)
    judgement = judge((), None, status=status, reason=without_folders(error.reason))
    return Record(
        image=image,
        status=status,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        timing_ms=dict(timing_ms),
    )


def scored_record(
    image: ImageFacts,
    results: Sequence[RawResult],
    *,
    engine: Engine,
    recipe: Recipe | None,
    timing_ms: Mapping[str, float],
    keep: KeepHeatmap | None = None,
    keep_spool: KeepSpool | None = None,
) -> Record:
    """The record of an image that went through the detectors.

    Args:
        image: which.
        results: of the engine.
        engine: that computed them.
        recipe: gives thresholds and ranges; without one there is no verdict.
        timing_ms: per stage.
        keep: writes a heatmap somewhere; None writes none.
        keep_spool: likewise, what set-level detectors will read after the run.
    """
    judgement = judge(results, recipe)
    infos = engine.infos
    main = next(iter(infos.values()))
    counts: dict[str, int] = {}
    detections = []
    for result, judged in zip(results, judgement.detections, strict=True):
        number = counts[result.detector] = counts.get(result.detector, 0) + 1
        name = result.detector if number == 1 else f"{result.detector}.{number}"
        detection = detection_record(
            result, judged, name=name, engine=engine, recipe=recipe, keep=keep
        )
        if result.spooled is not None and keep_spool is not None:
            detection = detection.model_copy(update={"spool": keep_spool(result.spooled, name)})
        detections.append(detection)
    return Record(
        image=image,
        verdict=judgement.verdict,
        reasons=tuple(map(without_folders, judgement.reasons)),
        detections=tuple(detections),
        combined=_combined(judgement.combined),
        runtime=RuntimeFacts(
            bundle=main.id,
            bundle_sha256=main.sha256,
            provider=engine.provider,
            batch=engine.batch_size,
        ),
        timing_ms=dict(timing_ms),
    )


def judged_again(
    record: Record, detections: Sequence[DetectionRecord], recipe: Recipe | None
) -> Record:
    """A record whose detections have changed, with the verdicts that follow from them."""
    main = "" if record.runtime is None else record.runtime.bundle
    judgement = judge([raw_result(one, main) for one in detections], recipe)
    updated = (
        one.model_copy(update={"verdict": judged.verdict})
        for one, judged in zip(detections, judgement.detections, strict=True)
    )
    return record.model_copy(
        update={
            "verdict": judgement.verdict,
            "reasons": tuple(map(without_folders, judgement.reasons)),
            "detections": tuple(updated),
            "combined": _combined(judgement.combined),
        }
    )


def raw_result(one: DetectionRecord, main: str) -> RawResult:
    """What a detection was made of, but for its heatmap.

    Args:
        one: of a record.
        main: bundle of the record.
    """
    domain = None
    if one.domain is not None:
        found = one.domain
        inside = found.threshold if found.inside is None else found.inside
        domain = DomainScore(
            bundle=one.bundle or main,
            score=found.score,
            threshold=found.threshold,
            inside=inside,
        )
    return RawResult(
        detector=one.detector,
        version=one.version,
        task=one.task,
        query=None if one.query is None else Query(**cast("dict[str, Any]", one.query)),
        value=one.score,
        details=one.details,
        status=one.status,
        error=one.error,
        domain=domain,
    )


def detection_record(
    result: RawResult,
    judged: Judged,
    *,
    name: str,
    engine: Engine,
    recipe: Recipe | None,
    keep: KeepHeatmap | None,
) -> DetectionRecord:
    """One detector's part of a record.

    Args:
        result: of the engine.
        judged: what the recipe says about it.
        name: tells the results of one image apart.
        engine: that computed it.
        recipe: gives ranges and the threshold of the map.
        keep: writes a heatmap somewhere; None writes none.
    """
    heatmap = _heatmap_facts(result, judged, name=name, engine=engine, recipe=recipe, keep=keep)
    main, bundle = next(iter(engine.infos.values())), engine.bundle_of(result.detector)
    threshold = judged.threshold
    return DetectionRecord(
        detector=result.detector,
        version=result.version,
        task=result.task,
        query=_given(result.query),
        bundle=None if bundle == main.id else bundle,
        status=result.status,
        score=result.value,
        p_value=judged.p_value,
        threshold=None if threshold is None else _threshold(threshold),
        verdict=judged.verdict,
        heatmap=heatmap,
        regions=_regions(result, recipe),
        domain=_domain(result),
        details=dict(result.details),
        error=None if result.error is None else without_folders(result.error),
    )


def _combined(combined: Combined | None) -> CombinedFacts | None:
    if combined is None:
        return None
    return CombinedFacts(
        combination=combined.combination,
        value=combined.value,
        p_value=combined.p_value,
        threshold=_threshold(combined.threshold),
        terms=dict(combined.terms),
    )


def _threshold(threshold: Threshold) -> ThresholdFacts:
    # The confidence is a word of its origin.
    return ThresholdFacts(
        value=threshold.value, origin=threshold.origin, rate=threshold.rate, n=threshold.n
    )


def _heatmap_facts(
    result: RawResult,
    judged: Judged,
    *,
    name: str,
    engine: Engine,
    recipe: Recipe | None,
    keep: KeepHeatmap | None,
) -> HeatmapFacts | None:
    heatmap = result.heatmap
    if heatmap is None:
        return None
    span = None if recipe is None else recipe.heatmap_range(result.detector)
    span = span or engine.heatmap_range(result.detector)
    if keep is not None:
        words = [result.detector, f"score {result.value:.4g}", judged.verdict or "not judged"]
        return keep(heatmap, name, span, "  ".join(words))
    rows, columns = heatmap.grid.shape
    return HeatmapFacts(grid=(rows, columns), box=heatmap.box, range=span)


def _regions(result: RawResult, recipe: Recipe | None) -> tuple[RegionFacts, ...]:
    """Parts above the calibrated threshold of the map; without one there is nothing to cut at."""
    threshold = None if recipe is None else recipe.map_threshold(result.detector)
    if threshold is None or result.heatmap is None:
        return ()
    return tuple(RegionFacts(**asdict(r)) for r in find_regions(result.heatmap, threshold))


def _domain(result: RawResult) -> DomainFacts | None:
    found = result.domain
    if found is None:
        return None
    return DomainFacts(score=found.score, threshold=found.threshold, inside=found.inside)


def _given(query: Query | None) -> dict[str, str | tuple[str, ...]] | None:
    given = {key: value for key, value in asdict(query).items() if value} if query else {}
    return given or None
