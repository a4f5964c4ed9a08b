"""The detector: image embeddings in, probabilities of inappropriate out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, Batch, Context, Detector, Score, Task
from clipvet.plugins.inappropriate._concepts import ConceptNames
from clipvet.plugins.inappropriate._options import InappropriateOptions
from clipvet.plugins.inappropriate._rule import ID, Rule
from clipvet.plugins.inappropriate._scores import log_odds, probability

__all__ = ["Inappropriate"]

EMBEDDED = Path(__file__).parent / "mini"
"""Vectors tuned on the embedded bundle."""


class Inappropriate(Detector):
    """Q16; not a nudity, legality or child-safety filter; unflagged is not approval.

    Score: probability of "inappropriate", 0..1, of a two-way softmax over 100 x the cosines with
    two class vectors (arXiv 2202.06675; methods/safety.md 1.2). No heatmap.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "safety"
    needs: frozenset[str] = frozenset({"cls_embed"})
    Options: ClassVar[type[InappropriateOptions]] = InappropriateOptions
    options: InappropriateOptions

    def __init__(self, options: InappropriateOptions | None = None) -> None:
        super().__init__(options)
        self.artefact_: Artefact | None = None

    def load(self, folder: Path) -> None:
        """Read class vectors; raises ArtefactMissing or RecipeError if that cannot be done."""
        self.artefact_ = Artefact.load(folder, detector=ID)

    def prepare(self, context: Context) -> None:
        """Settle which rule judges: class vectors, or without them pairs of sentences.

        Raises:
            UsageError: own prompts mean nothing to the bundle.
            RecipeError: the vectors are unsound or belong to another bundle.
            ArtefactMissing: there are none, and the bundle knows no prompts either.
        """
        artefact = self.artefact_
        if artefact is None and not self.options.own_pairs:
            artefact = _embedded(context)
        if artefact is None:
            self.rule_ = Rule.of_prompts(self.options, context)
        else:
            self.rule_ = Rule.of_artefact(artefact, self.options, context)
        self.concepts_ = ConceptNames.of(self.options, context)

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view, from its own embedding alone."""
        return [[self._score(embedding)] for embedding in batch.features["cls_embed"]]

    def _score(self, embedding: NDArray[np.float32]) -> Score:
        odds = log_odds(embedding[None], self.rule_.weights)
        details: dict[str, Any] = {
            "method": self.rule_.method,
            "log_odds": float(odds[0]),
            **self.rule_.facts,
        }
        concept = self.concepts_.nearest(embedding)
        if concept is not None:
            details["nearest_concept"] = concept
        return Score(value=float(probability(odds)[0]), details=details)


def _embedded(context: Context) -> Artefact | None:
    """The vectors that come with the package, if they were tuned on this bundle."""
    artefact = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=context.bundle)
    if artefact is not None:
        context.warn(
            f"{ID} judges by vectors that come with bundle {context.bundle.id}: they know rendered "
            "pictograms of danger and nothing else; for photographs take a pretrained bundle"
        )
    return artefact
