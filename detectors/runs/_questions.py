"""A file of questions: which of them are asked about which image."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from clipvet.detectors._detector import Query
from clipvet.detectors._parsing import first_complaint, parse_json
from clipvet.detectors.errors import UsageError

__all__ = ["Questions"]


class _Row(BaseModel):
    """One line of the file; what else it holds (an answer, a note) is not read."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    question: str = Field(min_length=1)
    choices: tuple[str, ...] = ()
    image: str = ""

    @field_validator("choices")
    @classmethod
    def _no_choice_is_empty(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        if not all(choices):
            raise ValueError("a choice is empty")
        return choices


@dataclass(frozen=True, kw_only=True, eq=False)
class Questions:
    """Questions with their choices, by image.

    Attributes:
        queries: all of them, in the order of the file.
        images: what each is about: a record id or the end of one ("7.png" or "parts/7.png" for
            "line3/parts/7.png"); empty for every image.
        sha256: of the file.
    """

    queries: tuple[Query, ...]
    images: tuple[str, ...]
    sha256: str = ""
    _places: Mapping[str, list[int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places: dict[str, list[int]] = {}
        for place, image in enumerate(self.images):
            places.setdefault(image, []).append(place)
        object.__setattr__(self, "_places", places)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read JSON lines, or a table with a header (``.csv``; choices are separated by ``|``).

        Raises:
            UsageError: it cannot be read; the message names the line.
        """
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--questions {path}: cannot be read as text ({error})") from error
        lines = _table(text, path) if path.suffix.lower() == ".csv" else _json_lines(text)
        rows = [_row(line, f"--questions {path}: line {number}") for number, line in lines]
        if not rows:
            raise UsageError(f"--questions {path}: there is no question in it")
        return cls(
            queries=tuple(Query(question=row.question, choices=row.choices) for row in rows),
            images=tuple(row.image for row in rows),
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def about(self, image_id: str) -> list[int]:
        """Places of the questions that are asked about an image, in the order of the file."""
        parts = image_id.split("/")
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        return sorted(place for end in (*ends, "") for place in self._places.get(end, ()))

    def of(self, image_id: str, base: Query) -> tuple[Query, ...]:
        """What an image is asked: its questions, each with the rest of ``base``; else ``base``."""
        return tuple(self.queries[place].over(base) for place in self.about(image_id)) or (base,)


def _row(line: Any, where: str) -> _Row:
    try:
        return _Row.model_validate(parse_json(line) if isinstance(line, str) else line)
    except ValidationError as error:
        raise UsageError(f"{where}: {first_complaint(error, 'the line')}") from error
    except ValueError as error:
        raise UsageError(f"{where}: it is no JSON ({error})") from error


def _json_lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _table(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    table = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for row in table:
            choices = [part for part in (row.get("choices") or "").split("|") if part.strip()]
            yield table.line_num, {**row, "image": row.get("image") or "", "choices": choices}
    except csv.Error as error:
        raise UsageError(f"--questions {path}: line {table.line_num}: {error}") from error
