"""The options, and the words that say which variant ran."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from clipvet.detectors import DetectorOptions

__all__ = ["AnomalyClipOptions"]

_PROMPTED = {"sdp", "clap"}
# Which variants an option belongs to.
_VARIANTS: dict[str, set[str]] = {
    "normal_prompts": _PROMPTED,
    "anomalous_prompts": _PROMPTED,
    "pooling": _PROMPTED,
    "dbscan_eps": _PROMPTED,
    "dbscan_min_samples": _PROMPTED,
    "smoothing": {"sdp"},
    "text_range": {"sdp"},
    "map_range": {"sdp"},
    "negative_weight": {"clap"},
    "top_share": {"clap"},
}


class AnomalyClipOptions(DetectorOptions):
    """Options of AnomalyCLIP and of its relatives; the paper's detector has none of its own."""

    variant: Literal["anomalyclip", "sdp", "clap"] = Field(
        default="anomalyclip",
        description="anomalyclip: learned prompts, which must have been trained for the bundle or "
        "imported; sdp and clap learn nothing and compare with prompts about the object: staged "
        "value-value maps in the manner of CLIP-AD, or anomalous minus normal attention in the "
        "manner of CLAP",
    )
    normal_prompts: tuple[str, ...] = Field(
        default=(),
        description="sdp, clap: own prompts for the normal state, instead of the ensemble; "
        "{} stands for the object name",
    )
    anomalous_prompts: tuple[str, ...] = Field(
        default=(), description="sdp, clap: own prompts for the anomalous state, likewise"
    )
    pooling: Literal["dbscan", "mean"] = Field(
        default="dbscan",
        description="sdp, clap: the prototype of an ensemble is the mean of its largest cluster, "
        "or of all; own prompts are always averaged",
    )
    dbscan_eps: float = Field(
        default=0.5,
        gt=0,
        allow_inf_nan=False,
        description="sdp, clap: largest distance of neighbours; CLIP-AD takes 0.5 on MVTec AD and "
        "1.5 on VisA",
    )
    dbscan_min_samples: int = Field(
        default=15,
        ge=1,
        description="sdp, clap: prompts that make a cluster; CLIP-AD takes 15 and 25",
    )
    smoothing: float = Field(
        default=8,
        ge=0,
        allow_inf_nan=False,
        description="sdp: sigma of the Gaussian, in pixels of the network's input, on the enlarged "
        "map whose largest value enters the score",
    )
    text_range: tuple[float, float] = Field(
        default=(0, 1),
        description="sdp: text scores (details.text_score) that count as 0 and 1; the paper takes "
        "those of its whole test set",
    )
    map_range: tuple[float, float] = Field(
        default=(0, 1), description="sdp: likewise for the largest map value (details.map_score)"
    )
    negative_weight: float = Field(
        default=1,
        ge=0,
        allow_inf_nan=False,
        description="clap: factor on the normal attention that is subtracted",
    )
    top_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="clap: the score is the mean of this share of the map's cells, the largest "
        "ones; 0 is the single largest",
    )

    @model_validator(mode="after")
    def _consistent(self) -> AnomalyClipOptions:
        if bool(self.normal_prompts) != bool(self.anomalous_prompts):
            raise ValueError("give both normal_prompts and anomalous_prompts, or neither")
        for name in ("text_range", "map_range"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name} {low}..{high} is empty: give low < high")
        stray = sorted(
            name
            for name, variants in _VARIANTS.items()
            if self.variant not in variants and not self.is_default(name)
        )
        if stray:
            where = " or ".join(sorted(_VARIANTS[stray[0]]))
            raise ValueError(f"{stray[0]} belongs to variant {where}: leave it out or set variant")
        return self

    @property
    def frozen_ranges(self) -> bool:
        """Whether both parts of SDP's score are brought to 0..1 by given numbers."""
        return not (self.is_default("text_range") or self.is_default("map_range"))

    def settings(self) -> list[str]:
        """Every effective setting that is not the default, as ``name=value``."""
        return self.changed_settings(_VARIANTS)
