"""What was learned from questions with known answerability, as an artefact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleIdentity, RecipeError
from clipvet.plugins.unanswerable._blind import BlindChoices, BlindQuestion
from clipvet.plugins.unanswerable._heads import Mlp, Projection
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, ID, KINDS, SLOTS
from clipvet.plugins.unanswerable._vectors import pooled_width

__all__ = ["Learned", "Open"]


@dataclass(frozen=True, eq=False)
class Open:
    """For questions without choices: whether they fit the image.

    Attributes:
        projection: of the correlation vector of image and question; two kinds.
        question: the baseline that does not see the image.
    """

    projection: Projection
    question: BlindQuestion


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """The heads and their blind baselines.

    Attributes:
        bundle: whose embeddings they read.
        kinds: what the heads tell apart, "answerable" first.
        pooled: reads :func:`pooled`.
        projection: reads :func:`padded` with four places.
        blind: baselines for questions with choices.
        open: for questions without; None if the training data had none that did not fit.
        facts: counts, settings and measurements; JSON-able.
    """

    bundle: BundleIdentity
    kinds: tuple[str, ...]
    pooled: Mlp
    projection: Projection
    blind: BlindChoices
    open: Open | None
    facts: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """In words, for ``details.method``."""
        return f"trained on {self.facts['questions']} questions about {self.facts['images']} images"

    def save(self, folder: Path) -> None:
        """Write the artefact into an existing folder."""
        tensors = {
            **self.pooled.tensors("pooled"),
            **self.projection.tensors("projection"),
            **self.blind.tensors("blind"),
        }
        if self.open is not None:
            tensors |= self.open.projection.tensors("open")
            tensors["open.question.weight"] = self.open.question.weight.astype(np.float32)
            tensors["open.question.bias"] = self.open.question.bias.astype(np.float32)
        facts = {**self.facts, "kinds": list(self.kinds)}
        Artefact(detector=ID, bundle=self.bundle, facts=facts, tensors=tensors).save(folder)

    @classmethod
    def of(cls, artefact: Artefact, embed_dim: int) -> Learned:
        """Read what :meth:`save` wrote.

        Raises:
            RecipeError: something is missing, or does not fit the bundle's embeddings.
        """
        try:
            _check_finite(artefact.tensors)
            learned = cls._of(artefact)
            learned._check_shapes(embed_dim)
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(
                f"{ID}: the artefact is damaged ({error}): train it again (detect train {ID})"
            ) from error
        return learned

    @classmethod
    def _of(cls, artefact: Artefact) -> Learned:
        tensors, facts = artefact.tensors, dict(artefact.facts)
        opened = None
        if any(name.startswith("open.") for name in tensors):
            question = [
                tensors[f"open.question.{name}"].astype(np.float64) for name in ("weight", "bias")
            ]
            opened = Open(Projection.read(tensors, "open"), BlindQuestion(*question))
        return cls(
            bundle=artefact.bundle,
            kinds=tuple(facts.pop("kinds")),
            pooled=Mlp.read(tensors, "pooled"),
            projection=Projection.read(tensors, "projection"),
            blind=BlindChoices.read(tensors, "blind"),
            open=opened,
            facts={**facts, "questions": int(facts["questions"]), "images": int(facts["images"])},
        )

    def _check_shapes(self, width: int) -> None:
        if self.kinds[:1] != (ANSWERABLE,) or not set(self.kinds[1:]) <= set(KINDS):
            raise ValueError(f"it tells apart {', '.join(self.kinds)}")
        kinds = len(self.kinds)
        _check_mlp("pooled", self.pooled, width, kinds)
        _check_mlp("blind.network", self.blind.network, width, kinds)
        _check_projection("projection", self.projection, SLOTS * width, kinds)
        questions = [self.blind.question]
        if self.open is not None:
            _check_projection("open", self.open.projection, width, 2)
            questions.append(self.open.question)
        _check_shape("blind.image", self.blind.image, (width,))
        _check_shape("blind.counts", self.blind.counts, (len(self.blind.counts),))
        for question in questions:
            _check_shape("question.weight", question.weight, (width,))
            _check_shape("question.bias", question.bias, (1,))


def _check_finite(tensors: Mapping[str, NDArray[Any]]) -> None:
    for name, values in tensors.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{name} is not finite float32")


def _check_mlp(name: str, head: Mlp, width: int, kinds: int) -> None:
    hidden = len(head.hidden)
    _check_shape(f"{name}.hidden", head.hidden, (hidden, pooled_width(width)))
    _check_shape(f"{name}.hidden_bias", head.hidden_bias, (hidden,))
    _check_shape(f"{name}.readout", head.readout, (kinds, hidden))
    _check_shape(f"{name}.readout_bias", head.readout_bias, (kinds,))


def _check_projection(name: str, head: Projection, width: int, kinds: int) -> None:
    token = len(head.weight)
    _check_shape(f"{name}.weight", head.weight, (token, width))
    _check_shape(f"{name}.bias", head.bias, (token,))
    _check_shape(f"{name}.readout", head.readout, (kinds, token))
    _check_shape(f"{name}.readout_bias", head.readout_bias, (kinds,))


def _check_shape(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} is {list(values.shape)}, not {list(shape)}")
