"""What reads correlation vectors, in numpy: a projection with a read-out, and a small network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.unanswerable._vectors import Floats

__all__ = ["Mlp", "Projection", "softmax"]


class _Tensors:
    """Tensors named by the fields of a dataclass."""

    @classmethod
    def read(cls, tensors: Mapping[str, NDArray[Any]], prefix: str) -> Self:
        """From ``prefix.field``; raises :class:`KeyError` if one is missing."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        found = {name: tensors[f"{prefix}.{name}"].astype(np.float64) for name in names}
        return cls(**found)

    def tensors(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """As :meth:`read` takes them."""
        return {
            f"{prefix}.{field.name}": getattr(self, field.name).astype(np.float32)
            for field in fields(self)  # type: ignore[arg-type]
        }


@dataclass(frozen=True, eq=False)
class Projection(_Tensors):
    """CLIP-UP's linear layer (methods/safety.md 3.3), and a linear read-out of its output.

    Attributes:
        weight, bias: W [D, S * E] and b [D]; ``W c + b`` is the soft token.
        readout, readout_bias: [K, D] and [K]: logits of the K kinds, answerable first.
    """

    weight: Floats
    bias: Floats
    readout: Floats
    readout_bias: Floats

    def token(self, vector: Floats) -> Floats:
        """The soft token [D] of a correlation vector [S * E]."""
        soft: Floats = self.weight @ vector + self.bias
        return soft

    def probabilities(self, vector: Floats) -> Floats:
        """Of each kind [K], from a correlation vector [S * E]."""
        weight, bias = self._linear
        return softmax((weight * vector).sum(axis=1) + bias)

    @cached_property
    def _linear(self) -> tuple[Floats, Floats]:
        # A linear layer after a linear layer is one.
        return self.readout @ self.weight, self.readout @ self.bias + self.readout_bias


@dataclass(frozen=True, eq=False)
class Mlp(_Tensors):
    """One hidden layer with GELU (3.6, head B).

    Attributes:
        hidden, hidden_bias: [H, P] and [H], on inputs as they are.
        readout, readout_bias: [K, H] and [K]: logits of the K kinds, answerable first.
    """

    hidden: Floats
    hidden_bias: Floats
    readout: Floats
    readout_bias: Floats

    def probabilities(self, vector: Floats) -> Floats:
        """Of each kind [K], from an input [P]."""
        # Multiply and add, not a BLAS product: see _vectors.similarities.
        inner = _gelu((self.hidden * vector).sum(axis=1) + self.hidden_bias)
        return softmax((self.readout * inner).sum(axis=1) + self.readout_bias)


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    power = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = power / power.sum(axis=-1, keepdims=True)
    return shares


def _gelu(x: Floats) -> Floats:
    """The approximation with tanh: what the network is trained with, too."""
    value: Floats = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return value
