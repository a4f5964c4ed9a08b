"""What memory the embedded model takes: ``python -m benchmarks.memory``.

Peak resident memory of whole processes that look at one image, and how much the encoder's arena
grows when the number of views changes from call to call.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks._results import conditions, met, write_section
from benchmarks.start import PICTURE

HEADING = "## Memory"
TARGET_MIB = 400
_PEAK = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""
_INSPECT = """
import sys
from clipvet.detectors import Inspector
with Inspector({arguments}) as inspector:
    record = inspector(sys.argv[1])
assert record.detections[0].score is not None, record
"""
_RUN = """
import sys
from clipvet.cli import main
try:
    main(["run", sys.argv[1], "--exit-zero", "-q", "--out", sys.argv[2] + "/run"])
except SystemExit as stop:
    assert not stop.code, stop
"""
_ARENA = """
import sys, json
import numpy as np
from pathlib import Path
from clipvet.detectors import Host
from clipvet.detectors.clip import Runtime, find_bundle
def rss():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
rng = np.random.default_rng(0)
seen = []
with Runtime(find_bundle(None, Host.load().bundles), needs={needs}, batch_size=8) as runtime:
    for call in range({calls}):
        sides = rng.integers(64, 640, (int(rng.integers(1, 20)), 2))
        views = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sides]
        runtime.encode_views(views)
        del views
        seen.append(rss())
print(json.dumps(seen))
"""
_TEXT = """
import json
from clipvet.detectors import Host
from clipvet.detectors.clip import Runtime, find_bundle
from clipvet.detectors.clip._session import Session
calls = []
run = Session.run
def counted(self, inputs):
    calls.append(len(inputs["input_ids"]))
    return run(self, inputs)
Session.run = counted
prompts = [f"a photo of a {state} {name}" for state in ("good", "bad", "red", "blue")
           for name in [f"part number {i}" for i in range(100)]]
with Runtime(find_bundle(None, Host.load().bundles), needs={"cls_embed"}) as runtime:
    runtime.encode_text(prompts)
print(json.dumps([len(prompts), len(calls)]))
"""


def output_of(code: str, *arguments: str) -> str:
    """The last line that a process of its own prints; its cache is empty."""
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, scratch],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CLIPVET_CACHE": f"{scratch}/cache", "CLIPVET_PLUGINS": ""},
        )
    return done.stdout.splitlines()[-1]


def peaks(code: str, rounds: int) -> list[float]:
    """Peak resident MiB of processes that look at one image."""
    return [float(output_of(code + _PEAK, str(PICTURE))) for _ in range(rounds)]


def grown(seen: Sequence[float]) -> tuple[float, float, float]:
    """Resident MiB after a tenth of the calls, at the end, and the most."""
    return seen[len(seen) // 10], seen[-1], max(seen)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=150, help="calls of changing numbers of views")
    args = parser.parse_args()
    six = ("winclip", "anomalyclip", "clipn", "vim", "inappropriate", "fooling")
    cases = {
        "`import clipvet.detectors`": "import clipvet.detectors",
        "`Inspector()` (winclip), `batch_size=1`": _INSPECT.format(arguments="batch_size=1"),
        "`Inspector()` (winclip)": _INSPECT.format(arguments=""),
        "`Inspector` without windows": _INSPECT.format(arguments="['inappropriate']"),
        "`Inspector` with six detectors": _INSPECT.format(arguments=repr(list(six))),
        "`detect run` with overlays": _RUN,
    }
    lines = []
    for name, code in cases.items():
        found = peaks(code, args.rounds)
        middle = statistics.median(found)
        lines.append(
            f"| {name} | {middle:.0f} | {min(found):.0f} to {max(found):.0f} "
            f"| <= {TARGET_MIB}: {met(middle, TARGET_MIB)} |"
        )
    arenas = []
    for name, needs, share in (("without windows", "{'cls_embed'}", 1.0),
                               ("with windows", "{'win2_embed', 'win3_embed'}", 0.1)):  # fmt: skip
        calls = math.ceil(args.calls * share)
        code = _ARENA.replace("{needs}", needs).replace("{calls}", str(calls))
        early, last, most = grown(json.loads(output_of(code)))
        arenas.append(
            f"- {calls} calls of 1 to 19 views of 64 to 640 pixels, batches of 8, {name}: "
            f"{early:.0f} MiB resident after a tenth of the calls, {last:.0f} at the end, at most "
            f"{most:.0f}."
        )
    prompts, text_calls = json.loads(output_of(_TEXT))
    section = "\n".join(
        [
            HEADING,
            "",
            conditions(
                f"Peak resident memory of whole processes that look at one image with the embedded "
                f"bundle, n = {args.rounds} each. `make bench-memory`."
            ),
            "",
            "| process | MiB, median | min to max | asked |",
            "|---|---:|---:|---|",
            *lines,
            "",
            *arenas,
            f"- {prompts} prompts are encoded in {text_calls} calls of the text tower.",
        ]
    )
    print(section)
    write_section(section)


if __name__ == "__main__":
    main()
