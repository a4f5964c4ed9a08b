"""How a recipe does on bad images, and whether that number can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from clipvet.detectors._intervals import clopper_pearson
from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import RecipeError
from clipvet.detectors.recipes._bad_images import ThresholdRule, good_parts
from clipvet.detectors.recipes._calibration import percent
from clipvet.detectors.recipes._tables import BadImage, Table, checked

if TYPE_CHECKING:
    from clipvet.detectors.recipes._recipe import Recipe
    from clipvet.detectors.records._records import Verdict

__all__ = [
    "VALIDATION_FILE",
    "Validation",
    "ValidationRow",
    "read_validation",
    "validate",
    "write_validation",
]

VALIDATION_FILE: Final = "validation.json"


class ValidationRow(Table):
    """Bad images of one kind; recall is flagged / n, with its 95 % interval (Clopper-Pearson).

    ``n`` is ``flagged + abstained + missed``. An image that a gate abstained from is not caught.
    """

    kind: str
    n: int
    flagged: int
    abstained: int
    missed: int
    recall: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, kind: str, verdicts: Sequence[Verdict | None]) -> ValidationRow:
        """Count verdicts."""
        n, flagged = len(verdicts), verdicts.count("flag")
        low, high = clopper_pearson(flagged, n) if n else (None, None)
        return cls(
            kind=kind,
            n=n,
            flagged=flagged,
            abstained=verdicts.count("abstain"),
            missed=verdicts.count("pass"),
            recall=flagged / n if n else None,
            low=low,
            high=high,
        )


class GoodRow(Table):
    """Held-out good images above the cut; ``made_it`` if the same ones made the threshold."""

    n: int
    flagged: int
    made_it: bool


class Validation(Table):
    """What ``validation.json`` holds: the table, and the scores behind it.

    ``threshold`` and ``cut`` are the rule and the value that was measured; ``kinds`` count the
    images that measured it.
    """

    schema_: Literal["clipvet.validation/1"] = Field(alias="schema")
    threshold: str
    cut: float
    origin: str
    kinds: tuple[ValidationRow, ...]
    total: ValidationRow
    good: GoodRow
    notes: tuple[str, ...]
    images: tuple[BadImage, ...]


def validate(recipe: Recipe, verdicts: Mapping[str, Verdict | None]) -> Validation:
    """The table of a recipe.

    Args:
        recipe: with its bad images.
        verdicts: image id -> verdict of the recipe, of every bad image.
    """
    rule = ThresholdRule.parse(recipe.threshold)
    joint = recipe.flagging
    measured = [one for one in recipe.bad if one.measured]
    kinds = sorted({one.kind for one in recipe.bad})
    _, good = good_parts(joint, rule, recipe.bad)
    return Validation(
        schema="clipvet.validation/1",
        threshold=recipe.threshold,
        cut=joint.threshold.value,
        origin=joint.threshold.origin,
        kinds=tuple(
            ValidationRow.of(kind, [verdicts[one.image] for one in measured if one.kind == kind])
            for kind in kinds
        ),
        total=ValidationRow.of("all", [verdicts[one.image] for one in measured]),
        good=GoodRow(
            n=len(good),
            flagged=sum(value > joint.cut for value in good),
            made_it=_made_it(rule, recipe.bad),
        ),
        notes=tuple(_notes(recipe, rule)),
        images=recipe.bad,
    )


def write_validation(path: Path, validation: Validation) -> None:
    """Write the table as JSON; floats come back bit for bit."""
    text = validation.model_dump_json(by_alias=True, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_validation(path: Path) -> Validation:
    """Read what :func:`write_validation` wrote; raises RecipeError for anything else."""
    try:
        return checked(Validation, parse_json(path.read_text(encoding="utf-8")), path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: cannot be read ({error}): fit again") from error


def _made_it(rule: ThresholdRule | None, bad: Sequence[BadImage]) -> bool:
    if rule is None:
        return True
    return rule.recall is None and all(one.measured for one in bad)


def _notes(recipe: Recipe, rule: ThresholdRule | None) -> list[str]:
    chose = sum(one.chose for one in recipe.bad)
    measured = sum(one.measured for one in recipe.bad)
    if rule is None:
        by_construction = (
            "the held-out good images made the threshold: at most "
            f"{percent(recipe.rate)} of them are flagged by construction"
        )
        return [
            "the bad images only measure: the threshold comes from good images alone",
            by_construction,
        ]
    if chose + measured == len(recipe.bad):
        note = f"{chose} bad images chose the threshold, the {measured} others measure it"
    else:
        same = "bad image chose the threshold and measures it"
        if chose > 1:
            same = f"{chose} bad images chose the threshold and measure it"
        note = (
            f"the same {same}: the recall is "
            "flattering; with 20 or more, one half would choose and the other measure"
        )
    notes = [note]
    if _made_it(rule, recipe.bad):
        notes.append("the held-out good images helped to choose it: their share is flattering")
    return notes
