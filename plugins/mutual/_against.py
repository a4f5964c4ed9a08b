"""Views that are compared with a bank, each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.mutual._bank import Bank
from clipvet.plugins.mutual._cells import Grid, aggregated
from clipvet.plugins.mutual._folder import merged_map
from clipvet.plugins.mutual._options import MutualOptions
from clipvet.plugins.mutual._scores import Floats, Nearest, closest_count, mean_of_closest

__all__ = ["Vectors16", "score_against"]

Vectors16: TypeAlias = Mapping[str, NDArray[np.float16]]
"""Of one view: feature -> centred vectors [N, W]."""


def score_against(
    bank: Bank,
    views: Sequence[Vectors16],
    others: Sequence[NDArray[np.bool_]],
    grids: Mapping[str, Grid],
    options: MutualOptions,
) -> list[Floats]:
    """The map of each view, on the finest grid: float64 [N], 0..2.

    Args:
        bank: of unlabelled images.
        views: at least one.
        others: for each of them, True for the views of the bank that it is compared with.
        grids: of each feature.
        options: neighbourhoods, share and radius.
    """
    maps: list[dict[str, Floats]] = [{} for _ in views]
    for name, grid in grids.items():
        nearest = Nearest(grid, options.radius)
        total = np.zeros((len(views), grid[0] * grid[1]))
        for side in options.neighbourhoods:
            own = [aggregated(view[name], grid, side) for view in views]
            # Each vector of the bank is aggregated once for all views of the batch; every
            # product has the size of two images, so batch mates change no bit.
            distances = np.empty((len(own), bank.views, len(own[0])), np.float32)
            for number in range(bank.views):
                known = aggregated(bank.vectors(number, name), grid, side)
                for place, view in enumerate(own):
                    distances[place, number] = nearest.one_way(view, known)
            for place, chosen in enumerate(others):
                count = closest_count(int(chosen.sum()), options.share)
                total[place] += mean_of_closest(distances[place, chosen], count)
        for place, sums in enumerate(total):
            maps[place][name] = sums / len(options.neighbourhoods)
    return [merged_map(of_view, grids) for of_view in maps]
