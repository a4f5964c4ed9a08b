"""The detector: image embeddings and pixels in, how much like a fooling image out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Artefact,
    ArtefactMissing,
    Batch,
    Context,
    Detector,
    DetectorError,
    RecipeError,
    Score,
    Task,
    counted,
)
from clipvet.plugins.fooling._classifier import GENUINE, Classifier
from clipvet.plugins.fooling._genuine import LEAST, Genuine, Sample
from clipvet.plugins.fooling._options import ID, FoolingOptions, Method
from clipvet.plugins.fooling._pixels import NAMES, pixel_statistics
from clipvet.plugins.fooling._prompts import prompt_bank
from clipvet.plugins.fooling._reference import Reference, feature_width
from clipvet.plugins.fooling._statistics import raw_incoherence

__all__ = ["Fooling"]

EMBEDDED = Path(__file__).parent / "mini"
"""Genuine images and a classifier for the embedded bundle."""


class Fooling(Detector):
    """CLIPMasterPrints and pasted text: images that are built to fool the model.

    Score: ``statistics``, the largest of five statistics in standard deviations of genuine
    images; ``pixels``, a Mahalanobis distance >= 0; ``trained``, the probability 0..1 of not being
    genuine. Without genuine images ``statistics`` is the bare incoherence, -1..2. No heatmap.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "safety"
    needs: frozenset[str] = frozenset({"cls_embed"})
    Options: ClassVar[type[FoolingOptions]] = FoolingOptions
    learns: ClassVar[bool] = True
    options: FoolingOptions

    def __init__(self, options: FoolingOptions | None = None) -> None:
        super().__init__(options)
        self.artefact_: Artefact | None = None
        self.reference_: Reference | None = None
        self.classifier_: Classifier | None = None

    def prepare(self, context: Context) -> None:
        """Encode the prompts; take the genuine images, and the classifier, of the artefact.

        Raises:
            UsageError: the list of names cannot be read.
            RecipeError: the artefact belongs to another bundle, or is unsound.
        """
        self.context_ = context
        self.bank_ = prompt_bank(self.options, context)
        bundle = context.bundle
        if self.artefact_ is None:
            self.artefact_ = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=bundle)
        if self.artefact_ is None:
            return
        self.artefact_.check(bundle)
        self._compare_with(Genuine.of(self.artefact_, embed_dim=bundle.embed_dim))
        if self.options.method in {"best", "trained"}:
            self._take_classifier(self.artefact_)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Learn where genuine images are; a classifier keeps those it was trained with.

        Raises:
            DetectorError: there are fewer than 4 images.
        """
        if self.classifier_ is not None or self.options.method == "trained":
            return
        sample = Sample()
        for batch in batches:
            for embedding, view in zip(batch.features["cls_embed"], batch.views, strict=True):
                sample.offer(embedding, pixel_statistics(view.pixels))
        if sample.seen < LEAST:
            raise DetectorError(f"{ID}: {counted(sample.seen, 'good image')}: give {LEAST} or more")
        self._compare_with(sample.genuine())
        self.artefact_ = None

    def save(self, folder: Path) -> None:
        """Write the genuine images, and the classifier if it is in use."""
        artefact = self.artefact_
        if artefact is None and self.reference_ is not None:
            genuine = self.reference_.genuine
            artefact = Artefact(
                detector=ID,
                bundle=self.context_.bundle,
                facts={"genuine": genuine.seen},
                tensors=genuine.tensors(),
            )
        if artefact is not None:
            artefact.save(folder)

    def load(self, folder: Path) -> None:
        """Read an artefact; raises ArtefactMissing or RecipeError if that cannot be done."""
        self.artefact_ = Artefact.load(folder, detector=ID)

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view, from its own embedding and pixels alone."""
        return [
            [self._score(embedding, view.pixels)]
            for embedding, view in zip(batch.features["cls_embed"], batch.views, strict=True)
        ]

    def _score(self, embedding: NDArray[np.float32], pixels: NDArray[np.uint8]) -> Score:
        facts: dict[str, float] = {}
        match self._effective():
            case "pixels":
                reference = self._reference()
                statistics = pixel_statistics(pixels)
                value = reference.pixels(statistics)
                z = reference.pixels.standard(statistics)
                facts = dict(zip(NAMES, map(float, z), strict=True))
            case "trained":
                if self.classifier_ is None:
                    raise ArtefactMissing(_missing("a trained classifier", "detect train"))
                features = self._reference().features(embedding, pixels)
                facts = self.classifier_.probabilities(features)
                value = 1 - facts[GENUINE]
            case _:
                if self.reference_ is None:
                    value = raw_incoherence(self.bank_, embedding)
                else:
                    z_of = self.reference_.embedding(embedding)
                    facts = {str(name): z_of[name] for name in self.options.statistics}
                    value = max(facts.values())
        details: dict[str, Any] = {"method": self._method(), **facts}
        return Score(value=float(np.float32(value)), details=details)

    def _effective(self) -> Method:
        if self.options.method == "best":
            return "statistics" if self.classifier_ is None else "trained"
        return self.options.method

    def _reference(self) -> Reference:
        if self.reference_ is None:
            raise ArtefactMissing(_missing("genuine images", "detect fit"))
        return self.reference_

    def _compare_with(self, genuine: Genuine) -> None:
        scale = self.context_.bundle.logit_scale
        self.reference_ = Reference.of(genuine, self.bank_, self.options, scale=scale)

    def _take_classifier(self, artefact: Artefact) -> None:
        if "kinds" not in artefact.facts:
            return
        width = feature_width(self.context_.bundle.embed_dim)
        self.classifier_ = Classifier.of(artefact, width=width)
        if artefact.facts.get("settings") != self.options.settings():
            trained = ", ".join(artefact.facts.get("settings") or []) or "the defaults"
            raise RecipeError(
                f"{ID}: the classifier was trained with {trained}: use those options, or train it "
                "again"
            )

    def _method(self) -> str:
        notes = self.options.settings()
        if self.classifier_ is not None and self.artefact_ is not None:
            counts = self.artefact_.facts["kinds"]
            notes.insert(0, ", ".join(f"{n} {kind}" for kind, n in counts.items()))
            return f"trained classifier ({', '.join(notes)})"
        if self.reference_ is None:
            notes.insert(0, "no genuine images")
            return f"top-k incoherence ({', '.join(notes)})"
        notes.insert(0, counted(self.reference_.genuine.seen, "genuine image"))
        kind = "pixel" if self.options.method == "pixels" else "embedding"
        return f"{kind} statistics ({', '.join(notes)})"


def _missing(what: str, command: str) -> str:
    return (
        f"{ID} has no {what} for this bundle: {command} {ID} --help, or set "
        f"{ID}.method=statistics, which can do without"
    )
