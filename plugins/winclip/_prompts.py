"""The compositional prompt ensemble: states of an object, put into templates."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["TEMPLATES", "TemplateSet", "ensemble"]

TemplateSet: TypeAlias = Literal[22, 21]

NORMAL_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)
ANOMALOUS_STATES = ("damaged {}", "{} with flaw", "{} with defect", "{} with damage")

_PAPER = (
    "a cropped photo of the {}.",
    "a cropped photo of a {}.",
    "a close-up photo of a {}.",
    "a close-up photo of the {}.",
    "a bright photo of a {}.",
    "a bright photo of the {}.",
    "a dark photo of the {}.",
    "a dark photo of a {}.",
    "a jpeg corrupted photo of a {}.",
    "a jpeg corrupted photo of the {}.",
    "a blurry photo of the {}.",
    "a blurry photo of a {}.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of a small {}.",
    "a photo of the small {}.",
    "a photo of a large {}.",
    "a photo of the large {}.",
    "a photo of the {} for visual inspection.",
    "a photo of a {} for visual inspection.",
    "a photo of the {} for anomaly detection.",
    "a photo of a {} for anomaly detection.",
)
# anomalib and others: "cropped" with "a" is missing, and "jpeg corrupted" has "the" twice, so
# that template weighs double in the mean.
_ANOMALIB = tuple(
    template.replace("corrupted photo of a", "corrupted photo of the")
    for template in _PAPER
    if template != "a cropped photo of a {}."
)

TEMPLATES: dict[TemplateSet, tuple[str, ...]] = {22: _PAPER, 21: _ANOMALIB}


def ensemble(name: str, templates: TemplateSet) -> tuple[list[str], list[str]]:
    """The normal and the anomalous prompts for an object, states outermost.

    Args:
        name: what the object is called ("bottle").
        templates: 22, as published, or 21, as in anomalib.
    """
    normal, anomalous = (
        [
            template.replace("{}", state.replace("{}", name))
            for state in states
            for template in TEMPLATES[templates]
        ]
        for states in (NORMAL_STATES, ANOMALOUS_STATES)
    )
    return normal, anomalous
