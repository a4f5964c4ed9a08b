"""The linear head over features: class names as weights, and what follows from logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows

__all__ = ["Floats", "Head", "distinct", "log_sum_exp", "softmax", "text_head"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """Logits of C classes from F features: ``x @ weights.T + bias``.

    Attributes:
        classes: their C names.
        weights: float64 [C, F].
        bias: float64 [C].
    """

    classes: tuple[str, ...]
    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Logits [..., C] of features [..., F]."""
        logits: Floats = features @ self.weights.T + self.bias
        return logits

    def origin(self) -> Floats:
        """U = -pinv(W) b, float64 [F]: where the logits are nearest to zero (ViM, section 4.1)."""
        if not self.bias.any():
            return np.zeros(self.weights.shape[1])
        origin: Floats = -np.linalg.pinv(self.weights) @ self.bias
        return origin

    def same_as(self, other: Head | None) -> bool:
        """Whether the other one gives the same logits for the same classes."""
        return (
            other is not None
            and self.classes == other.classes
            and np.array_equal(self.weights, other.weights)
            and np.array_equal(self.bias, other.bias)
        )


def text_head(
    classes: Sequence[str],
    templates: Sequence[str],
    *,
    encode_text: Callable[[Sequence[str]], NDArray[np.float32]],
    scale: float,
) -> Head:
    """CLIP's zero-shot classifier as a head without bias, for unit features.

    Args:
        classes: distinct names.
        templates: prompts with ``{}`` for the name.
        encode_text: prompts -> float32 [n, F], not normalised.
        scale: factor on cosines (the bundle's logit scale).
    """
    prompts = [template.replace("{}", name) for name in classes for template in templates]
    units = unit_rows(encode_text(prompts)).reshape(len(classes), len(templates), -1)
    weights = scale * unit_rows(units.mean(axis=1))
    return Head(classes=tuple(classes), weights=weights, bias=np.zeros(len(classes)))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The names without surrounding blanks, each once, in their order."""
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def log_sum_exp(logits: Floats) -> Floats:
    """Over the last axis; no overflow at any size of logit."""
    top = logits.max(axis=-1)
    total: Floats = top + np.log(np.exp(logits - top[..., None]).sum(axis=-1))
    return total


def softmax(logits: Floats) -> Floats:
    """Over the last axis, 0..1."""
    probabilities: Floats = np.exp(logits - log_sum_exp(logits)[..., None])
    return probabilities
