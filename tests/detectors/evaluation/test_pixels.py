"""Pixel metrics against scikit-learn and a slow, obvious AUPRO."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from clipvet.detectors import PixelCounter, pixel_metrics
from clipvet.detectors.evaluation._pixels import PixelTable, merged

Maps = Sequence[NDArray[np.float32]]
Masks = Sequence[NDArray[np.bool_]]


def regions_of(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """8-connected parts by flood fill."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    parts = []
    while left:
        part, open_ends = [], [left.pop()]
        while open_ends:
            y, x = open_ends.pop()
            part.append((y, x))
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            open_ends += sorted(around)
        parts.append(part)
    return parts


def slow_aupro(maps: Maps, masks: Masks, limit: float = 0.3) -> float:
    """For each threshold: the share flagged of each region, and of all clear pixels."""
    clear = [float(s) for scores, mask in zip(maps, masks, strict=True) for s in scores[~mask]]
    regions = [
        [float(scores[place]) for place in part]
        for scores, mask in zip(maps, masks, strict=True)
        for part in regions_of(mask)
    ]
    points = [(0.0, 0.0)]
    for threshold in sorted({float(s) for scores in maps for s in scores.ravel()}, reverse=True):
        flagged = sum(score >= threshold for score in clear) / len(clear)
        overlaps = [sum(score >= threshold for score in part) / len(part) for part in regions]
        points.append((flagged, sum(overlaps) / len(overlaps)))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        right = min(x1, limit)
        top = y1 if x1 <= limit else y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        area += (right - x0) * (y0 + top) / 2
        if x1 >= limit:
            break
    return area / limit


def example(seed: int, *, steps: int | None) -> tuple[list[NDArray[np.float32]], Masks]:
    """Maps that know something of the masks, of several sizes; in few steps there are many ties."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for height, width in ((14, 18), (9, 25), (16, 16), (12, 12)):
        mask = rng.random((height, width)) > 0.93
        mask[2:6, 3:9] = True
        scores = rng.random((height, width)) + 0.6 * mask * rng.random()
        if steps is not None:
            scores = np.floor(scores * steps) / steps
        maps.append(scores.astype(np.float32))
        masks.append(mask)
    masks[-1] = np.zeros_like(masks[-1])  # a good image
    return maps, masks


def counted(maps: Maps, masks: Masks, limit: int = 1 << 20) -> PixelTable:
    counter = PixelCounter(limit)
    for scores, mask in zip(maps, masks, strict=True):
        counter.add(scores, mask if mask.any() else None)
    return counter.table()


@pytest.mark.parametrize("steps", [None, 8, 1])
@pytest.mark.parametrize("seed", range(3))
def test_exact_metrics_equal_the_references(seed: int, steps: int | None) -> None:
    maps, masks = example(seed, steps=steps)
    found = pixel_metrics(counted(maps, masks), good=1, defect=3)
    label = np.concatenate([mask.ravel() for mask in masks])
    score = np.concatenate([scores.ravel() for scores in maps])
    assert found.exact
    assert found.pixels == len(label)
    assert found.auroc == pytest.approx(roc_auc_score(label, score), abs=1e-9)
    assert found.average_precision == pytest.approx(average_precision_score(label, score), abs=1e-9)
    assert found.aupro == pytest.approx(slow_aupro(maps, masks), abs=1e-9)
    assert found.regions == sum(len(regions_of(mask)) for mask in masks)


def test_a_diagonal_connects() -> None:
    mask = np.eye(6, dtype=bool)
    mask[0, 5] = True
    assert counted([np.zeros((6, 6), np.float32)], [mask]).regions == 2


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    mask = np.zeros((40, 40), bool)
    mask[2:4, 2:4] = True
    mask[20:38, 20:38] = True
    small, large = np.zeros((2, 40, 40), np.float32)
    small[2:4, 2:4] = large[20:38, 20:38] = 1.0
    of_small, of_large = (
        pixel_metrics(counted([scores], [mask]), good=0, defect=1) for scores in (small, large)
    )
    assert of_small.aupro == pytest.approx(of_large.aupro)
    assert of_small.auroc < of_large.auroc


def test_the_order_and_the_parts_do_not_matter() -> None:
    maps, masks = example(5, steps=None)
    whole = counted(maps, masks)
    parts = merged([counted(maps[2:], masks[2:]), counted(maps[:2], masks[:2])])
    assert np.array_equal(whole.scores, parts.scores)
    assert np.allclose(whole.mass, parts.mass, rtol=1e-12)
    assert whole.regions == parts.regions


def test_many_pixels_take_bounded_memory_at_a_small_error() -> None:
    rng = np.random.default_rng(0)
    limit = 4096
    counter = PixelCounter(limit)
    maps, masks = [], []
    for _ in range(30):
        mask = np.zeros((100, 100), bool)
        y, x = rng.integers(0, 80, 2)
        mask[y : y + 15, x : x + 15] = True
        scores = (rng.standard_normal((100, 100)) + 1.5 * mask).astype(np.float32)
        maps.append(scores)
        masks.append(mask)
        counter.add(scores, mask)
        assert len(counter._table.scores) <= limit
        assert counter._count < limit
    found = pixel_metrics(counter.table(), good=0, defect=30)
    exact = pixel_metrics(counted(maps, masks), good=0, defect=30)
    assert exact.exact
    assert not found.exact
    assert (found.pixels, found.regions) == (exact.pixels, exact.regions) == (300_000, 30)
    # 300,000 scores in 4096 rows; the default limit is 512 times as high.
    assert found.auroc == pytest.approx(exact.auroc, abs=1e-4)
    assert found.average_precision == pytest.approx(exact.average_precision, abs=1e-3)
    assert found.aupro == pytest.approx(exact.aupro, abs=5e-4)
