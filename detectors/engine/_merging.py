"""From the scores of the views to one result for the image: the worst view speaks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Query, Score
from clipvet.detectors.engine._containment import Failure
from clipvet.detectors.engine._results import RawResult, Spooled
from clipvet.detectors.engine._setup import Slot
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.frames._views import Box, Region, View, merge_heatmaps
from clipvet.detectors.heatmaps._heatmaps import Heatmap, apply_mask

__all__ = ["PlannedFrame", "merge_scores", "merge_views"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedFrame:
    """A frame and the views of it that will be encoded.

    Attributes:
        frame: the image.
        views: in order.
        squares: bundle -> the views as it reads them; what is absent is resized when encoded.
    """

    frame: Frame
    views: Sequence[View]
    squares: Mapping[str, Sequence[NDArray[np.uint8]]] = field(default_factory=dict)


def merge_views(
    slot: Slot,
    plan: PlannedFrame,
    asked: Sequence[Query],
    answers: Sequence[list[Score] | Failure],
    region: Region | None,
) -> Iterator[RawResult]:
    """One detector's results for one image, one per query that it declares.

    Args:
        slot: the detector.
        plan: the image and its views.
        asked: the queries of the image.
        answers: for each view its scores, one per query that the detector can answer.
        region: if it has a mask, heatmaps are levelled outside of it.
    """
    if not slot.queries:
        yield _result(slot, plan, None, answers, place=0, region=region)
        return
    place = 0
    for query in slot.distinct(asked):
        missing = slot.missing(query)
        if missing is None:
            yield _result(slot, plan, query, answers, place=place, region=region)
            place += 1
        else:
            absent = [Failure("not_applicable", missing)]
            yield _result(slot, plan, query, absent, place=0, region=region)


def _result(
    slot: Slot,
    plan: PlannedFrame,
    query: Query | None,
    answers: Sequence[list[Score] | Failure],
    *,
    place: int,
    region: Region | None,
) -> RawResult:
    facts: dict[str, Any] = {
        "detector": slot.id,
        "version": slot.version,
        "task": slot.task,
        "query": query,
    }
    scores = []
    for answer in answers:
        if isinstance(answer, Failure):
            return RawResult(**facts, status=answer.status, error=answer.message)
        scores.append(answer[place])
    boxes = [view.box for view in plan.views]
    if any(score.spool for score in scores):
        return _pending(slot, facts, scores, boxes)
    size = (plan.frame.width, plan.frame.height)
    return merge_scores(slot, facts, scores, boxes, size=size, region=region)


def _pending(
    slot: Slot, facts: Mapping[str, Any], scores: Sequence[Score], boxes: Sequence[Box]
) -> RawResult:
    """A result without a value; what finish reads goes with it."""
    details = {**scores[0].details, **_kept(slot, scores)}
    return RawResult(
        **facts,
        status="pending",
        error=f"{slot.id}: not scored: it scores the images of a run (detect run) after the last",
        details=details,
        spooled=Spooled(views=[score.spool for score in scores], boxes=boxes),
    )


def merge_scores(
    slot: Slot,
    facts: Mapping[str, Any],
    scores: Sequence[Score],
    boxes: Sequence[Box],
    *,
    size: tuple[int, int],
    region: Region | None,
) -> RawResult:
    """The result that the scores of all views of an image give.

    Args:
        slot: the detector.
        facts: detector, version, task and query of the result.
        scores: of the views.
        boxes: of the views.
        size: width and height of the image.
        region: if it has a mask, heatmaps are levelled outside of it.
    """
    worst = max(range(len(scores)), key=lambda index: scores[index].value)
    details = {**scores[worst].details, **_kept(slot, scores)}
    if len(scores) > 1:
        details["worst_view"] = list(boxes[worst])
    try:
        heatmap = _heatmap(scores, boxes, size, region)
    except ValueError as error:
        message = f"{slot.id}: its heatmaps cannot be laid together: {error}"
        return RawResult(**facts, status="error", error=message)
    return RawResult(**facts, value=scores[worst].value, heatmap=heatmap, details=details)


def _kept(slot: Slot, scores: Sequence[Score]) -> dict[str, Any]:
    """What is said about all images of a run concerns the whole of each, not its worst view."""
    if len(scores) == 1:
        return {}
    names = sorted(slot.keeps & set().union(*(score.details for score in scores)))
    return {name: [score.details.get(name) for score in scores] for name in names}


def _heatmap(
    scores: Sequence[Score], boxes: Sequence[Box], size: tuple[int, int], region: Region | None
) -> Heatmap | None:
    grids = [score.heatmap for score in scores if score.heatmap is not None]
    if len(grids) < len(scores):
        return None
    shapes = sorted({grid.shape for grid in grids})
    if len(shapes) > 1:
        raise ValueError(f"shapes {shapes} differ")
    grid, box = merge_heatmaps(grids, boxes)
    heatmap = Heatmap(grid=grid, box=box, image_size=size)
    return heatmap if region is None else apply_mask(heatmap, region)
