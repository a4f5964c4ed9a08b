"""Questions with known answerability: JSON lines with image, question, choices and kind."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from clipvet.detectors import UsageError
from clipvet.plugins.unanswerable._kinds import Kind

__all__ = ["Row", "read_rows"]


class Row(BaseModel):
    """One line; what else it holds is not read.

    Attributes:
        image: path below the folder of images.
        question: as people ask it.
        choices: the offered answers, without letters; none for an open question.
        kind: whether it can be answered, or why not; None in files that only ask.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)

    image: str = Field(min_length=1)
    question: str = Field(min_length=1)
    choices: tuple[str, ...] = ()
    kind: Kind | None = None

    @field_validator("choices")
    @classmethod
    def _no_choice_is_empty(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        if not all(choices):
            raise ValueError("a choice is empty")
        return choices


def read_rows(path: Path, *, labelled: bool) -> list[Row]:
    """All lines, in order; empty ones are skipped.

    Raises:
        UsageError: the file cannot be read, or a line is wrong (its number is named); with
            ``labelled``, also if a line has no kind.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read as text ({error}): give a JSON lines file"
        ) from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line, f"{path}: line {number}")
        if labelled and row.kind is None:
            raise UsageError(
                f"{path}: line {number}: kind is missing: give answerable, absent_answer, "
                "incompatible_answers or incompatible_question"
            )
        rows.append(row)
    if not rows:
        raise UsageError(f"{path} holds no question: give one a line")
    return rows


def _row(line: str, where: str) -> Row:
    try:
        return Row.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = ".".join(str(part) for part in first["loc"]) or "the line"
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: {what}: {message}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: it is no JSON ({error})") from error
