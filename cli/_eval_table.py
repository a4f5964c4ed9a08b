"""An evaluation on one screen: verdicts, then images and pixels of each detector."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from clipvet.cli._text import shown
from clipvet.detectors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clipvet.detectors import DetectorEvaluation, EvalSummary, Evaluation

__all__ = ["print_evaluation"]

_WIDTH_OF_A_FILE = 100
_FAILURES_SHOWN = 5


def print_evaluation(summary: EvalSummary, console: Console | None = None) -> None:
    """Print it; where stdout is no terminal, as plain text."""
    if console is None:
        console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
    found = summary.evaluation
    _head(console, found, summary.seconds)
    _verdicts(console, found)
    for one in found.detectors:
        method = f"  [dim]{shown(one.method)}[/]" if one.method else ""
        gate = "  [dim]gate[/]" if one.gate else ""
        console.print(f"\n[bold]{shown(one.detector)}[/]{method}{gate}", highlight=False)
        _images(console, one)
        _pixels(console, one)
    _legend(console, found)
    _failures(console, found)
    for note in found.notes:
        _line(console, "[dim]-[/]", shown(note))
    if summary.out is not None:
        places = {"result": summary.out / "eval.json", "records": summary.out / "records.jsonl"}
        if summary.curves:
            places["curves"] = summary.curves[0].parent
        for name, place in places.items():
            text = f"{name:>7}  [bold]{shown(shlex.quote(str(place)))}[/]"
            console.print(text, highlight=False, soft_wrap=True)


def _head(console: Console, found: Evaluation, seconds: float) -> None:
    counts = found.images
    defects, masks = sum(counts.defects.values()), sum(counts.masks.values())
    types = counted(len(counts.defects), "type")
    parts = [f"[bold]{counts.good} good, {counted(defects, 'defective image')}[/] of {types}"]
    parts.append(f"{masks} with a mask")
    if counts.unreadable:
        parts.append(f"[yellow]{counts.unreadable} unreadable[/]")
    if counts.abstained:
        parts.append(f"[yellow]{counts.abstained} abstained[/]")
    console.print(f"\n{', '.join(parts)}", highlight=False)
    where = f"{found.folder} ({found.layout}), {found.bundle}, {found.provider}, {seconds:.1f} s"
    console.print(f"[dim]{shown(where)}[/]", highlight=False, soft_wrap=True)


def _verdicts(console: Console, found: Evaluation) -> None:
    if found.good is None or found.defects is None:
        return
    promise = "no share of false alarms is promised: bad images chose the threshold"
    if found.promised_rate is not None:
        promise = f"promised: at most {100 * found.promised_rate:g} % of good images are flagged"
    console.print(
        f"\n[bold]verdicts of the recipe[/]  [dim]{promise}[/]", highlight=False, soft_wrap=True
    )
    table = _table("images", "n", "flagged", "abstained", "passed", "errors")
    rows = {"good": found.good, **found.types}
    if len(found.types) > 1:
        rows["all defects"] = found.defects
    for name, row in rows.items():
        flagged, abstained = (
            "" if rate is None else _percent_cell(rate.value, rate.low, rate.high)
            for rate in (row.flagged, row.abstained)
        )
        cells = [str(row.n), flagged, abstained, str(row.passed), str(row.errors or "")]
        table.add_row(shown(name), *cells)
    console.print(table)


def _images(console: Console, detector: DetectorEvaluation) -> None:
    table = _table("images", "good+bad", "AUROC", "AP", "F1-max", "FPR95\ndefect+", "FPR95\ngood+")
    rows = [(name, one.image) for name, one in detector.types.items()]
    if len(rows) > 1:
        rows.append(("all", detector.all.image))
    rows.append(("not abstained", detector.not_abstained))
    for name, metrics in rows:
        if metrics is None:
            continue
        estimates = (
            metrics.auroc,
            metrics.average_precision,
            metrics.f1_max,
            metrics.fpr95_defect_positive,
            metrics.fpr95_good_positive,
        )
        cells = [_cell(one.value, one.low, one.high) for one in estimates]
        table.add_row(shown(name), f"{metrics.good}+{metrics.defect}", *cells)
    if table.rows:
        console.print(table)
    if detector.unscored:
        _line(console, "[dim]-[/]", f"{counted(detector.unscored, 'image')} without a score")


def _pixels(console: Console, detector: DetectorEvaluation) -> None:
    table = _table("pixels", "good+bad", "regions", "AUROC", "AP", "F1-max", "AUPRO")
    rows = [(name, one.pixel) for name, one in detector.types.items()]
    if len(rows) > 1:
        rows.append(("all", detector.all.pixel))
    for name, metrics in rows:
        if metrics is None:
            continue
        numbers = (metrics.auroc, metrics.average_precision, metrics.f1_max, metrics.aupro)
        cells = [f"{metrics.good}+{metrics.defect}", str(metrics.regions)]
        table.add_row(shown(name), *cells, *map(_number, numbers))
    if table.rows:
        console.print(table)


def _legend(console: Console, found: Evaluation) -> None:
    console.print()
    for line in _sentences(found):
        _line(console, "[dim]-[/]", f"[dim]{line}[/]")


def _sentences(found: Evaluation) -> Iterator[str]:
    yield (
        "FPR95 defect+: share of good images flagged where 95 % of defects are caught; good+: "
        "share of defects accepted where 95 % of good images are accepted"
    )
    if any(one.all.pixel is not None for one in found.detectors):
        yield "AUPRO: 8-connected regions, up to a false positive rate of 0.3"
    drawn = found.bootstrap
    if drawn.draws:
        draws = counted(drawn.draws, "draw")
        spans = f"95 % intervals: bootstrap over images, {draws}, seed {drawn.seed}"
        yield f"{spans}; of verdicts Clopper-Pearson" if found.good is not None else spans
    lost = found.images.unreadable or any(one.unscored for one in found.detectors)
    if lost:
        yield "metrics are over the images that were scored"


def _failures(console: Console, found: Evaluation) -> None:
    if not found.failures:
        return
    console.print(f"[yellow]{counted(len(found.failures), 'failure')}[/], first of them:")
    for failure in found.failures[:_FAILURES_SHOWN]:
        known = failure.image.rpartition("/")[2] in failure.reason
        text = failure.reason if known else f"{failure.image}: {failure.reason}"
        console.print(f"  {shown(text)}", highlight=False, soft_wrap=True)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", vertical="top")
    return table


def _cell(value: float, low: float, high: float) -> str:
    """The value, and its interval below if it has one, short enough for 80 columns."""
    if low == high == value:
        return _number(value)
    ends = (f"{end:.2f}".removeprefix("0") for end in (low, high))
    return f"{_number(value)}\n[dim]{'-'.join(ends)}[/]"


def _percent_cell(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} %\n[dim]{100 * low:.1f}-{100 * high:.1f} %[/]"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _line(console: Console, mark: str, text: str) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(mark, text)
    console.print(grid, highlight=False)
