"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clipvet.detectors import counted

if TYPE_CHECKING:
    from rich.console import Console

    from clipvet.detectors import Progress

__all__ = ["progress_display", "steps_display"]

Show = Callable[["Progress"], None]
Step = Callable[[str, int, int], None]

_LINE_EVERY_S = 10.0


@contextmanager
def progress_display(*, quiet: bool = False, console: Console | None = None) -> Iterator[Show]:
    """Yield what a run calls after every image."""
    if quiet:
        yield _nothing
    elif console is not None or sys.stderr.isatty():
        with _bar(console) as show:
            yield show
    else:
        yield _lines()


@contextmanager
def steps_display(name: str, *, quiet: bool = False) -> Iterator[Step]:
    """Yield what a fit or an evaluation calls: what it does, how much is done, and of how much."""
    if quiet or not sys.stderr.isatty():
        yield lambda _doing, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    from clipvet.cli._text import shown

    with Progress(console=Console(file=sys.stderr), redirect_stdout=False) as display:
        task = display.add_task(name, total=None)

        def show(doing: str, done: int, total: int) -> None:
            display.update(task, description=shown(doing), completed=done, total=total)

        yield show


def _nothing(_progress: Progress) -> None:
    pass


@contextmanager
def _bar(console: Console | None) -> Iterator[Show]:
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(bar_width=None),
        bar.MofNCompleteColumn(),
        bar.TextColumn("{task.fields[rate]}"),
        bar.TimeRemainingColumn(),
        bar.TextColumn("[red]{task.fields[flagged]} flagged[/]"),
        bar.TextColumn("[yellow]{task.fields[failed]} failed[/]"),
    )
    # The stream of now: detectors' prints are kept off sys.stderr while they run.
    console = console or Console(file=sys.stderr)
    with bar.Progress(
        *columns, console=console, redirect_stdout=False, redirect_stderr=False
    ) as display:
        task = display.add_task("starting", total=None, rate="", flagged=0, failed=0)
        started: tuple[float, int] | None = None

        def show(progress: Progress) -> None:
            nonlocal started
            now = time.perf_counter()
            start, first = started = started or (now, progress.done)
            rate = (progress.done - first) / (now - start) if now > start else 0.0
            display.update(
                task,
                description="judging",
                completed=progress.done,
                total=progress.total,
                rate=f"{rate:.1f} images/s" if rate else "",
                flagged=progress.flagged,
                failed=progress.failed,
            )

        yield show


def _lines() -> Show:
    stream, last = sys.stderr, time.perf_counter()

    def show(progress: Progress) -> None:
        nonlocal last
        now = time.perf_counter()
        finished = progress.done == progress.total
        if now - last < _LINE_EVERY_S and not finished:
            return
        last = now
        images = counted(progress.done, "image")
        if progress.total is not None:
            images = f"{progress.done} of {counted(progress.total, 'image')}"
        stream.write(f"{images}, {progress.flagged} flagged, {progress.failed} failed\n")
        stream.flush()

    return show
