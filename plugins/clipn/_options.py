"""The options, and the words that say which variant ran."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from clipvet.detectors import DetectorOptions

__all__ = ["ClipnOptions", "Method"]

Method = Literal["atd", "ctw", "mcm", "gl_mcm", "neglabel"]

_NO_TOWER: set[str] = {"atd", "ctw"}
# Which methods an option belongs to.
_METHODS: dict[str, set[str]] = {
    "templates": {"atd", "ctw", "mcm", "gl_mcm", "neglabel"},
    "no_templates": _NO_TOWER,
    "logit_scale": {*_NO_TOWER, "neglabel"},
    "temperature": {"mcm", "gl_mcm"},
    "local_weight": {"gl_mcm"},
    "nouns": {"neglabel"},
    "adjectives": {"neglabel"},
    "negative_share": {"neglabel"},
    "groups": {"neglabel"},
}


class ClipnOptions(DetectorOptions):
    """Options of CLIPN and of its peers; the defaults are the papers'."""

    method: Method = Field(
        default="atd",
        description="how a picture is compared with the classes; atd and ctw are CLIPN's and need "
        'its "no" text tower for the bundle; mcm, gl_mcm and neglabel need the names alone',
    )
    templates: tuple[str, ...] = Field(
        default=(),
        description="own prompts for a class instead of the method's; {} stands for its name; "
        "their unit embeddings are averaged",
    )
    no_templates: tuple[str, ...] = Field(
        default=(),
        description='atd, ctw: own prompts for the "no" tower; else the templates themselves, or '
        'for a hand-crafted tower the templates with "no {}"',
    )
    logit_scale: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="atd, ctw, neglabel: factor on cosines; else the bundle's own (the reference "
        "has 100)",
    )
    temperature: float = Field(
        default=1,
        gt=0,
        allow_inf_nan=False,
        description="mcm, gl_mcm: divides the cosines, which no logit scale multiplies here",
    )
    local_weight: float = Field(
        default=1,
        ge=0,
        allow_inf_nan=False,
        description="gl_mcm: factor on the best patch; the authors' ImageNet script has 0.5",
    )
    nouns: str = Field(
        default="",
        description="neglabel: file with one noun a line to choose negatives from, instead of the "
        "built-in list",
    )
    adjectives: str = Field(default="", description="neglabel: likewise for adjectives")
    negative_share: float = Field(
        default=0.15,
        gt=0,
        le=1,
        description="neglabel: share of the words, those farthest from the classes, that become "
        "negatives",
    )
    groups: int = Field(
        default=100,
        ge=1,
        description="neglabel: groups that the negatives are split into; fewer if a group would "
        "hold less than 10",
    )

    @field_validator("templates", "no_templates")
    @classmethod
    def _has_a_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if "{}" not in template:
                raise ValueError(f"{template!r} has no {{}} for the name of the class")
        return templates

    @model_validator(mode="after")
    def _consistent(self) -> ClipnOptions:
        stray = sorted(
            name
            for name, methods in _METHODS.items()
            if self.method not in methods and not self.is_default(name)
        )
        if stray:
            where = " or ".join(sorted(_METHODS[stray[0]]))
            raise ValueError(f"{stray[0]} belongs to method {where}: leave it out or set method")
        if bool(self.nouns) != bool(self.adjectives) and not self.nouns:
            raise ValueError("give nouns as well: adjectives alone are no list of things")
        return self

    @property
    def uses_no_tower(self) -> bool:
        """Whether the method is CLIPN's."""
        return self.method in _NO_TOWER

    def settings(self) -> list[str]:
        """Every effective setting that is not the default, as ``name=value``."""
        return self.changed_settings(_METHODS)
