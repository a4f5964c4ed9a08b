"""The result of an evaluation: schema ``clipvet.eval/1``.

Fields may be added within version 1; none is renamed, removed or given another meaning. What
each number means: ``docs/eval.md``.
"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipvet.detectors._detector import Task
from clipvet.detectors._parsing import first_complaint
from clipvet.detectors.errors import UsageError
from clipvet.detectors.evaluation._layout import LayoutName

__all__ = [
    "EVAL_SCHEMA",
    "BootstrapFacts",
    "Decisions",
    "DetectorEvaluation",
    "Estimate",
    "Evaluation",
    "Failure",
    "ImageCounts",
    "ImageMetrics",
    "PixelMetrics",
    "Rate",
    "TypeEvaluation",
]

EVAL_SCHEMA: Final = "clipvet.eval/1"
"""Name and version of an evaluation as JSON: ``schema`` in it."""


class _Part(BaseModel):
    # Validators are built at first use: most processes that import this evaluate nothing.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)


class Estimate(_Part):
    """A metric and the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


class Rate(_Part):
    """``count`` of ``n``, with its Clopper-Pearson interval of 95 %."""

    count: int
    n: int
    value: float
    low: float
    high: float


class ImageMetrics(_Part):
    """How well a score tells defective images from good ones."""

    good: int = Field(description="images")
    defect: int = Field(description="images")
    auroc: Estimate
    average_precision: Estimate
    f1_max: Estimate
    f1_max_threshold: float = Field(description="a score above it is flagged at the best F1")
    fpr95_defect_positive: Estimate = Field(
        description="share of good images flagged where 95 % of the defects are caught"
    )
    fpr95_good_positive: Estimate = Field(
        description="share of defects accepted where 95 % of the good images are accepted"
    )


class PixelMetrics(_Part):
    """How well a heatmap tells pixels of defects from all others, at image size."""

    good: int = Field(description="images, all of them clear")
    defect: int = Field(description="images with a mask")
    pixels: int
    regions: int = Field(description="8-connected parts of the masks")
    exact: bool = Field(description="False: neighbouring scores were put together to save memory")
    auroc: float
    average_precision: float
    f1_max: float
    f1_max_threshold: float
    aupro: float = Field(description="up to a false positive rate of 0.3, over 0.3")


class Decisions(_Part):
    """What the thresholds of the recipe make of some images."""

    n: int = Field(description="images with a verdict other than error")
    flagged: Rate | None = Field(description="None if n is 0")
    abstained: Rate | None
    passed: int
    errors: int


class TypeEvaluation(_Part):
    """Good images against defects of one type, or of all types."""

    image: ImageMetrics | None = Field(default=None, description="None: nothing was scored")
    pixel: PixelMetrics | None = Field(default=None, description="None: no masks or no heatmaps")
    decisions: Decisions | None = Field(default=None, description="on the defects alone")


class DetectorEvaluation(_Part):
    """One detector."""

    detector: str
    version: str
    task: Task
    method: str | None = Field(default=None, description="which variant ran")
    gate: bool = Field(default=False, description="its threshold abstains instead of flagging")
    threshold: float | None = Field(default=None, description="of the recipe")
    unscored: int = Field(description="images that it gave no score")
    good: Decisions | None = Field(default=None, description="on the good images")
    all: TypeEvaluation
    types: dict[str, TypeEvaluation]
    not_abstained: ImageMetrics | None = Field(
        default=None, description="all types, images with the verdict abstain left out, if any"
    )


class ImageCounts(_Part):
    """What was looked at."""

    good: int
    defects: dict[str, int] = Field(description="type -> images")
    masks: dict[str, int] = Field(description="type -> images with a usable mask")
    unreadable: int = Field(description="images that could not be decoded")
    abstained: int


class BootstrapFacts(_Part):
    """How the intervals of image metrics came about."""

    draws: int
    seed: int
    confidence: float = 0.95
    strata: str = "good images and each defect type"


class Failure(_Part):
    """An image, or one detector's answer to it, that takes no part in something, and why."""

    image: str
    reason: str


class Evaluation(_Part):
    """A test of detectors, or of a recipe, on labelled images."""

    schema_: Literal["clipvet.eval/1"] = Field(default=EVAL_SCHEMA, alias="schema")
    clipvet: str
    created: str = Field(description="ISO 8601, UTC")
    folder: str
    layout: LayoutName
    images: ImageCounts
    bundle: str
    bundle_sha256: str
    provider: str
    object: str | None
    recipe_sha256: str | None = None
    promised_rate: float | None = Field(
        default=None, description="of false alarms of the recipe's verdict"
    )
    bootstrap: BootstrapFacts
    good: Decisions | None = Field(default=None, description="verdict of the recipe on good images")
    defects: Decisions | None = Field(default=None, description="on all defective images")
    types: dict[str, Decisions] = Field(default_factory=dict, description="on those of each type")
    detectors: tuple[DetectorEvaluation, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Indented JSON."""
        return self.model_dump_json(by_alias=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read it back; raises :class:`UsageError` for what is not of this schema."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise UsageError(f"not a {EVAL_SCHEMA}: {first_complaint(error)}") from error
