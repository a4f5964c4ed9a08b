"""A frame that is being scored: what it is asked, and what its views have answered so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Query, Score
from clipvet.detectors.engine._containment import Failure
from clipvet.detectors.engine._merging import PlannedFrame
from clipvet.detectors.frames._views import View

__all__ = ["AskedFrame", "AskedView", "Features"]

Features: TypeAlias = Mapping[str, NDArray[np.float32]]
"""Of a batch of views, by name."""


class AskedFrame:
    """One frame on its way through the engine; its views may be encoded with those of others.

    Args:
        plan: the frame and its views.
        queries: what it is asked; none is one that asks nothing.

    Attributes:
        answers: place of a detector -> for each view its scores, or why there are none.
        gated: bundle -> score of its domain gate for each view.
        answered: views that every detector has answered.
        seconds: stage -> its share of what the batches took.
    """

    def __init__(self, plan: PlannedFrame, queries: Sequence[Query]) -> None:
        self.plan = plan
        self.queries = tuple(queries) or (Query(),)
        self.answers: defaultdict[int, list[list[Score] | Failure]] = defaultdict(list)
        self.gated: defaultdict[str, list[float]] = defaultdict(list)
        self.answered = 0
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def done(self) -> bool:
        """True if no view is without its answers."""
        return self.answered == len(self.plan.views)

    def views(self) -> Iterator[AskedView]:
        """In order."""
        return (AskedView(self, number) for number in range(len(self.plan.views)))


@dataclass(frozen=True, eq=False)
class AskedView:
    """One view of a frame."""

    frame: AskedFrame
    number: int

    @property
    def view(self) -> View:
        """What a detector sees."""
        return self.frame.plan.views[self.number]

    def pixels(self, group: str) -> NDArray[np.uint8]:
        """What is encoded for a bundle: the resized view if there is one, else the view."""
        squares = self.frame.plan.squares.get(group)
        return self.view.pixels if squares is None else squares[self.number]
