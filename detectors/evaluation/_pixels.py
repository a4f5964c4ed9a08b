"""Pixel metrics over any number of images in bounded memory.

What all of them need is one table: for each distinct score, how many clear pixels have it, how
many defect pixels, and what those are worth in their regions. The table is exact up to ``limit``
distinct scores; beyond, neighbours are put together so that no row holds much of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.evaluation._ranking import Ranking

__all__ = ["AUPRO_LIMIT", "PIXEL_LIMIT", "PixelCounter", "PixelTable", "merged"]

AUPRO_LIMIT: Final = 0.3
"""False positive rate up to which the per-region overlap is integrated."""

PIXEL_LIMIT: Final = 1 << 21
"""Distinct scores up to which pixel metrics are exact."""

_CLEAR, _DEFECT, _OVERLAP = range(3)


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelTable:
    """Pixels by score.

    Attributes:
        scores: float32 [m], rising, distinct.
        mass: float64 [3, m]: clear pixels, defect pixels, and the sum over the defect pixels of
            1 / area of their region.
        regions: connected parts of the masks.
        exact: no two different scores share a row.
    """

    scores: NDArray[np.float32]
    mass: NDArray[np.float64]
    regions: int
    exact: bool

    @property
    def pixels(self) -> int:
        """How many were counted."""
        return round(float(self.mass[:_OVERLAP].sum()))

    def ranking(self) -> Ranking:
        """Of the pixels; needs clear and defect ones."""
        cumulative = self.mass[:_OVERLAP, ::-1].cumsum(axis=1)
        return Ranking(
            scores=self.scores[::-1].astype(np.float64),
            caught=cumulative[_DEFECT],
            alarms=cumulative[_CLEAR],
        )

    def overlap_curve(
        self, limit: float = AUPRO_LIMIT
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """False positive rate and mean per-region overlap up to a false positive rate below 1.

        Straight between thresholds; the last point is interpolated at ``limit``. Every 8-connected
        region of every mask counts once, whatever its size (Bergmann et al., IJCV 2021, 6.1).
        """
        clear = self.mass[_CLEAR, ::-1].cumsum()
        # The first point beyond is interpolated to; the last of all is at 1.
        after = int(np.argmax(clear > limit * clear[-1])) + 1
        rate = np.append(0.0, clear[:after] / clear[-1])
        overlap = np.append(0.0, self.mass[_OVERLAP, ::-1][:after].cumsum() / self.regions)
        share = (limit - rate[after - 1]) / (rate[after] - rate[after - 1])
        last = overlap[after - 1] + share * (overlap[after] - overlap[after - 1])
        return np.append(rate[:after], limit), np.append(overlap[:after], last)


class PixelCounter:
    """Takes score maps with their masks, one by one.

    Args:
        limit: rows of the table, and pixels that wait to be put into it.
    """

    def __init__(self, limit: int = PIXEL_LIMIT) -> None:
        self._limit = limit
        self._table = _table(np.empty(0, np.float32), np.empty((3, 0)))
        self._regions = 0
        self._waiting: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]]
        self._waiting, self._count = [], 0

    def add(self, scores: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> None:
        """Count the pixels of one image.

        Args:
            scores: float32 [H, W]; higher is worse.
            mask: bool [H, W], True where the defect is; None if all is clear.
        """
        if mask is None or not mask.any():
            none = np.empty(0)
            self._waiting.append((scores.ravel(), none.astype(np.float32), none))
        else:
            from scipy import ndimage

            regions, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=np.int8))
            inside = regions[mask]
            worth = 1.0 / np.bincount(inside)[inside]
            self._regions += int(count)
            self._waiting.append((scores[~mask], scores[mask], worth))
        self._count += scores.size
        if self._count >= self._limit:
            self._put_in()

    def table(self) -> PixelTable:
        """Everything counted so far."""
        self._put_in()
        table = self._table
        return PixelTable(
            scores=table.scores, mass=table.mass, regions=self._regions, exact=table.exact
        )

    def _put_in(self) -> None:
        if not self._waiting:
            return
        clear, defect, worth = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting, self._count = [], 0
        values, counts = np.unique(clear, return_counts=True)
        clear_mass = np.zeros((3, len(values)))
        clear_mass[_CLEAR] = counts
        defect_mass = np.zeros((3, len(defect)))
        defect_mass[_DEFECT], defect_mass[_OVERLAP] = 1.0, worth
        new = [_table(values, clear_mass), _table(defect, defect_mass)]
        self._table = merged([self._table, *new], limit=self._limit)


def merged(tables: Sequence[PixelTable], *, limit: int = PIXEL_LIMIT) -> PixelTable:
    """One table of several, at most ``limit`` rows."""
    scores = np.concatenate([table.scores for table in tables])
    order = np.argsort(scores, kind="stable")
    scores = scores[order]
    mass = np.concatenate([table.mass for table in tables], axis=1)[:, order]
    first = np.append(True, scores[1:] != scores[:-1])
    scores, mass = _grouped(scores, mass, first)
    exact = all(table.exact for table in tables)
    if len(scores) > limit:
        scores, mass = _coarsened(scores, mass, limit // 2)
        exact = False
    regions = sum(table.regions for table in tables)
    return PixelTable(scores=scores, mass=mass, regions=regions, exact=exact)


def _coarsened(
    scores: NDArray[np.float32], mass: NDArray[np.float64], rows: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """At most ``rows`` groups of neighbours.

    Each has an equal share of all three masses, and of the logarithm of the rank among clear
    pixels: average precision is made by the few highest scores.
    """
    share = (mass / np.maximum(mass.sum(axis=1, keepdims=True), 1.0)).sum(axis=0)
    ranks = np.log1p(mass[_CLEAR, ::-1].cumsum())
    share += np.diff(ranks, prepend=0.0)[::-1] / max(ranks[-1], 1.0)
    share = np.minimum(share, share.sum() / rows)  # a row that fills a group leaves room to others
    before = np.cumsum(share) - share
    group = np.floor(before / share.sum() * rows).astype(np.int64)
    return _grouped(scores, mass, np.append(True, group[1:] != group[:-1]))


def _grouped(
    scores: NDArray[np.float32], mass: NDArray[np.float64], first: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Sums over runs of rows; a run has the score of its first, lowest one."""
    starts = np.flatnonzero(first[: len(scores)])
    if len(starts) == len(scores):
        return scores, mass
    return scores[starts], np.add.reduceat(mass, starts, axis=1)


def _table(scores: NDArray[np.float32], mass: NDArray[np.float64]) -> PixelTable:
    return PixelTable(scores=scores, mass=mass, regions=0, exact=True)
