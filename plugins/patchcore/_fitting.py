"""From a stream of good images to a memory, in one pass; goes on from an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Batch, BundleIdentity, DetectorError, unit_rows
from clipvet.plugins.patchcore._coreset import Coreset
from clipvet.plugins.patchcore._memory import ID, Bank, Memory
from clipvet.plugins.patchcore._options import PatchCoreOptions
from clipvet.plugins.patchcore._patches import Space
from clipvet.plugins.patchcore._search import Distance

__all__ = ["apart", "learn", "spread"]

_SAMPLE: Final = 2048
"""Patches whose distance to other images makes the unit of a space."""

_APART: Final = 1 / 8
"""With one image alone, its patches are compared with those at least this share of its side away:
nearer ones overlap."""

_ROUNDING: Final = 1e-6
"""Squared distances below this share of the squared lengths are rounding, not distances."""


def learn(
    batches: Iterable[Batch],
    spaces: Sequence[Space],
    options: PatchCoreOptions,
    *,
    bundle: BundleIdentity,
    earlier: Memory | None = None,
) -> Memory:
    """Remember the patches of good images.

    Args:
        batches: of views; a view 0 begins an image.
        spaces: of the options.
        options: of the detector.
        bundle: whose features they are.
        earlier: a memory that the new images are added to.

    Raises:
        DetectorError: there is no good image.
    """
    first = 0 if earlier is None else earlier.images
    coresets = {space.name: _coreset(space.name, options, earlier) for space in spaces}
    last: dict[str, NDArray[np.float32]] = {}  # patches of the last view, by space
    images = first
    for batch in batches:
        for index, view in enumerate(batch.views):
            images += view.index == 0
            for space in spaces:
                last[space.name] = space.patches(batch.features, index)
                coresets[space.name].offer(last[space.name], images - 1)
    if images == first:
        raise DetectorError(f"{ID}: there is no good image to learn from: give at least one")
    banks = {}
    for space in spaces:
        coreset = coresets[space.name]
        vectors, owners = coreset.choose()
        if images > 1:
            queries, theirs = coreset.sample(_SAMPLE)
            comparable = theirs[:, None] != owners
            unit = spread(queries, vectors, options.distance, comparable)
        else:
            queries = last[space.name]
            unit = spread(queries, queries, options.distance, apart(space.grid))
        if earlier is not None:
            unit = (first * earlier.banks[space.name].unit + (images - first) * unit) / images
        banks[space.name] = Bank(vectors=vectors, owners=owners, seen=coreset.seen, unit=unit)
    return Memory.of(banks, bundle=bundle, options=options, images=images)


def spread(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    distance: Distance,
    comparable: NDArray[np.bool_],
) -> float:
    """Standard deviation of the distances of some patches to the nearest one comparable to each.

    Args:
        queries: [n, D].
        vectors: [R, D].
        distance: of both.
        comparable: [n, R]; a query without any takes no part.

    Returns:
        a number above 0; 1 where all distances are equal.
    """
    if distance == "cosine":
        queries, vectors = (unit_rows(x).astype(np.float32) for x in (queries, vectors))
    centre = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    queries, vectors = queries - centre, vectors - centre
    squared = -2 * (queries @ vectors.T)
    squared += (queries**2).sum(axis=1)[:, None]
    squared += (vectors**2).sum(axis=1)
    rounding = _ROUNDING * (queries**2).sum(axis=1).mean()
    squared[~comparable] = np.inf
    nearest = squared.min(axis=1).astype(np.float64)
    nearest = np.where(nearest > rounding, nearest, 0.0)[np.isfinite(nearest)]
    distances = np.sqrt(nearest) if distance == "l2" else nearest / 2
    deviation = float(distances.std()) if len(distances) else 0.0
    return deviation if deviation > 0 else 1.0


def apart(grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells of a grid are far enough from each other: [n, n], n = rows x columns."""
    rows, columns = (np.arange(side) for side in grid)
    down = np.abs(rows[:, None] - rows) >= max(1, _APART * grid[0])
    across = np.abs(columns[:, None] - columns) >= max(1, _APART * grid[1])
    far: NDArray[np.bool_] = down[:, None, :, None] | across[None, :, None, :]
    return far.reshape(grid[0] * grid[1], -1)


def _coreset(name: str, options: PatchCoreOptions, earlier: Memory | None) -> Coreset:
    if earlier is None:
        return Coreset(options.coreset, options.max_patches)
    bank = earlier.banks[name]
    return Coreset(
        options.coreset,
        options.max_patches,
        seen=bank.seen,
        kept=bank.vectors,
        owners=bank.owners,
    )
