"""Windows of patches: which ones cover a patch, and the harmonic mean over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cover", "harmonic_mean"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cover:
    """The incidence of square windows (stride 1, wholly inside) and the patches of a grid.

    Attributes:
        windows: int64 [n, k * k], the patches of each window; patches and windows row by row.
        covering: int64 [N, k * k], the windows that cover each patch, padded with -1.
        count: int64 [N], how many windows cover each patch.
    """

    windows: NDArray[np.int64]
    covering: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, grid: tuple[int, int], side: int) -> Cover:
        """The windows of ``side`` x ``side`` patches on a grid (rows, columns)."""
        rows, columns = grid
        down, across = rows - side + 1, columns - side + 1
        if min(down, across) < 1:
            raise ValueError(f"a {side}x{side} window does not fit a {rows}x{columns} grid")
        steps = np.arange(side)
        offsets = (steps[:, None] * columns + steps).ravel()
        corners = (np.arange(down)[:, None] * columns + np.arange(across)).ravel()
        # A patch (r, c) lies in the windows that start at (r - i, c - j), 0 <= i, j < side.
        top = np.arange(rows)[:, None, None, None] - steps[:, None]
        left = np.arange(columns)[:, None, None] - steps
        inside = (top >= 0) & (top < down) & (left >= 0) & (left < across)
        covering = np.where(inside, top * across + left, -1).reshape(rows * columns, side**2)
        return cls(
            windows=corners[:, None] + offsets,
            covering=covering,
            count=(covering >= 0).sum(axis=1),
        )

    def spread(self, log_scores: Floats) -> Floats:
        """Harmonic mean, at each patch, of the scores of the windows that cover it.

        Args:
            log_scores: [n], logarithms of non-negative scores (-inf for a score of 0).

        Returns:
            [N], logarithms; -inf where a covering window scores 0.
        """
        return harmonic_mean(log_scores[self.covering], self.covering >= 0)


def harmonic_mean(log_scores: Floats, valid: NDArray[np.bool_] | None = None) -> Floats:
    """Harmonic mean over the last axis, from logarithms to its logarithm.

    1/s overflows long before its logarithm does: at temperature 0.01 the anomaly probability of
    a clearly normal window is below what float32 can hold (methods/anomaly.md 9.9).

    Args:
        log_scores: [..., m], at least one valid entry each; -inf stands for a score of 0.
        valid: [..., m], the entries that count; all when None.
    """
    inside = np.ones(log_scores.shape, dtype=bool) if valid is None else valid
    reciprocal = np.where(inside, -log_scores, -np.inf)
    largest = reciprocal.max(axis=-1)
    has_zero = np.isposinf(largest)
    shift = np.where(has_zero, 0.0, largest)
    finite = np.where(has_zero[..., None], -np.inf, reciprocal - shift[..., None])
    total = np.exp(finite).sum(axis=-1)
    # Where a score is 0 the mean is 0: its total above is empty and must not reach the logarithm.
    log_total = np.log(np.where(has_zero, 1.0, total)) + shift
    mean: Floats = np.where(has_zero, -np.inf, np.log(inside.sum(axis=-1)) - log_total)
    return mean
