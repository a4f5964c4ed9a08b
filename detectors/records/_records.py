"""The result for one image: schema ``clipvet.record/1``.

A record is one line of JSON. Fields may be added within version 1 and are ignored by readers
that do not know them; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipvet.detectors._detector import Task
from clipvet.detectors._parsing import first_complaint
from clipvet.detectors.engine._results import ResultStatus
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._views import Box

__all__ = [
    "RECORD_SCHEMA",
    "CombinedFacts",
    "DetectionRecord",
    "DomainFacts",
    "HeatmapFacts",
    "ImageFacts",
    "ImageStatus",
    "Record",
    "RegionFacts",
    "RuntimeFacts",
    "ThresholdFacts",
    "Verdict",
    "record_schema",
]

RECORD_SCHEMA: Final = "clipvet.record/1"
"""Name and version of the records that are written: ``schema`` in each of them."""

ImageStatus = Literal["ok", "unreadable", "unsupported", "refused"]
"""What became of the file: only ``ok`` was scored."""
Verdict = Literal["pass", "flag", "abstain", "error"]
"""``abstain``: do not trust it. None in a record: there is no threshold to judge by."""


class _Part(BaseModel):
    # Not-a-number has no place in JSON: it fails here and not in somebody's parser.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ImageFacts(_Part):
    """Which image, and how it was decoded."""

    id: str = Field(description="<root label>/<relative path>; odd bytes percent-escaped")
    sha256: str | None = Field(
        default=None, description="of the file; None if it could not be read"
    )
    size: int | None = Field(default=None, description="bytes of the file")
    mtime_ns: int | None = Field(default=None, description="modification time of the file")
    width: int | None = Field(default=None, description="pixels, oriented")
    height: int | None = Field(default=None, description="pixels, oriented")
    orientation: int | None = Field(default=None, description="EXIF orientation that was applied")
    bit_depth: int | None = Field(default=None, description="bits per sample in the file")
    policy: str | None = Field(default=None, description='how they became 8: "white:4095"')
    notes: tuple[str, ...] = Field(default=(), description="what else decoding took")


class ThresholdFacts(_Part):
    """Above ``value`` the detector flags; where that number comes from."""

    value: float
    origin: str
    rate: float | None = Field(
        default=None, description="promised rate of false alarms; None: nothing is promised"
    )
    n: int | None = Field(default=None, description="good images it was calibrated on")


class HeatmapFacts(_Part):
    """Where the local scores are, and how to read them."""

    file: str | None = Field(default=None, description="in the run folder, if one was written")
    overlay: str | None = Field(default=None, description="picture in the run folder")
    grid: tuple[int, int] = Field(description="rows and columns")
    box: Box = Field(description="x0, y0, x1, y1 of the oriented image that the grid covers")
    dtype: Literal["float32"] = "float32"
    range: tuple[float, float] | None = Field(
        default=None, description="scores that pictures of this detector show as lowest and highest"
    )


class RegionFacts(_Part):
    """One connected part whose local score exceeds the threshold of the map."""

    box: Box
    area: int = Field(description="pixels")
    peak: float


class DetectionRecord(_Part):
    """One detector's answer to one query."""

    detector: str
    version: str
    task: Task
    query: dict[str, str | tuple[str, ...]] | None = Field(
        default=None, description="the parts of the query that were given"
    )
    bundle: str | None = Field(default=None, description="if it is not the record's own")
    status: ResultStatus = Field(
        default="ok",
        description="pending: not scored yet, the images of a run score each other after the last",
    )
    score: float | None = Field(default=None, description="raw; higher is worse")
    p_value: float | None = Field(default=None, ge=0, le=1)
    threshold: ThresholdFacts | None = None
    verdict: Verdict | None = None
    heatmap: HeatmapFacts | None = None
    regions: tuple[RegionFacts, ...] = ()
    domain: DomainFacts | None = Field(default=None, description="None: the bundle has no gate")
    details: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None
    spool: str | None = Field(
        default=None, description="in the run folder: what is compared with the other images"
    )


class DomainFacts(_Part):
    """The bundle's domain gate: above the threshold its word means nothing for this image."""

    score: float
    threshold: float
    inside: float | None = Field(
        default=None, description="up to it, safety, OOD and VQA answers count, too"
    )


class CombinedFacts(_Part):
    """All detectors that could flag, taken together; above the threshold they do."""

    combination: Literal["any", "all", "weighted"]
    value: float = Field(
        description="any, all: largest, smallest standardised score; weighted: mean of -ln p"
    )
    p_value: float = Field(ge=0, le=1, description="of the value, against good images")
    threshold: ThresholdFacts
    terms: dict[str, float] = Field(description="detector -> its standardised score or its -ln p")


class RuntimeFacts(_Part):
    """What computed the features."""

    bundle: str
    bundle_sha256: str
    provider: str
    batch: int


class Record(_Part):
    """The result for one image."""

    schema_: Literal["clipvet.record/1"] = Field(default=RECORD_SCHEMA, alias="schema")
    image: ImageFacts
    status: ImageStatus = "ok"
    verdict: Verdict | None = Field(
        default=None, description="None: scored, but no threshold with a named origin exists"
    )
    reasons: tuple[str, ...] = ()
    detections: tuple[DetectionRecord, ...] = ()
    combined: CombinedFacts | None = Field(
        default=None, description="None: fewer than two detectors could flag, or one gave no score"
    )
    runtime: RuntimeFacts | None = None
    timing_ms: dict[str, float] = Field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """True if the image could not be scored by every detector that was to score it."""
        return self.status != "ok" or any(d.status == "error" for d in self.detections)

    def to_json(self) -> str:
        """One line of JSON, without its end."""
        return self.model_dump_json(by_alias=True)

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Read one line; raises :class:`UsageError` if it is not a record of this schema."""
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            raise UsageError(f"not a {RECORD_SCHEMA}: {first_complaint(error)}") from error


def record_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one record."""
    schema = Record.model_json_schema(by_alias=True)
    # Optional in Python, where it has one value only; in a file it says what the file is.
    schema["required"] = ["schema", *schema.get("required", [])]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": RECORD_SCHEMA,
        **schema,
    }
