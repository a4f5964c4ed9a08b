"""Baselines that never see the image: how much of a result is in the words alone (3.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.unanswerable._heads import Mlp
from clipvet.plugins.unanswerable._vectors import Floats, Texts, pooled

__all__ = ["BlindChoices", "BlindQuestion", "option_counts"]


@dataclass(frozen=True, eq=False)
class BlindQuestion:
    """Logistic regression on the question's embedding.

    Attributes:
        weight, bias: float64 [E] and [1]; the log-odds of unanswerable.
    """

    weight: Floats
    bias: Floats

    def probability(self, texts: Texts) -> float:
        """Of unanswerable."""
        odds = float((self.weight * texts.question).sum() + self.bias[0])
        return float(np.exp(-np.logaddexp(0.0, -odds)))


@dataclass(frozen=True, eq=False)
class BlindChoices:
    """The baselines for questions with choices.

    Attributes:
        question: sees the question alone.
        counts: share of unanswerable questions by number of choices, see :func:`option_counts`.
        network: the pooled head's twin, which was trained with one image for all.
        image: that image, unit float64 [E].
    """

    question: BlindQuestion
    counts: Floats
    network: Mlp
    image: Floats

    def probabilities(self, texts: Texts) -> dict[str, float]:
        """Of unanswerable: by the question, the number of choices, and question and choices."""
        count = len(texts.options)
        known = count < len(self.counts)
        guess = self.network.probabilities(pooled(self.image, texts))
        return {
            "question_only": self.question.probability(texts),
            "option_count": float(self.counts[count]) if known else 0.5,
            "question_and_choices": float(1 - guess[0]),
        }

    @classmethod
    def read(cls, tensors: Mapping[str, NDArray[Any]], prefix: str) -> BlindChoices:
        """As :meth:`tensors` wrote them; raises :class:`KeyError` if one is missing."""
        wide = {name: value.astype(np.float64) for name, value in tensors.items()}
        return cls(
            question=BlindQuestion(
                wide[f"{prefix}.question.weight"], wide[f"{prefix}.question.bias"]
            ),
            counts=wide[f"{prefix}.counts"],
            network=Mlp.read(tensors, f"{prefix}.network"),
            image=wide[f"{prefix}.image"],
        )

    def tensors(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """Float32, by name."""
        return {
            f"{prefix}.question.weight": self.question.weight.astype(np.float32),
            f"{prefix}.question.bias": self.question.bias.astype(np.float32),
            f"{prefix}.counts": self.counts.astype(np.float32),
            f"{prefix}.image": self.image.astype(np.float32),
            **self.network.tensors(f"{prefix}.network"),
        }


def option_counts(counts: NDArray[np.int64], unanswerable: NDArray[np.bool_]) -> Floats:
    """Probability of unanswerable for each number of choices, 0 to the largest; 0.5 if unseen.

    Both sides weigh alike, however many examples they have, with one pseudo-example each.
    """
    size = int(counts.max()) + 1
    sides = [np.bincount(counts[unanswerable == side], minlength=size) for side in (False, True)]
    shares = [(1 + side) / (1 + side.sum()) for side in sides]
    table: Floats = shares[1] / (shares[0] + shares[1])
    table[(sides[0] + sides[1]) == 0] = 0.5
    return table
