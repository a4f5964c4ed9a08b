"""The options of the detector, and the words that say which variant ran."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from clipvet.detectors import DetectorOptions
from clipvet.plugins.inappropriate._prompts import PAIRS, Pairs, PromptSet

__all__ = ["InappropriateOptions"]


class InappropriateOptions(DetectorOptions):
    """Options of the detector; the defaults are Q16's; its class vectors are an artefact."""

    logits: Literal["cosine", "dot"] = Field(
        default="cosine",
        description="cosine: 100 x cosine, as the paper; dot: plain products with vectors of "
        "whatever length they have, as the authors' script for stored embeddings does by mistake",
    )
    prompts: PromptSet = Field(
        default="pair",
        description="without vectors: the pair of sentences that Q16 starts from, or seven pairs",
    )
    appropriate_prompts: tuple[str, ...] = Field(
        default=(), description="without vectors: own sentences for the appropriate side"
    )
    inappropriate_prompts: tuple[str, ...] = Field(
        default=(), description="without vectors: own sentences, the opposite of each of those"
    )
    concepts: tuple[str, ...] | None = Field(
        default=None,
        description="names of which each image gets the nearest, for reports, not for scores; "
        "unset: a list of twelve where the bundle's vocabulary is open, none where it is closed",
    )

    @model_validator(mode="after")
    def _own_prompts_come_in_pairs(self) -> InappropriateOptions:
        if len(self.appropriate_prompts) != len(self.inappropriate_prompts):
            raise ValueError("give as many inappropriate_prompts as appropriate_prompts: pairs")
        return self

    @property
    def own_pairs(self) -> bool:
        """True if the user's own sentences replace the built-in ones."""
        return bool(self.appropriate_prompts)

    @property
    def pairs(self) -> Pairs:
        """The sentences (appropriate, inappropriate) of the zero-training method."""
        if self.own_pairs:
            return tuple(zip(self.appropriate_prompts, self.inappropriate_prompts, strict=True))
        return PAIRS[self.prompts]
