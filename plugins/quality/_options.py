"""The options, and the words that say which variant ran."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from clipvet.detectors import DetectorOptions

__all__ = ["CHECKS", "ID", "Check", "QualityOptions"]

ID = "quality"

Check: TypeAlias = Literal[
    "dark", "exposure", "clipped", "low_contrast", "low_information", "blurry", "lines", "colour"
]

CHECKS: tuple[Check, ...] = (
    "dark",
    "exposure",
    "clipped",
    "low_contrast",
    "low_information",
    "blurry",
    "lines",
    "colour",
)


class QualityOptions(DetectorOptions):
    """Options of the detector."""

    checks: tuple[Check, ...] = Field(
        default=CHECKS,
        min_length=1,
        description="what is judged; the worst of it is the score",
    )
    near: int = Field(
        default=8,
        ge=0,
        le=15,
        description="near-duplicates of a run: bits of 256 in which their hashes differ at most",
    )

    def settings(self) -> list[str]:
        """Every setting of the score that is not the default, as ``name=value``."""
        return self.changed_settings(("checks",))
