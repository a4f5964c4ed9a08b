"""How one image is scored, in the form that every method of the family comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clipvet.plugins.vim._head import Floats, Head

__all__ = ["ENOUGH", "Rule", "head_logits"]

ENOUGH = 10
"""Good images for each feature, below which a second moment is not trusted (ood.md, 1.5)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """How one image is scored.

    Attributes:
        method: what runs, in words.
        score: float64 features [F] -> outlier score.
        facts: JSON-able, the same for every image.
        warnings: sentences about the fit.
    """

    method: str
    score: Callable[[Floats], float]
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def head_logits(head: Head, x: Floats) -> Floats:
    """Logits [C] of one row [F], without BLAS."""
    logits: Floats = (head.weights * x).sum(axis=1) + head.bias
    return logits
