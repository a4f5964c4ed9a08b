"""The detector: features of a batch in, anomaly scores and heatmaps out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    ArtefactMissing,
    Batch,
    BundleIdentity,
    Context,
    Detector,
    Query,
    Score,
    Task,
    top_mean,
)
from clipvet.plugins.anomalyclip._enlarge import Enlarger
from clipvet.plugins.anomalyclip._learned import ID, Learned
from clipvet.plugins.anomalyclip._options import AnomalyClipOptions
from clipvet.plugins.anomalyclip._scores import (
    attention_difference,
    class_feature,
    probability,
    surgery,
)
from clipvet.plugins.anomalyclip._text import PromptPair, Prototypes

__all__ = ["AnomalyClip"]

# What SDP multiplies cosines with for its text score; the logit scale of the official model.
_SDP_SCALE = 100.0

_NEEDS = {
    "anomalyclip": {"cls_raw", "vv_local_embed"},
    "sdp": {"cls_embed", *(f"vv_stage_{k}_embed" for k in range(1, 5))},
    "clap": {"vv_local_embed"},
}
_NAMES = {
    "sdp": "SDP-style (CLIP-AD's staged maps; all stages weighted by the final class token",
    "clap": "CLAP-style (anomalous minus normal attention, no reconstruction",
}

Features: TypeAlias = Mapping[str, NDArray[np.float32]]
Answer: TypeAlias = tuple[float, NDArray[np.float64], dict[str, Any]]


class AnomalyClip(Detector):
    """AnomalyCLIP, and two relatives that read the same value-value features.

    Score: anomaly probability of the image, 0..1 (sdp: sum of a probability and a map value).
    Heatmap: float32 [rows, columns] of the bundle's patch grid: anomaly probability 0..1 (sdp: a
    similarity of either sign; clap: 0..1).
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "anomaly"
    needs: frozenset[str] = frozenset(_NEEDS["anomalyclip"])
    Options: ClassVar[type[AnomalyClipOptions]] = AnomalyClipOptions
    options: AnomalyClipOptions

    def __init__(self, options: AnomalyClipOptions | None = None) -> None:
        super().__init__(options)
        self.learned_: Learned | None = None
        self.needs = frozenset(_NEEDS[self.options.variant])

    @property
    def heatmap_range(self) -> tuple[float, float]:
        """For pictures without a recipe."""
        return (-0.1, 0.1) if self.options.variant == "sdp" else (0.0, 1.0)

    def prepare(self, context: Context) -> None:
        """Find the learned prompts, or get ready to encode prompts about the object.

        Raises:
            ArtefactMissing: there are no learned prompts for this bundle.
            RecipeError: those that were given belong to another bundle.
        """
        bundle = context.bundle
        self.context_ = context
        if self.options.variant == "anomalyclip":
            if self.learned_ is None:
                self.learned_ = _embedded(bundle)
            self.learned_.check(
                bundle, vision_width=bundle.vision_width, embed_dim=bundle.embed_dim
            )
            return
        self.prompts_ = Prototypes(self.options, context.encode_text)
        if self.options.variant == "sdp":
            self.enlarge_ = Enlarger(bundle.grid, bundle.image_size, self.options.smoothing)

    def save(self, folder: Path) -> None:
        """Write the learned prompts; the other variants write nothing."""
        if self.learned_ is not None:
            self.learned_.save(folder)

    def load(self, folder: Path) -> None:
        """Read the learned prompts; raises ArtefactMissing or RecipeError if it cannot."""
        self.learned_ = Learned.load(folder)

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score and one heatmap for each view, each from its own numbers alone."""
        answer = {
            "anomalyclip": self._anomalyclip,
            "sdp": self._sdp,
            "clap": self._clap,
        }[self.options.variant]
        scores = []
        for index, queries in enumerate(batch.queries):
            view = {name: batch.features[name][index] for name in self.needs}
            value, patches, details = answer(view, queries)
            grid = patches.astype(np.float32).reshape(self.context_.bundle.grid)
            scores.append([Score(value=float(np.float32(value)), heatmap=grid, details=details)])
        return scores

    def _anomalyclip(self, view: Features, _queries: Sequence[Query]) -> Answer:
        """Section 2 of methods/anomaly.md, steps 4, 5, 10 and 11; the map of the last layer."""
        learned = self.learned_
        assert learned is not None
        image = class_feature(view["cls_raw"], learned.projection)
        score = probability(image, learned.prototypes, learned.temperature)[0]
        patches = probability(
            view["vv_local_embed"][1:],  # without the class token
            learned.prototypes,
            learned.temperature,
        )
        return float(score), patches, {"method": f"AnomalyCLIP ({learned.origin})"}

    def _sdp(self, view: Features, queries: Sequence[Query]) -> Answer:
        """Section 4, steps 3 to 6, with the class token of the last stage for all four.

        The paper takes the ordinary path's class token of each stage for the two weights of the
        surgery; only the last one's embedding is a feature of a bundle.
        """
        name, pair = self._prompts(queries)
        image = view["cls_embed"][None]
        stages = [view[f"vv_stage_{k}_embed"][1:] for k in range(1, 5)]
        patches = surgery(stages, image, pair.prototypes)
        text_score = float(probability(image, pair.prototypes, 1 / _SDP_SCALE)[0])
        map_score = float(self.enlarge_(patches.reshape(self.context_.bundle.grid)).max())
        value = _within(text_score, self.options.text_range)
        value += _within(map_score, self.options.map_range)
        details = {
            "method": self._method(pair),
            "object": name,
            "text_score": text_score,
            "map_score": map_score,
        }
        return value, patches, details

    def _clap(self, view: Features, queries: Sequence[Query]) -> Answer:
        """Section 5, steps 1 to 4, without the reconstruction that CLAP is made for."""
        name, pair = self._prompts(queries)
        patches = attention_difference(
            view["vv_local_embed"][1:], pair.prototypes, self.options.negative_weight
        )
        score = top_mean(patches, self.options.top_share)
        return score, patches, {"method": self._method(pair), "object": name}

    def _prompts(self, queries: Sequence[Query]) -> tuple[str, PromptPair]:
        name = next((query.object for query in queries if query.object), "object")
        return name, self.prompts_.pair(name)

    def _method(self, pair: PromptPair) -> str:
        parts = [_NAMES[self.options.variant], *self.options.settings()]
        if pair.unclustered:
            parts.append(f"no cluster of {' and '.join(pair.unclustered)} prompts, their mean")
        if self.options.variant == "sdp" and not self.options.frozen_ranges:
            parts.append("text and map score added without min-max")
        return ", ".join(parts) + ")"


def _embedded(bundle: BundleIdentity) -> Learned:
    """The prompts that come with the package, if they are for this bundle."""
    learned = Learned.for_bundle(bundle)
    if learned is not None:
        return learned
    raise ArtefactMissing(
        f"{ID} has no learned prompts for bundle {bundle.id}: train them (detect train {ID}), "
        f"import released ones (detect x import-{ID}), or set {ID}.variant=sdp, which learns none"
    )


def _within(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return (value - low) / (high - low)
