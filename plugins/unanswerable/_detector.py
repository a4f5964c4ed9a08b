"""The detector: image embeddings and questions in, probabilities of unanswerable out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from clipvet.detectors import (
    Artefact,
    Batch,
    Context,
    Detector,
    DetectorError,
    Query,
    QueryKind,
    QueryMissing,
    Score,
    Task,
    UsageError,
    unit_rows,
)
from clipvet.plugins.unanswerable._fallback import Fallback, ImageBank
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, ID, KINDS, SLOTS
from clipvet.plugins.unanswerable._learned import Learned
from clipvet.plugins.unanswerable._options import UnanswerableOptions
from clipvet.plugins.unanswerable._vectors import (
    Floats,
    Texts,
    encode,
    padded,
    pooled,
    similarities,
)

__all__ = ["EMBEDDED", "Unanswerable"]

EMBEDDED = Path(__file__).parent / "mini"
"""Heads trained on the embedded bundle."""

# Questions whose text embeddings are kept in memory; the runtime keeps all of them on disk.
_KEPT, _KEPT_STOCK = 256, 32


class Unanswerable(Detector):
    """CLIP-UP's correlation vectors, read without a VLM (arXiv 2501.01371; methods/safety.md 3).

    Score: probability that the question cannot be answered from the image, 0..1, if that were true
    of every second question; without training, the largest of three p-values. No heatmap.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "vqa"
    needs: frozenset[str] = frozenset({"cls_embed"})
    queries: ClassVar[frozenset[QueryKind]] = frozenset({"question"})
    Options: ClassVar[type[UnanswerableOptions]] = UnanswerableOptions
    options: UnanswerableOptions

    def __init__(self, options: UnanswerableOptions | None = None) -> None:
        super().__init__(options)
        self.artefact_: Artefact | None = None

    def load(self, folder: Path) -> None:
        """Read heads or an image bank; raises ArtefactMissing or RecipeError if it cannot."""
        self.artefact_ = Artefact.load(folder, detector=ID)

    def prepare(self, context: Context) -> None:
        """Settle which method answers.

        Raises:
            UsageError: the head that was asked for is not in the artefact that was given.
            RecipeError: the artefact belongs to another bundle, or is unsound.
        """
        self.learned_: Learned | None = None
        self.fallback_: Fallback | None = None
        artefact, width = self.artefact_, context.bundle.embed_dim
        untrained = self.options.head == "zero-training"
        if artefact is not None:
            artefact.check(context.bundle)
        elif not untrained:
            artefact = _embedded(context)
        if artefact is None or "bank" in artefact.facts:
            if artefact is not None and not untrained:
                raise UsageError(
                    f"{ID}: the artefact is an image bank, which trains nothing: set "
                    f"{ID}.head=zero-training, or give what detect train {ID} made"
                )
            bank = None if artefact is None else ImageBank.of(artefact, width)
            self.fallback_ = Fallback(context.encode_text, bank)
            if not untrained:
                context.warn(
                    f"{ID} has learned nothing for bundle {context.bundle.id}: it compares "
                    "cosines, which is not CLIP-UP, and near chance where a question is about "
                    f"numbers, places or text; train it (detect train {ID} --help)"
                )
        elif untrained:
            raise UsageError(
                f"{ID}: head=zero-training takes no trained artefact: leave one of them out"
            )
        else:
            self.learned_ = Learned.of(artefact, width)
        self.texts_: Callable[[str, tuple[str, ...]], Texts] = lru_cache(_KEPT)(
            lambda question, choices: encode(question, choices, context.encode_text)
        )
        if self.fallback_ is not None:
            self.stock_: Callable[[str], Floats] = lru_cache(_KEPT_STOCK)(
                self.fallback_.stock_options
            )

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each question about each view, from that view's embedding alone."""
        images = unit_rows(batch.features["cls_embed"])
        return [
            [self._score(image, query) for query in queries]
            for image, queries in zip(images, batch.queries, strict=True)
        ]

    def _score(self, image: Floats, query: Query) -> Score:
        if query.question is None:
            raise QueryMissing("there is no question")
        texts = self.texts_(query.question, query.choices)
        if self.fallback_ is not None:
            value, details = self._untrained(self.fallback_, image, query.question, texts)
        elif query.choices:
            value, details = self._with_choices(image, texts)
        else:
            value, details = self._without_choices(image, texts)
        if query.choices:
            cosines = similarities(image, texts.options)
            best = int(cosines.argmax())
            details["best_choice"] = query.choices[best]
            if len(cosines) > 1:
                details["margin"] = float(cosines[best] - np.partition(cosines, -2)[-2])
        return Score(value=value, details=details)

    def _with_choices(self, image: Floats, texts: Texts) -> tuple[float, dict[str, Any]]:
        learned = self.learned_
        assert learned is not None
        if self.options.head == "projection":
            if len(texts.options) > SLOTS:
                raise DetectorError(
                    f"{ID}: CLIP-UP's projection takes {SLOTS} choices, this question has "
                    f"{len(texts.options)}: set {ID}.head=pooled"
                )
            shares = learned.projection.probabilities(padded(image, texts, SLOTS))
            name = "CLIP-UP projection with a linear read-out"
        else:
            shares = learned.pooled.probabilities(pooled(image, texts))
            name = "pooled CLIP-UP correlation vectors"
        details = _told_apart(learned.kinds, shares)
        details["method"] = f"{name}, no VLM ({learned.origin})"
        details["blind"] = learned.blind.probabilities(texts)
        return float(1 - shares[0]), details

    def _without_choices(self, image: Floats, texts: Texts) -> tuple[float, dict[str, Any]]:
        learned = self.learned_
        assert learned is not None
        if learned.open is None:
            raise QueryMissing(
                "the question has no choices, and the artefact was trained on none that does not "
                "fit its image"
            )
        shares = learned.open.projection.probabilities(padded(image, texts, 1))
        details = _told_apart((ANSWERABLE, "incompatible_question"), shares)
        details["method"] = (
            f"CLIP-UP projection of an open question with a linear read-out, no VLM "
            f"({learned.origin})"
        )
        details["blind"] = {"question_only": learned.open.question.probability(texts)}
        return float(1 - shares[0]), details

    def _untrained(
        self, fallback: Fallback, image: Floats, question: str, texts: Texts
    ) -> tuple[float, dict[str, Any]]:
        found = fallback.p_values(image, texts, self.stock_(question))
        kind = max(found, key=lambda name: found[name])
        details: dict[str, Any] = {
            "kind": kind,
            "kinds": found,
            "method": fallback.method,
            # Without training, neither words nor their number say anything by themselves.
            "blind": {"question_only": None, "option_count": None},
        }
        if "incompatible_answers" in found:
            details["blind"]["question_and_choices"] = found["incompatible_answers"]
        return found[kind], details


def _told_apart(kinds: tuple[str, ...], shares: Floats) -> dict[str, Any]:
    """The most likely way of being unanswerable, and the probability of each."""
    found = {kind: float(share) for kind, share in zip(kinds, shares, strict=True)}
    ways = {kind: found[kind] for kind in KINDS if kind in found}
    return {"kind": max(ways, key=lambda name: ways[name]), "kinds": ways}


def _embedded(context: Context) -> Artefact | None:
    """The heads that come with the package, if they were trained on this bundle."""
    artefact = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=context.bundle)
    if artefact is not None:
        context.warn(
            f"{ID} judges by what comes with bundle {context.bundle.id}: it knows questions about "
            "rendered shapes and signs and nothing else; for photographs take a pretrained bundle"
        )
    return artefact
