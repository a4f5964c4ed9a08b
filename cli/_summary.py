"""The end of a run in one screen: what came out, the worst images, where to look next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from clipvet.cli._text import shown
from clipvet.detectors import counted

if TYPE_CHECKING:
    from clipvet.detectors import Host, RunSummary, SetSummary, WorstImage

__all__ = ["print_summary"]

_COLOURS = {"pass": "green", "flag": "red", "abstain": "yellow", "error": "yellow", "none": "dim"}
_WORDS = {"none": "not judged"}


def print_summary(
    summary: RunSummary,
    host: Host,
    *,
    recipe: Path | None = None,
    to_stderr: bool = False,
    console: Console | None = None,
) -> None:
    """Print the summary.

    Args:
        summary: of the run.
        host: whose failures are mentioned.
        recipe: that was used.
        to_stderr: keep stdout for records.
        console: to print on.
    """
    console = console or Console(stderr=to_stderr)
    console.print()
    _counts(console, summary)
    _worst(console, summary)
    _failures(console, summary)
    _notes(console, summary, host, recipe)


def _counts(console: Console, summary: RunSummary) -> None:
    tally = summary.tally
    parts = [
        f"[{_COLOURS[name]}]{count} {_WORDS.get(name, name)}[/]"
        for name in ("pass", "flag", "abstain", "none", "error")
        if (count := tally.verdicts[name])
    ]
    new = tally.images - summary.resumed
    rate = f", {new / max(summary.seconds, 1e-9):.1f} images/s" if new else ""
    resumed = f" ({summary.resumed} from before)" if summary.resumed else ""
    console.print(
        f"[bold]{counted(tally.images, 'image')}[/]{resumed}: {', '.join(parts) or 'none found'}"
        f"   [dim]{summary.seconds:.1f} s{rate}, {shown(summary.provider)}[/]",
        highlight=False,
    )
    if new:
        console.print(f"[dim]{shown(summary.pace)}[/]", highlight=False)


def _worst(console: Console, summary: RunSummary) -> None:
    for detector, images in summary.tally.worst().items():
        judged = any(image.p_value is not None for image in images)
        table = Table(title=f"highest scores of {shown(detector)}", title_justify="left", box=None)
        table.add_column("score", justify="right")
        if judged:
            table.add_column("p", justify="right")
            table.add_column("verdict")
        table.add_column("image", overflow="fold")
        for image in images:
            table.add_row(*_row(image, judged=judged))
        console.print(table)


def _row(image: WorstImage, *, judged: bool) -> list[str]:
    row = [f"{image.score:.4f}"]
    if judged:
        verdict = image.verdict or "none"
        row.append("" if image.p_value is None else f"{image.p_value:.3f}")
        row.append(f"[{_COLOURS[verdict]}]{_WORDS.get(verdict, verdict)}[/]")
    return [*row, shown(image.image)]


def _failures(console: Console, summary: RunSummary) -> None:
    tally = summary.tally
    if tally.failures:
        console.print(f"[yellow]{counted(tally.failed, 'image')} failed[/], first of them:")
        for image, reason in tally.failures[:5]:
            text = reason if image.rpartition("/")[2] in reason else f"{image}: {reason}"
            console.print(f"  {shown(text)}", highlight=False, soft_wrap=True)
    for problem in summary.problems:
        console.print(f"  {shown(problem)}", highlight=False, soft_wrap=True)


def _notes(console: Console, summary: RunSummary, host: Host, recipe: Path | None) -> None:
    tally = summary.tally
    notes = []
    if tally.scored and not tally.judged:
        notes.append(
            f"{counted(tally.scored, 'image')} scored, none judged: fit a recipe with "
            "`detect fit GOOD/ --out RECIPE`"
        )
    explained = {one.detector for one in summary.sets if one.notes}
    for detector, count in tally.not_applicable.items():
        if detector in explained:
            continue
        notes.append(f"{detector} did not apply to {counted(count, 'image')}: its query is missing")
    notes += [note for one in summary.sets for note in _sets(one)]
    if recipe is None and summary.object in (None, "object") and tally.scored:
        notes.append('detectors were told to expect an "object": say what it is with --object')
    notes += [
        f"bundle {name}: {text.removeprefix(f'{name}: ')}" for name, text in summary.bundles.items()
    ]
    notes += summary.warnings
    if summary.ignored:
        passed_over = ", ".join(f"{count} {why}" for why, count in sorted(summary.ignored.items()))
        notes.append(f"passed over: {passed_over}")
    if host.failures:
        failed = counted(len(host.failures), "plugin failure")
        notes.append(f"{failed}: see detect plugins list")
    for note in notes:
        line = Table.grid(padding=(0, 1))
        line.add_row("[dim]-[/]", shown(note))
        console.print(line, highlight=False)
    _where(console, summary)


def _sets(found: SetSummary) -> list[str]:
    if found.error is not None:
        return [found.error]
    parts = [
        f"{counted(count, 'group')} of {kind} images ({found.images[kind]})"
        for kind, count in sorted(found.groups.items())
    ]
    if not parts and not found.notes:
        parts = ["no groups of images"]
    groups = [f"{found.detector}: {', '.join(parts)}"] if parts else []
    return [*groups, *found.notes]


def _where(console: Console, summary: RunSummary) -> None:
    places: dict[str, Path | str | None] = {"records": summary.records, "table": summary.table}
    places["regions"] = summary.regions
    for name in ("overlays", "heatmaps"):
        if (summary.out / name).is_dir():
            places[{"overlays": "pictures"}.get(name, name)] = summary.out / name
    if any(one.file for one in summary.sets):
        places["sets"] = summary.out / "sets"
    if summary.tally.failed and (summary.out / "failures.jsonl").is_file():
        places["failures"] = summary.out / "failures.jsonl"
    width = max(len(name) for name in places)
    for name, place in places.items():
        if place is not None:
            path = shown(shlex.quote(str(place)))
            console.print(f"{name:>{width}}  [bold]{path}[/]", highlight=False, soft_wrap=True)
