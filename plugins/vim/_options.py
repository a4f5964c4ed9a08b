"""The options of ViM and its family, and the words that say which of them ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from clipvet.detectors import DetectorOptions

__all__ = ["ID", "TITLES", "WITHOUT_IMAGES", "Method", "VimOptions"]

ID = "vim"

Method: TypeAlias = Literal[
    "vim",
    "residual",
    "energy",
    "max_logit",
    "msp",
    "mahalanobis",
    "relative_mahalanobis",
    "kl_matching",
    "react",
    "gradnorm",
    "knn",
    "gda",
]

TITLES: dict[Method, str] = {
    "vim": "ViM",
    "residual": "residual",
    "energy": "energy",
    "max_logit": "max logit",
    "msp": "MSP",
    "mahalanobis": "Mahalanobis",
    "relative_mahalanobis": "relative Mahalanobis",
    "kl_matching": "KL matching",
    "react": "energy with ReAct",
    "gradnorm": "GradNorm",
    "knn": "kNN",
    "gda": "GDA",
}

WITHOUT_IMAGES: frozenset[Method] = frozenset({"energy", "max_logit", "msp", "gradnorm"})
"""Methods that need class names and no good images."""

# The options that each method reads, beside method and templates.
_READS: dict[Method, tuple[str, ...]] = {
    "vim": ("offset", "dimension", "reservoir"),
    "residual": ("offset", "dimension"),
    "react": ("clip_quantile", "reservoir"),
    "knn": ("neighbours", "reservoir"),
    "gda": ("gda_weight", "gda_score"),
}


class VimOptions(DetectorOptions):
    """Options of ViM; the defaults are those of the authors' code."""

    method: Method = Field(default="vim", description="ViM, or one of the scores it is compared to")
    templates: tuple[str, ...] = Field(
        default=("a photo of a {}.",),
        min_length=1,
        description="prompts for a class, {} stands for its name; the mean of their unit "
        "embeddings, at unit length, times the bundle's logit scale is the class's row of the head",
    )
    offset: Literal["head", "mean", "zero"] = Field(
        default="head",
        description="vim, residual: where residuals start. head: the point whose logits are "
        "nearest to zero (the origin for a text head); mean: of the good images; zero: the origin",
    )
    dimension: int | None = Field(
        default=None,
        ge=1,
        description="vim, residual: principal dimensions D; left out: 1000 from 2048 features on, "
        "512 from 768 on, else half of them, and at most a tenth of the good images if those are "
        "fewer than ten per feature",
    )
    reservoir: int = Field(
        default=20_000,
        ge=2,
        description="vim, react, knn: how many good images are kept as a uniform sample while "
        "fitting; with no more images than this nothing is estimated",
    )
    clip_quantile: float = Field(
        default=0.99, gt=0, le=1, description="react: features are cut off at this quantile"
    )
    neighbours: int = Field(
        default=50,
        ge=1,
        description="knn: which nearest good image is measured to; at most a tenth of them",
    )
    gda_weight: float = Field(
        default=0.1,
        gt=0,
        allow_inf_nan=False,
        description="gda: weight of the Gaussian classifier beside the text classifier",
    )
    gda_score: Literal["energy", "max_logit", "msp", "density"] = Field(
        default="energy",
        description="gda: what is read from the fused logits; density: of the Gaussian mixture "
        "alone, without text",
    )

    @field_validator("templates")
    @classmethod
    def _templates_have_a_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if "{}" not in template:
                raise ValueError(f"{template!r} has no {{}} for the name of the class")
        return templates

    def describe(self, method: Method, notes: Sequence[str] = ()) -> str:
        """The method in words, with every setting it reads that is not the default, and notes.

        Args:
            method: what ran; not always what was asked for.
            notes: what became of the settings on these images.
        """
        names = [
            *_READS.get(method, ()),
            *(() if method in {"knn", "residual"} else ("templates",)),
        ]
        settings = self.changed_settings(name for name in names if name != "reservoir")
        words = ", ".join([*settings, *notes])
        return f"{TITLES[method]} ({words})" if words else TITLES[method]
