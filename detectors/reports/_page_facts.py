"""What the page says beside its images: counts, histograms, notes, provenance."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from clipvet.detectors.heatmaps._overlays import colours
from clipvet.detectors.records._ids import escaped
from clipvet.detectors.reports._calibrations import Calibrations
from clipvet.detectors.reports._facts import RunFacts
from clipvet.detectors.reports._histograms import histogram
from clipvet.detectors.reports._index import Index, Row
from clipvet.detectors.reports._paths import Masker
from clipvet.detectors.reports._provenance import provenance
from clipvet.detectors.runs._removal import REPORT_MARK

__all__ = ["page_facts"]


def page_facts(
    facts: RunFacts, index: Index, calibrations: Calibrations, masker: Masker, *, blurred: bool
) -> dict[str, Any]:
    """What the template asks for, entries apart; ``report`` is read by the page's scripts.

    Args:
        facts: of the run.
        index: of its records.
        calibrations: that scores are shown against.
        masker: of paths.
        blurred: sensitive pictures hold nothing that could be shown.
    """
    return {
        "mark": REPORT_MARK,
        "title": escaped(facts.folder.absolute().name) or "run",
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "version": metadata.version("clipvet"),
        "count": len(index.rows),
        "detectors": [column.id for column in index.columns],
        "note": calibrations.note,
        "notes": [masker.text(note) for note in _notes(facts, index)],
        "sections": provenance(facts, masker),
        "report": {
            # Of this run and no other, resumed or not: marks are kept under it.
            "key": f"{facts.state.get('configuration_sha256')} {facts.state.get('started')}",
            "columns": [
                _column(index, number, calibrations) for number in range(len(index.columns))
            ],
            "together": _together(index, calibrations),
            "thresholds": [one.model_dump() for _, one in index.thresholds],
            "rows": [_row(row) for row in index.rows],
            "colours": base64.b64encode(colours().tobytes()).decode(),
            "blurred": blurred,
        },
    }


def _notes(facts: RunFacts, index: Index) -> list[str]:
    notes = []
    if facts.status != "finished":
        notes.append(f"The run is {facts.status}: this shows what it had judged.")
    for name in ("warnings", "problems"):
        notes += [str(line) for line in facts.state.get(name) or ()]
    if index.lost_lines:
        notes.append(f"Lines of records.jsonl that cannot be read: {index.lost_lines}.")
    return notes


def _column(index: Index, number: int, calibrations: Calibrations) -> dict[str, Any]:
    column = index.columns[number]
    counts = histogram(
        index.scores(number),
        good=calibrations.of.get(column.id),
        thresholds=_thresholds(index, number),
    )
    return {
        "id": column.id,
        "version": column.version,
        "task": column.task,
        "span": column.span,
        "histogram": None if counts is None else counts.to_json(),
    }


def _together(index: Index, calibrations: Calibrations) -> dict[str, Any] | None:
    counts = histogram(
        index.combined(), good=calibrations.together, thresholds=_thresholds(index, None)
    )
    if counts is None or index.combination is None:
        return None
    combination, detectors = index.combination
    return {"combination": combination, "detectors": detectors, "histogram": counts.to_json()}


def _thresholds(index: Index, column: int | None) -> list[float]:
    return [facts.value for number, facts in index.thresholds if number == column]


def _row(row: Row) -> list[Any]:
    cells = {
        str(number): [cell.score, cell.p_value, cell.verdict, cell.status]
        for number, cell in row.cells.items()
    }
    return [row.id, row.verdict, row.status, cells, row.text, int(row.sensitive), row.decided_by]
