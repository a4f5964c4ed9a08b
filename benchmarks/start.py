"""What a cold process costs before it is of use: ``python -m benchmarks.start``.

Every command is a process of its own, started in turn with ``python -c pass``, whose time is taken
off. The cache of text embeddings is empty each time; files are in the memory of the system.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._results import conditions, met, write_section

HEADING = "## Start"
PICTURE = next(
    iter(sorted((Path(__file__).parents[1] / "sample_data" / "parts" / "good").glob("*")))
)
_SCORE = """
import sys
from clipvet.detectors import Inspector
with Inspector({arguments}) as inspector:
    record = inspector(sys.argv[1])
assert record.detections[0].score is not None, record
"""


@dataclass(frozen=True)
class Command:
    """What is started, and the excess over Python that is asked for, in seconds."""

    name: str
    command: tuple[str, ...]
    target: float | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def commands() -> list[Command]:
    """Python alone first: it is the base of the others."""
    python, detect = sys.executable, str(Path(sys.executable).with_name("detect"))
    picture = str(PICTURE)

    def score(arguments: str) -> tuple[str, ...]:
        return (python, "-c", _SCORE.format(arguments=arguments), picture)

    run = (detect, "run", picture, "--exit-zero", "--heatmaps", "none", "--out", "{scratch}/run")
    return [
        Command("`python -c pass`", (python, "-c", "pass")),
        Command("`import numpy`", (python, "-c", "import numpy")),
        Command("`detect --version`", (detect, "--version"), 0.2),
        Command("`import clipvet.detectors`", (python, "-c", "import clipvet.detectors"), 0.3),
        Command(
            "plugins loaded (`Host.load()`)",
            (python, "-c", "from clipvet.detectors import Host; Host.load()"),
        ),
        Command("first score (`Inspector()`)", score("warmup=False"), 1.5),
        Command("first score, warmed up before", score("")),
        Command('first score of a "bottle"', score("object='bottle', warmup=False")),
        Command("first score without windows", score("['inappropriate'], warmup=False")),
        Command("`detect run` on one image", run),
    ]


def measure(command: Command) -> None:
    """Start it once with an empty cache."""
    with tempfile.TemporaryDirectory() as scratch:
        before = os.times()
        start = time.perf_counter()
        subprocess.run(
            [part.replace("{scratch}", scratch) for part in command.command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "CLIPVET_CACHE": f"{scratch}/cache", "CLIPVET_PLUGINS": ""},
        )
        command.wall.append(time.perf_counter() - start)
        after = os.times()
        command.cpu.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )


def report(found: list[Command], rounds: int) -> str:
    """The section."""
    base = statistics.median(found[0].wall)
    lines = [
        HEADING,
        "",
        conditions(
            f"n = {rounds} rounds of all commands. Excess: wall seconds less the median of "
            "`python -c pass`; CPU: of all threads. `make bench-start`."
        ),
        "",
        "| process | excess s, median | min to max | CPU s, median | asked |",
        "|---|---:|---:|---:|---|",
    ]
    for one in found:
        excess = [seconds - base for seconds in one.wall]
        middle = statistics.median(excess)
        asked = "" if one.target is None else f"<= {one.target}: {met(middle, one.target)}"
        lines.append(
            f"| {one.name} | {middle:.3f} | {min(excess):.3f} to {max(excess):.3f} "
            f"| {statistics.median(one.cpu):.2f} | {asked} |"
        )
    lines += ["", f"Python itself: {base:.3f} s."]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    found = commands()
    for number in range(rounds + 1):
        for one in found:
            measure(one)
            if not number:  # the first round brings the files into memory
                one.wall.clear()
                one.cpu.clear()
    section = report(found, rounds)
    print(section)
    write_section(section)


if __name__ == "__main__":
    main()
