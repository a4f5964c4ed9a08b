"""Correlation vectors of an image and a question's texts (methods/safety.md 3.2 and 3.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows

__all__ = [
    "EncodeText",
    "Floats",
    "Texts",
    "correlation",
    "encode",
    "padded",
    "pooled",
    "pooled_width",
    "prompts",
    "similarities",
]

Floats: TypeAlias = NDArray[np.float64]
EncodeText: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Texts:
    """Unit text embeddings of one question, float64.

    Attributes:
        question: of the question alone [E].
        options: of the question, a space and a choice, in the order of the choices [m, E]; m is 0
            for a question without choices.
        answers: of the choices alone [m, E].
        empty: of the empty text [E], which fills unused places.
    """

    question: Floats
    options: Floats
    answers: Floats
    empty: Floats


def prompts(question: str, choices: Sequence[str]) -> list[str]:
    """The texts that :func:`encode` sends through the text tower, in its order."""
    return ["", question, *(f"{question} {choice}" for choice in choices), *choices]


def encode(question: str, choices: Sequence[str], encode_text: EncodeText) -> Texts:
    """The embeddings of a question; choices as they are, without letters (3.2)."""
    unit = unit_rows(encode_text(prompts(question, choices)))
    split = 2 + len(choices)
    return Texts(question=unit[1], options=unit[2:split], answers=unit[split:], empty=unit[0])


def correlation(image: Floats, texts: Floats) -> Floats:
    """Products of unit embeddings, element by element: [m, E]; each row sums to a cosine.

    Args:
        image: unit image embedding [E].
        texts: unit text embeddings [m, E].
    """
    products: Floats = texts * image
    return products


def similarities(image: Floats, texts: Floats) -> Floats:
    """Cosines of an image [E] with texts [m, E], all of unit length: [m]."""
    # Multiply and add, not a BLAS product, whose rounding may depend on threads and alignment.
    cosines: Floats = correlation(image, texts).sum(axis=1)
    return cosines


def padded(image: Floats, texts: Texts, slots: int) -> Floats:
    """CLIP-UP's vector c: correlation vectors in the order of the choices, [slots * E] (3.2).

    Unused places hold the correlation with the empty text. With one slot it is the vector of an
    open-ended question, which is the question alone.

    Raises:
        ValueError: there are more choices than slots.
    """
    if slots == 1:
        alone: Floats = correlation(image, texts.question[None])[0]
        return alone
    missing = slots - len(texts.options)
    if missing < 0:
        raise ValueError(f"{len(texts.options)} choices do not fit {slots} places")
    rows = np.concatenate([texts.options, np.tile(texts.empty, (missing, 1))])
    vector: Floats = correlation(image, rows).reshape(-1)
    return vector


def pooled(image: Floats, texts: Texts) -> Floats:
    """What is the same for every order of the choices, and open to any number m > 0 (3.6): phi.

    [3E + 11]: mean, maximum and standard deviation of the correlation vectors over the choices;
    the three largest cosines s of image and option (the smallest again where there are fewer), and
    the gap between the first two; mean, maximum and standard deviation of the cosines of image and
    answer, and of question and answer; the cosine of image and question.
    """
    vectors = correlation(image, texts.options)
    ranked = np.sort(vectors.sum(axis=1))[::-1]
    top = ranked[np.minimum(np.arange(3), len(ranked) - 1)]
    return np.concatenate(
        [
            *_moments(vectors),
            top,
            top[:1] - top[1:2],
            np.array(_moments(similarities(image, texts.answers))),
            np.array(_moments(similarities(texts.question, texts.answers))),
            similarities(image, texts.question[None]),
        ]
    )


def pooled_width(embed_dim: int) -> int:
    """Length of :func:`pooled`'s vector."""
    return 3 * embed_dim + 11


def _moments(values: Floats) -> tuple[Any, Any, Any]:
    return values.mean(axis=0), values.max(axis=0), values.std(axis=0)
