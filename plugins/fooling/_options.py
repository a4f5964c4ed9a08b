"""The options, and the words that say which variant ran."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from clipvet.detectors import DetectorOptions

__all__ = ["ID", "STATISTICS", "FoolingOptions", "Method", "Statistic"]

ID = "fooling"

Method: TypeAlias = Literal["best", "statistics", "pixels", "trained"]
Statistic: TypeAlias = Literal[
    "many_match", "incoherence", "hubness", "gap_position", "off_manifold"
]

STATISTICS: tuple[Statistic, ...] = (
    "many_match",
    "incoherence",
    "hubness",
    "gap_position",
    "off_manifold",
)


class FoolingOptions(DetectorOptions):
    """Options of the detector."""

    method: Method = Field(
        default="best",
        description="best: trained if the artefact holds a classifier, else statistics; "
        "statistics: how the embedding lies among genuine images and many prompts; "
        "pixels: ten statistics of the pixels; trained: a classifier (detect train fooling)",
    )
    statistics: tuple[Statistic, ...] = Field(
        default=STATISTICS,
        min_length=1,
        description="statistics: those of which the largest counts",
    )
    prompts: str = Field(
        default="",
        description="file with one name a line to compare with, instead of the built-in list",
    )
    template: str = Field(
        default="a photo of a {}.", description="prompt of a name; {} stands for it"
    )
    top_k: int = Field(default=20, ge=2, description="incoherence: best prompts that it looks at")
    shift: float = Field(
        default=0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="defence: share of the gap between images and texts that both are moved by "
        "before they are compared (the paper has 0.25)",
    )

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if "{}" not in template:
            raise ValueError(f"{template!r} has no {{}} for the name")
        return template

    def settings(self) -> list[str]:
        """Every setting of the comparison that is not the default, as ``name=value``."""
        return self.changed_settings(("statistics", "prompts", "template", "top_k", "shift"))
