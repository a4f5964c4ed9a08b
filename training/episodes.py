"""Episodes: a good reference and a query of one program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.render import Facts, render
from training.scenes import make_program

__all__ = ["Episode", "make_episode"]


@dataclass(frozen=True)
class Episode:
    """``images`` uint8 [2, S, S, 3] (reference, query), query ``mask`` uint8 [S, S] 0/1, facts."""

    images: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    facts: tuple[Facts, Facts]


def make_episode(seed: int, size: int) -> Episode:
    """The episode of one program seed; three in five queries are defective."""
    program = make_program(seed)
    bad = np.random.default_rng([seed, 5]).random() < 0.6
    reference = render(program, 0, size=(size, size))
    query = render(program, 1, defect="any" if bad else None, size=(size, size))
    return Episode(
        np.stack([reference.image, query.image]),
        query.mask.astype(np.uint8),
        (reference.facts, query.facts),
    )
