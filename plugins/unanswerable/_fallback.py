"""The method without training: p-values of cosines (methods/safety.md 3.7); not CLIP-UP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, RecipeError, unit_rows
from clipvet.plugins.unanswerable._kinds import ID
from clipvet.plugins.unanswerable._vectors import EncodeText, Floats, Texts, similarities

__all__ = ["Fallback", "ImageBank", "STOCK_CHOICES", "STOCK_QUESTIONS", "p_value"]

# Choices of many sorts, and questions of many sorts; words that the embedded bundle knows, too.
STOCK_CHOICES: tuple[tuple[str, ...], ...] = (
    ("yes", "no"),
    ("red", "blue", "green", "yellow"),
    ("one", "two", "three", "four"),
    ("wood", "metal", "plastic", "glass"),
    ("circle", "square", "triangle", "star"),
    ("cat", "dog", "fish", "bug"),
    ("car", "bus", "train", "plane"),
    ("man", "woman", "child", "person"),
    ("sun", "moon", "cloud", "snowflake"),
    ("above", "below", "left", "right"),
    ("bread", "cookie", "pill", "bottle"),
    ("hospital", "restaurant", "house", "building"),
)
STOCK_QUESTIONS = (
    "what is this?",
    "is there a dog?",
    "what colour is the car?",
    "what is the bottle made of?",
    "how many stars are there?",
    "what does the sign show?",
    "what is the woman with?",
    "is the key broken?",
    "what is above the house?",
    "what time is on the clock?",
    "is this a good restaurant?",
    "what is left of the tree?",
)


@dataclass(frozen=True, eq=False)
class ImageBank:
    """Unlabelled images that have nothing to do with the questions.

    Attributes:
        mean: of their unit embeddings, float64 [E].
        covariance: of these, float64 [E, E].
        images: how many.
    """

    mean: Floats
    covariance: Floats
    images: int

    @classmethod
    def of(cls, artefact: Artefact, embed_dim: int) -> ImageBank:
        """Read what ``detect x unanswerable-bank`` wrote; raises RecipeError if it is unsound."""
        tensors = artefact.tensors
        shapes = {"mean": (embed_dim,), "covariance": (embed_dim, embed_dim)}
        try:
            for name, shape in shapes.items():
                if tensors[name].shape != shape or not np.isfinite(tensors[name]).all():
                    raise ValueError(f"{name} is not finite {list(shape)}")
            mean, covariance = (tensors[name].astype(np.float64) for name in shapes)
            return cls(mean, covariance, int(artefact.facts["bank"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(
                f"{ID}: the image bank is damaged ({error}): make it again (detect x {ID}-bank)"
            ) from error

    def standing(self, image: Floats, texts: Floats) -> Floats:
        """How the texts stand, as z of each [m, E]: its cosine against those with the bank."""
        usual = similarities(self.mean, texts)
        spread = np.sqrt(np.maximum(((texts @ self.covariance) * texts).sum(axis=1), 0))
        return _ratio(similarities(image, texts) - usual, spread)


class Fallback:
    """Three p-values and their maximum; nothing is learned.

    Args:
        encode_text: texts -> float32 [n, E], not normalised.
        bank: what cosines are compared with; without one they are compared with those of stock
            questions and answers on the same image.
    """

    def __init__(self, encode_text: EncodeText, bank: ImageBank | None = None) -> None:
        self._bank = bank
        self._encode_text = encode_text
        self._questions = unit_rows(encode_text(STOCK_QUESTIONS))
        answers = list(dict.fromkeys(c for choices in STOCK_CHOICES for c in choices))
        self._answers = dict(zip(answers, unit_rows(encode_text(answers)), strict=True))

    @property
    def method(self) -> str:
        """In words that claim no more than what runs."""
        against = "stock texts" if self._bank is None else f"a bank of {self._bank.images} images"
        return f"zero-training p-values of cosines (not CLIP-UP), against {against}"

    def stock_options(self, question: str) -> Floats:
        """Unit embeddings of a question with each stock answer; empty where a bank replaces it."""
        if self._bank is not None:
            return np.empty((0, len(self._questions[0])))
        return unit_rows(self._encode_text([f"{question} {answer}" for answer in self._answers]))

    def p_values(self, image: Floats, texts: Texts, stock: Floats) -> dict[str, float]:
        """Of each kind, 0..1, higher is worse; without choices only that of the question.

        Args:
            image: unit embedding [E].
            texts: of the question.
            stock: see :meth:`stock_options`.
        """
        found = {
            "incompatible_question": p_value(
                self._standing(image, texts.question[None], self._questions)
            )
        }
        if not len(texts.options):
            return found
        return {
            "absent_answer": p_value(self._standing(image, texts.options, stock)),
            "incompatible_answers": self.answers_p_value(texts),
            **found,
        }

    def answers_p_value(self, texts: Texts) -> float:
        """Whether the choices suit the question, against stock sets of choices; blind."""
        ours = similarities(texts.question, texts.answers).mean()
        usual = np.array(
            [
                similarities(texts.question, np.array([self._answers[c] for c in choices])).mean()
                for choices in STOCK_CHOICES
            ]
        )
        return p_value(_ratio(ours - usual.mean(keepdims=True), usual.std(keepdims=True)))

    def _standing(self, image: Floats, texts: Floats, stock: Floats) -> Floats:
        if self._bank is not None:
            return self._bank.standing(image, texts)
        usual = similarities(image, stock)
        return _ratio(similarities(image, texts) - usual.mean(), usual.std(keepdims=True))


def p_value(z: Floats | Sequence[float]) -> float:
    """Chance that a standard normal variable exceeds the largest z."""
    return 0.5 * math.erfc(float(np.max(z)) / math.sqrt(2))


def _ratio(difference: Floats, spread: NDArray[Any]) -> Floats:
    """Zero where there is no spread to compare with."""
    wide = np.broadcast_to(spread, difference.shape)
    zero = np.zeros_like(difference)
    # A spread of this size is rounding: the texts mean one and the same to the bundle.
    ratio: Floats = np.divide(difference, wide, out=zero, where=wide > 1e-9)
    return ratio
