"""The prompt ensemble of CLIP-AD: states of an object, put into templates."""

from __future__ import annotations

__all__ = ["ANOMALOUS_STATES", "NORMAL_STATES", "TEMPLATES", "ensemble"]

_FAULTS = ("flaw", "defect", "damage", "scratch", "crack", "contamination")
NORMAL_STATES = (
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    *(f"{{}} without {fault}" for fault in _FAULTS),
)
ANOMALOUS_STATES = (
    "damaged {}",
    "imperfect {}",
    "blemished {}",
    "broken {}",
    *(f"{{}} with {fault}" for fault in _FAULTS),
)
_LOOKS = ("cropped ", "close-up ", "bright ", "dark ", "jpeg corrupted ", "blurry ", "")
TEMPLATES = (
    *(f"a {look}photo of {article} {{}}." for look in _LOOKS for article in ("the", "a")),
    *(
        f"a photo of {article} {size} {{}}."
        for size in ("large", "small")
        for article in ("the", "a")
    ),
    *(
        f"a photo of {article} {{}} for {purpose}."
        for purpose in ("visual inspection", "anomaly detection")
        for article in ("the", "a")
    ),
)


def ensemble(name: str) -> tuple[list[str], list[str]]:
    """The 198 normal and the 220 anomalous prompts for an object, states outermost.

    Args:
        name: what the object is called ("bottle").
    """
    normal, anomalous = (
        [
            template.replace("{}", state.replace("{}", name))
            for state in states
            for template in TEMPLATES
        ]
        for states in (NORMAL_STATES, ANOMALOUS_STATES)
    )
    return normal, anomalous
