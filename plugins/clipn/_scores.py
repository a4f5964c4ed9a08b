"""From cosines with class vectors to scores: CTW, ATD, MCM, GL-MCM, NegLabel.

Every score is higher for what is worse; each docstring says how it follows from the published
one, which is higher for what is known. All arithmetic is float64: with a thousand classes MCM
lives between 1.0e-3 and 1.3e-3, which half precision cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["agree_to_differ", "compete_to_win", "concept_match", "log_sum_exp", "negative_mass"]

Floats = NDArray[np.float64]


def compete_to_win(yes: Floats, no: Floats) -> float:
    """1 - CTW: the probability that the nearest class is negated, 0..1 (CLIPN, section 3.4).

    Args:
        yes: logits with the classes [C].
        no: logits with their negations [C].
    """
    return float(_sigmoid(no - yes)[np.argmax(yes)])


def agree_to_differ(yes: Floats, no: Floats) -> float:
    """1 - ATD: the mass of the unknown class, 0..1 (CLIPN, section 3.4).

    Each class keeps of its softmax mass what its negation leaves it; the rest is unknown.

    Args:
        yes: logits with the classes [C].
        no: logits with their negations [C].
    """
    known = np.exp(yes - log_sum_exp(yes))
    return float(known @ _sigmoid(no - yes))


def concept_match(cosines: Floats, temperature: float) -> float:
    """The largest softmax probability of plain cosines, 1/C..1 (MCM; higher is known).

    Args:
        cosines: [..., C]; beside classes, over patches: the largest of all (GL-MCM, local part).
        temperature: divides the cosines.
    """
    scaled = cosines / temperature
    return float(np.exp((scaled.max(axis=-1) - log_sum_exp(scaled)).max()))


def negative_mass(logits: Floats, groups: Sequence[Floats]) -> float:
    """1 - NegLabel: mean over groups of the softmax mass of the negatives, 0..1.

    Args:
        logits: with the classes [C].
        groups: logits with the negatives of each group, [m] each, m >= 1.
    """
    known = log_sum_exp(logits)
    return float(np.mean([_sigmoid(log_sum_exp(group) - known) for group in groups]))


def log_sum_exp(values: Floats) -> Floats:
    """Over the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    summed: Floats = np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]
    return summed


def _sigmoid(x: Floats) -> Floats:
    probability: Floats = np.exp(-np.logaddexp(0.0, -x))
    return probability
