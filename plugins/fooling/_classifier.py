"""The trained detector: softmax regression on embedding, statistics and pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, RecipeError
from clipvet.plugins.fooling._options import ID

__all__ = ["GENUINE", "Classifier"]

GENUINE = "genuine"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A linear rule over F features, one row for each of K kinds of picture.

    Attributes:
        kinds: names; ``genuine`` is one of them.
        weights: float64 [K, F].
        bias: float64 [K].
        mean, spread: float64 [F], of the features in training.
    """

    kinds: tuple[str, ...]
    weights: Floats
    bias: Floats
    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, artefact: Artefact, *, width: int) -> Classifier:
        """Read what :meth:`tensors` wrote; raises :class:`RecipeError` if it is unsound."""
        try:
            kinds = tuple(map(str, artefact.facts["kinds"]))
            weights, bias, mean, spread = (
                artefact.tensors[f"classifier.{name}"].astype(np.float64)
                for name in ("weights", "bias", "mean", "spread")
            )
            shapes = [x.shape for x in (weights, bias, mean, spread)]
            if shapes != [(len(kinds), width), (len(kinds),), (width,), (width,)]:
                raise ValueError("the classifier does not fit the features")
            if GENUINE not in kinds or not all(
                np.isfinite(x).all() for x in (weights, bias, mean, spread)
            ):
                raise ValueError("the classifier is unsound")
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(f"{ID}: the artefact is damaged ({error}): train it again") from error
        return cls(kinds, weights, bias, mean, spread)

    def tensors(self) -> Mapping[str, Any]:
        """For an artefact."""
        arrays = {
            "weights": self.weights,
            "bias": self.bias,
            "mean": self.mean,
            "spread": self.spread,
        }
        return {f"classifier.{name}": x.astype(np.float32) for name, x in arrays.items()}

    def probabilities(self, features: Floats) -> dict[str, float]:
        """Of each kind, from one row of features [F]."""
        x = (features - self.mean) / self.spread
        logits = (self.weights * x).sum(axis=1) + self.bias
        p = np.exp(logits - np.logaddexp.reduce(logits))
        return {kind: float(value) for kind, value in zip(self.kinds, p, strict=True)}
