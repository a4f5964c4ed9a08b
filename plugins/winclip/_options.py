"""The options of WinCLIP, and the words that say which variant ran."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from clipvet.detectors import DetectorOptions
from clipvet.plugins.winclip._prompts import TemplateSet

__all__ = ["WinClipOptions"]

_VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "anomalib": {"templates": 21, "patch_tokens": "ln_post"},
    "visual": {"fusion": "references", "image_score": "references"},
}

# Settings that change nothing without references, and that are no part of the method at all.
_FEW_SHOT_ONLY = {"patch_tokens", "fusion", "coreset"}
_NOT_METHOD = {"variant", "max_references"}


class WinClipOptions(DetectorOptions):
    """Options of WinCLIP; the defaults are the paper's."""

    variant: Literal["paper", "anomalib", "visual"] = Field(
        default="paper",
        description='whose choices are the defaults; "anomalib" means templates 21 and '
        'patch_tokens "ln_post"; "visual" means that fusion and image_score are "references"',
    )
    templates: TemplateSet = Field(
        default=22, description="prompt templates: 22 as published, 21 as in anomalib"
    )
    normal_prompts: tuple[str, ...] = Field(
        default=(),
        description="own prompts for the normal state, instead of the ensemble; "
        "{} stands for the object name",
    )
    anomalous_prompts: tuple[str, ...] = Field(
        default=(), description="own prompts for the anomalous state, likewise"
    )
    underscore_as_space: bool = Field(
        default=False, description='write the object name "metal_nut" as "metal nut"'
    )
    prompt_pooling: Literal["mean", "unit_mean"] = Field(
        default="mean",
        description="average the prompt embeddings as they are, or each at unit length",
    )
    temperature: float = Field(
        default=0.07, gt=0, allow_inf_nan=False, description="of the softmax over both states"
    )
    scales: tuple[Literal[2, 3], ...] = Field(
        default=(2, 3), description="window sides in patches; none is fast, and blind to where"
    )
    image_scale: bool = Field(
        default=True, description="the image's own score takes part in the harmonic mean"
    )
    aggregation: Literal["anomaly", "normality"] = Field(
        default="anomaly", description="which probability is averaged harmonically"
    )
    patch_tokens: Literal["raw", "ln_post"] = Field(
        default="raw", description="patches compared with references: before or after ln_post"
    )
    fusion: Literal["mean", "sum", "references"] = Field(
        default="mean",
        description="of the text map and the reference map; references: the latter alone, once "
        "there are references",
    )
    image_score: Literal["paper", "map_max", "references"] = Field(
        default="paper",
        description="paper: text score of the image, averaged with the largest entry of the "
        "reference map if there are references; map_max: largest cell of the heatmap; "
        "references: largest entry of the reference map alone, once there are references "
        "(largest: see top_share)",
    )
    top_share: float = Field(
        default=0,
        ge=0,
        le=1,
        description="score of a map: the mean of this share of its cells, the largest ones; 0 is "
        "the single largest, as in the paper",
    )
    max_references: int = Field(
        default=32, ge=0, description="how many good images fit keeps; 0 stays zero-shot"
    )
    coreset: int = Field(
        default=0,
        ge=0,
        description="the most vectors of each kind (patches, 2x2 windows, 3x3 windows) that are "
        "kept of the references, chosen by weighted k-medoids; 0 keeps all",
    )

    @model_validator(mode="before")
    @classmethod
    def _variant_fills_gaps(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {**_VARIANTS.get(str(given.get("variant")), {}), **given}
        return given

    @field_validator("scales")
    @classmethod
    def _each_scale_once(cls, scales: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(scales)))

    @model_validator(mode="after")
    def _own_prompts_come_in_pairs(self) -> WinClipOptions:
        if bool(self.normal_prompts) != bool(self.anomalous_prompts):
            raise ValueError("give both normal_prompts and anomalous_prompts, or neither")
        if self.image_score == "map_max" and not self.scales:
            raise ValueError('image_score "map_max" needs at least one of the scales 2 and 3')
        return self

    def method(self, shots: int) -> str:
        """The variant in words: the method, and every effective setting that is not the paper's."""
        hidden = _NOT_METHOD if shots else _NOT_METHOD | _FEW_SHOT_ONLY
        if not shots and self.image_score == "references":
            hidden = hidden | {"image_score"}
        if not shots and self.image_score != "map_max":
            hidden = hidden | {"top_share"}
        settings = self.changed_settings(n for n in type(self).model_fields if n not in hidden)
        name = f"WinCLIP+ {shots}-shot" if shots else "WinCLIP zero-shot"
        return f"{name} ({', '.join(settings)})" if settings else name
