"""The first pass over the records: what the page sorts, filters and counts by.

Of each record stay its place in the file and one row; the rest is read again when it is written.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._combination import Combination
from clipvet.detectors.records._records import (
    CombinedFacts,
    DetectionRecord,
    Record,
    ThresholdFacts,
    Verdict,
)
from clipvet.detectors.reports._paths import Masker

__all__ = ["Cell", "Column", "Index", "Row", "read_index", "record_at"]

# Worst first. What could not be judged at all needs a look, too, but after what was.
_ORDER: tuple[Verdict | None, ...] = ("flag", "abstain", "error", None, "pass")
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one detector said about one image: the worst of its answers if there are several.

    In weighted p-values, where none has a verdict of its own, it is that of all together.
    """

    score: float | None
    p_value: float | None
    verdict: Verdict | None
    status: str


@dataclass(slots=True, kw_only=True)
class Row:
    """One image.

    Attributes:
        offset: of its record in the file, in bytes.
        id, status, verdict: of the record.
        cells: column -> what that detector said.
        text: reasons and errors, for searching.
        sensitive: a safety detector did not pass it.
        combined: statistic of all detectors that could flag.
        decided_by: column of the detector that made that statistic what it is, if it gave the
            verdict; else of the detector that ranks the image highest, among those that did.
    """

    offset: int
    id: str
    status: str
    verdict: Verdict | None
    cells: dict[int, Cell]
    text: str
    sensitive: bool
    combined: float | None = None
    decided_by: int | None = None

    @property
    def deciding(self) -> float | None:
        """The statistic, if it gave the verdict: a gate that abstains has not asked it."""
        return self.combined if self.verdict in ("flag", "pass") else None


@dataclass(kw_only=True)
class Column:
    """One detector.

    Attributes:
        id, version, task: of the detector.
        span: scores that pictures show as lowest and highest; None draws no heatmap.
    """

    id: str
    version: str
    task: str
    span: tuple[float, float] | None = None


@dataclass(kw_only=True)
class Index:
    """Everything that is known of a run before its pictures are made.

    Attributes:
        rows: worst first.
        columns: detectors, in the order of their first word.
        thresholds: all that occur, with their column; None is that of a combination.
        combination: how detectors are combined, and which ones; None if they are not.
        lost_lines: lines of the file that are no records.
    """

    rows: list[Row] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    thresholds: list[tuple[int | None, ThresholdFacts]] = field(default_factory=list)
    combination: tuple[Combination, tuple[str, ...]] | None = None
    lost_lines: int = 0

    def column(self, detector: str) -> int:
        """Number of a detector's column."""
        return next(i for i, column in enumerate(self.columns) if column.id == detector)

    def threshold(self, column: int | None, facts: ThresholdFacts | None) -> int | None:
        """Number of a threshold."""
        return None if facts is None else self.thresholds.index((column, facts))

    def scores(self, column: int) -> Iterator[tuple[float, Verdict | None]]:
        """Scores of one detector, with what it made of them."""
        for row in self.rows:
            cell = row.cells.get(column)
            if cell is not None and cell.score is not None:
                yield cell.score, cell.verdict

    def combined(self) -> Iterator[tuple[float, Verdict | None]]:
        """Statistics of all detectors that could flag, with the verdict on the image."""
        return ((row.combined, row.verdict) for row in self.rows if row.combined is not None)


def read_index(path: Path, masker: Masker) -> Index:
    """Read all records once.

    Raises:
        UsageError: there are none.
    """
    index = Index()
    for offset, line in _lines(path):
        try:
            record = Record.from_json(line)
        except UsageError:  # torn by a kill, or edited
            index.lost_lines += 1
            continue
        index.rows.append(_row(record, offset, index, masker))
    if not index.rows:
        raise UsageError(f"{path} holds no record: run detect first, or give another run folder")
    _sort(index)
    return index


def record_at(path: Path, rows: Iterable[Row]) -> Iterator[Record]:
    """The records of rows, in that order."""
    with path.open("rb") as file:
        for row in rows:
            file.seek(row.offset)
            yield Record.from_json(file.readline())


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    try:
        with path.open("rb") as file:
            for line in file:
                yield offset, line
                offset += len(line)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}): give the --out folder of a run"
        raise UsageError(message) from error


