"""What a report of 10,000 images costs: ``python -m benchmarks.report``.

A run folder of rendered parts and invented scores is made, ``detect report`` writes its page, and
a headless Chromium opens it from the disk. Printed: size, time and peak memory of the writing;
time from opening the page until it answers, and from a key stroke until the filtered page is
painted. Every browser number is the median of the rounds, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._browser import open_browser
from benchmarks._report_run import make_run

READY = "return performance.getEntriesByName('ready')[0].startTime"
# Two frames: the first runs before the painting of the change, the second after it.
FILTER = """
const [kind, value, done] = arguments;
const start = performance.now();
const control = document.getElementById(kind);
control.value = value;
control.dispatchEvent(new Event(kind === "search" ? "input" : "change"));
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
"""
STEPS = (
    ("type a search that leaves 1", "search", "part_004321"),
    ("clear the search", "search", ""),
    ("type a search that leaves one in 7", "search", "line3/"),
    ("clear the search", "search", ""),
    ("choose a detector", "detector", "1"),
    ("choose all detectors", "detector", ""),
    ("order by name", "order", "name"),
    ("order worst first", "order", "worst"),
)


def write(run: Path, *options: str) -> tuple[float, float]:
    """Write a report; returns seconds and the peak memory in MB."""
    command = Path(sys.executable).with_name("detect")
    start = time.perf_counter()
    process = os.spawnv(  # noqa: S606
        os.P_NOWAIT, command, [str(command), "report", str(run), *options]
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit("detect report failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def look(page: Path, rounds: int) -> tuple[list[float], dict[str, list[float]]]:
    """Open the page and filter it: milliseconds until it answers, and of each step."""
    ready: list[float] = []
    steps: dict[str, list[float]] = {}
    for _ in range(rounds):
        with open_browser() as chrome:
            chrome.get(page.absolute().as_uri())
            ready.append(float(chrome.execute_script(READY)))
            for words, control, value in STEPS:
                spent: Any = chrome.execute_async_script(FILTER, control, value)
                steps.setdefault(words, []).append(float(spent))
    return ready, steps


def spread(values: Sequence[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(values):.0f} ms ({min(values):.0f} to {max(values):.0f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="make the run folder here and keep it")
    args = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{args.images} images, n = {args.rounds} rounds"
    )
    with tempfile.TemporaryDirectory() as scratch:
        run = make_run(args.keep or Path(scratch) / "data", args.images)
        for options, page in (((), "report.html"), (("--folder",), "report/index.html")):
            seconds, memory = write(run, "-q", *options)
            size = (run / page).stat().st_size / 1e6
            print(f"\n{page}: {size:.1f} MB, written in {seconds:.1f} s, peak {memory:.0f} MB")
            ready, steps = look(run / page, args.rounds)
            print(f"  until it answers: {spread(ready)}")
            for words, times in steps.items():
                print(f"  {words}: {spread(times)}")


if __name__ == "__main__":
    main()
