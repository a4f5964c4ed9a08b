"""The heatmaps of one detector against the masks, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.evaluation._groups import Groups
from clipvet.detectors.evaluation._metrics import pixel_metrics
from clipvet.detectors.evaluation._pixels import PixelCounter, PixelTable, merged
from clipvet.detectors.evaluation._schema import PixelMetrics
from clipvet.detectors.evaluation._scored import ScoredImage, read_mask

__all__ = ["ALL", "MapResult", "evaluate_maps"]

ALL = "all"
"""The name of all defect types together."""

_CURVE_POINTS = 301


@dataclass(frozen=True, kw_only=True, eq=False)
class MapResult:
    """Of one defect type, or of all.

    Attributes:
        metrics: of the pixels.
        false_alarm_rate, overlap: float64 [301], the curve under which AUPRO is the area.
    """

    metrics: PixelMetrics
    false_alarm_rate: NDArray[np.float64]
    overlap: NDArray[np.float64]


@dataclass(frozen=True)
class _Counted:
    table: PixelTable
    images: int


def evaluate_maps(
    detector: str, groups: Groups, *, out: Path, limit: int, step: Callable[[], None]
) -> dict[str, MapResult]:
    """Type, or ``ALL`` -> result; empty without masks or without heatmaps.

    Memory holds one image and three tables of ``limit`` rows, however many images there are.

    Args:
        detector: id.
        groups: the images; pixels of good ones are clear.
        out: run folder that keeps the heatmaps.
        limit: see :class:`PixelCounter`.
        step: called after each image.
    """
    if not groups.masked:
        return {}
    good = _counted(groups.good, detector, out, limit, step)
    results: dict[str, MapResult] = {}
    total = good
    for name, images in groups.masked.items():
        found = _counted(images, detector, out, limit, step)
        if not found.images:
            continue
        total = _Counted(
            merged([total.table, found.table], limit=limit), total.images + found.images
        )
        of_type = merged([good.table, found.table], limit=limit)
        results[name] = _result(of_type, good.images, found.images)
    if len(results) == 1:
        return {ALL: next(iter(results.values())), **results}
    if not results:
        return {}
    return {ALL: _result(total.table, good.images, total.images - good.images), **results}


def _counted(
    images: Sequence[ScoredImage],
    detector: str,
    out: Path,
    limit: int,
    step: Callable[[], None],
) -> _Counted:
    counter, count = PixelCounter(limit), 0
    for one in images:
        heatmap = one.heatmap(detector, out)
        if heatmap is not None:
            mask = None if one.image.mask is None else read_mask(one.image.mask, one.size)
            counter.add(heatmap.resized(), mask)
            count += 1
        step()
    return _Counted(counter.table(), count)


def _result(table: PixelTable, good: int, defect: int) -> MapResult:
    rates, overlaps = table.overlap_curve()
    points = np.linspace(0.0, rates[-1], _CURVE_POINTS)
    return MapResult(
        metrics=pixel_metrics(table, good=good, defect=defect),
        false_alarm_rate=points,
        overlap=np.interp(points, rates, overlaps),
    )
