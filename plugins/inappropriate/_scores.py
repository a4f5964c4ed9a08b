"""The two-way cosine softmax, in its linear form (methods/safety.md 1.2)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows

__all__ = ["SCALE", "cosines", "direction", "log_odds", "probability"]

SCALE = 100.0
"""Factor on cosines: a constant of the method, whatever the bundle's own logit scale."""

Floats = NDArray[np.float64]


def direction(vectors: NDArray[Any], logits: Literal["cosine", "dot"] = "cosine") -> Floats:
    """What an image embedding is multiplied with to give the log-odds: float64 [E].

    Args:
        vectors: class vectors [2, E]; row 0 not inappropriate, row 1 inappropriate.
        logits: "cosine" brings the rows to unit length and multiplies by 100; "dot" takes them
            as they are, without a factor, so that the longer row weighs more.
    """
    if logits == "dot":
        wide = vectors.astype(np.float64)
        return np.asarray(wide[1] - wide[0])
    unit = unit_rows(vectors)
    return np.asarray(SCALE * (unit[1] - unit[0]))


def log_odds(embeddings: NDArray[Any], weights: Floats) -> Floats:
    """ln(p / (1 - p)) of inappropriate, float64 [V]; higher is worse.

    Args:
        embeddings: image embeddings [V, E], any length.
        weights: see :func:`direction`.
    """
    # Multiply and add, not a BLAS product, whose rounding may depend on threads and alignment.
    odds: Floats = (unit_rows(embeddings) * weights).sum(axis=1)
    return odds


def probability(odds: Floats) -> Floats:
    """The logistic function: the softmax over two logits, of which ``odds`` is the difference."""
    p: Floats = np.exp(-np.logaddexp(0.0, -odds))
    return p


def cosines(embedding: NDArray[Any], unit: Floats) -> Floats:
    """Cosines of one embedding [E] with unit rows [C, E]: float64 [C]."""
    values: Floats = (unit * unit_rows(embedding[None])).sum(axis=1)
    return values
