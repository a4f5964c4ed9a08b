"""The options of the detector."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clipvet.detectors import DetectorOptions

__all__ = ["UnanswerableOptions"]


class UnanswerableOptions(DetectorOptions):
    """Options of the detector; what it has learned is an artefact."""

    head: Literal["pooled", "projection", "zero-training"] = Field(
        default="pooled",
        description="what reads the correlation vectors: pooled, a small network on their mean, "
        "maximum and spread over the choices, for any number of these; projection, CLIP-UP's "
        "linear projection of up to four of them, with a linear read-out in the place of a VLM; "
        "zero-training, p-values of cosines, which is also what runs without an artefact",
    )