def _row(record: Record, offset: int, index: Index, masker: Masker) -> Row:
    cells: dict[int, Cell] = {}
    for one in record.detections:
        number = _take_up(one, index)
        cells[number] = _worse(cells.get(number), one)
    together = record.combined
    if together is not None:
        _remember(None, together.threshold, index)
        index.combination = (together.combination, tuple(together.terms))
    texts = [*record.reasons, *(one.error for one in record.detections if one.error)]
    row = Row(
        offset=offset,
        id=record.image.id,
        status=record.status,
        verdict=record.verdict,
        cells=cells,
        text=masker.text("; ".join(dict.fromkeys(texts)))[:_LONGEST_TEXT],
        sensitive=any(one.task == "safety" and one.verdict != "pass" for one in record.detections),
        combined=None if together is None else together.value,
    )
    if together is not None and row.deciding is not None:
        row.decided_by = _strongest(together, index)
        if together.combination == "weighted":
            for number, cell in cells.items():
                if index.columns[number].id in together.terms:  # judged with the others only
                    cells[number] = replace(cell, verdict=record.verdict)
    return row


def _strongest(combined: CombinedFacts, index: Index) -> int | None:
    """The detector whose part the combination is, or with weights its largest part."""
    choose = min if combined.combination == "all" else max
    name = choose(combined.terms, key=combined.terms.__getitem__, default=None)
    return next((i for i, column in enumerate(index.columns) if column.id == name), None)


def _take_up(one: DetectionRecord, index: Index) -> int:
    """The column of a detection; new detectors and thresholds are remembered."""
    known = [column.id for column in index.columns]  # a handful
    if one.detector not in known:
        known.append(one.detector)
        index.columns.append(Column(id=one.detector, version=one.version, task=one.task))
    number = known.index(one.detector)
    column = index.columns[number]
    if column.span is None and one.heatmap is not None:
        column.span = one.heatmap.range
    if one.threshold is not None:
        _remember(number, one.threshold, index)
    return number


def _remember(column: int | None, threshold: ThresholdFacts, index: Index) -> None:
    if (column, threshold) not in index.thresholds:
        index.thresholds.append((column, threshold))


def _worse(known: Cell | None, one: DetectionRecord) -> Cell:
    new = Cell(score=one.score, p_value=one.p_value, verdict=one.verdict, status=one.status)
    if known is None:
        return new
    return min(known, new, key=_badness)


def _badness(cell: Cell) -> tuple[int, float]:
    return _ORDER.index(cell.verdict), math.inf if cell.score is None else -cell.score


def _sort(index: Index) -> None:
    """By verdict, then by the rank of the image in what gave it: a detector, or all together."""
    together = sorted(row.deciding for row in index.rows if row.deciding is not None)
    ranks = [_ranks(index, column) for column in range(len(index.columns))]

    def share(row: Row, number: int) -> float:
        score = row.cells[number].score
        return 0.0 if score is None else _rank(score, ranks[number])

    def badness(row: Row) -> tuple[int, float, str]:
        if row.deciding is not None:
            rank = _rank(row.deciding, together)
        else:
            rank = 0.0 if row.decided_by is None else share(row, row.decided_by)
        return _ORDER.index(row.verdict), -rank, row.id

    for row in index.rows:
        if row.decided_by is not None:
            continue
        scored = [number for number, cell in row.cells.items() if cell.score is not None]
        deciding = [number for number in scored if row.cells[number].verdict == row.verdict]
        row.decided_by = max(deciding or scored, key=partial(share, row), default=None)
    index.rows.sort(key=badness)


def _rank(score: float, ranks: Sequence[float]) -> float:
    # Over n + 1: the highest of three says less than the highest of a thousand.
    return bisect_right(ranks, score) / (len(ranks) + 1)


def _ranks(index: Index, column: int) -> Sequence[float]:
    return sorted(score for score, _ in index.scores(column))
