"""WinCLIP and its encoder against anomalib and eager open_clip, on this machine's CPU.

One random ViT-B-16-plus-240 and one 240-pixel image for all arms; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks._results import RESULTS, machine, write_section
from clipvet.detectors.clip._openvino import openvino_module

HERE = Path(__file__).resolve().parent
HEADING = "## WinCLIP zero-shot, few-shot and the image encoder"
REST = 0.5  # seconds between calls: threads of the arm before stop spinning

WHAT = {
    "zero-shot": "WinCLIP zero-shot, pixels to score and heatmap",
    "few-shot": "WinCLIP with 4 references, pixels to score and heatmap",
    "encoder": "image encoder, pixels to image embedding",
}
# (call, arm, reference arm, target of the ratio of their times)
COMPARISONS = (
    ("zero-shot", "clipvet", "anomalib", 2.2),
    ("zero-shot", "clipvet int8", "anomalib", 5.0),
    ("zero-shot", "clipvet openvino", "anomalib", 2.2),
    ("zero-shot", "clipvet openvino-bf16", "anomalib", 5.0),
    ("few-shot", "clipvet", "anomalib", 2.5),
    ("few-shot", "clipvet int8", "anomalib", 5.0),
    ("few-shot", "clipvet openvino", "anomalib", 2.5),
    ("few-shot", "clipvet openvino-bf16", "anomalib", 5.0),
    ("encoder", "clipvet", "open_clip", 1.5),
    ("encoder", "clipvet int8", "open_clip", 1.5),
    ("encoder", "clipvet openvino", "open_clip", 1.5),
    ("encoder", "clipvet openvino-bf16", "open_clip", 1.5),
)
EQUAL = ("clipvet", "clipvet openvino")  # float32: equal outputs are a condition
Comparison = tuple[str, str, str, float]
TOLERANCE = {"score": 1e-4, "map": 1e-4}  # absolute; embeddings: relative to their largest entry
EMBEDDING_TOLERANCE = 1e-5


@dataclass
class Worker:
    """One arm in its own process, with its own threads."""

    process: subprocess.Popen[str]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def start(cls, python: str, arm: str, folder: Path, threads: int) -> Self:
        """Start the arm; the first answer comes when its model is loaded."""
        command = [python, "-m", "benchmarks._winclip_arms", arm, str(folder)]
        return cls(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=_environment(threads),
                cwd=HERE.parent,
            )
        )

    def ask(self, **request: str) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"an arm ended early with status {self.process.wait()}: see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def time(self, call: str, *, keep: bool) -> None:
        """Time one call, from its input to its arrays."""
        seconds = self.ask(do="time", call=call)["seconds"]
        if keep:
            self.seconds.setdefault(call, []).append(seconds)
        time.sleep(REST)

    def stop(self) -> None:
        """End the process by closing its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all arms and write the section of RESULTS.md; 1, and no section, if outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--anomalib-python", required=True, help="interpreter of the environment with anomalib"
    )
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds, at least 5")
    parser.add_argument("--threads", type=int, default=2, help="threads of each arm")
    parser.add_argument("--out", type=Path, default=RESULTS, help="Markdown to update")
    options = parser.parse_args(arguments)
    if options.rounds < 5:
        parser.error("fewer than 5 rounds say nothing about spread")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [sys.executable, "-m", "benchmarks._winclip_arms", "prepare", name],
            check=True,
            env=_environment(options.threads),
            cwd=HERE.parent,
        )
        comparisons = [one for one in COMPARISONS if runs_here(one[1])]
        arms = dict.fromkeys(arm for _call, *pair, _target in comparisons for arm in pair)
        workers = {
            arm: Worker.start(
                options.anomalib_python if arm == "anomalib" else sys.executable,
                arm,
                folder,
                options.threads,
            )
            for arm in arms
        }
        try:
            run_rounds(workers, comparisons, options.rounds)
            differences = compare(workers, comparisons)
            section = report(workers, comparisons, differences, options.rounds, options.threads)
        finally:
            for worker in workers.values():
                worker.stop()
    print(section)
    wrong = [
        f"{call}: {name} differs by {difference:.1e}"
        for (call, arm), found in differences.items()
        if arm in EQUAL
        for name, difference in found.items()
        if not difference <= TOLERANCE.get(name, EMBEDDING_TOLERANCE)
    ]
    if wrong:
        print("outputs are not equal, nothing is written:", *wrong, sep="\n", file=sys.stderr)
        return 1
    write_section(section, options.out)
    return 0


def runs_here(arm: str) -> bool:
    """OpenVINO is optional, and not every processor multiplies bfloat16."""
    if "openvino" not in arm:
        return True
    if find_spec("openvino") is None:
        return False
    core = openvino_module().Core()
    return "bf16" not in arm or "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def run_rounds(
    workers: Mapping[str, Worker], comparisons: Sequence[Comparison], rounds: int
) -> None:
    """Two warm-up rounds, then the timed ones; the arm that begins changes each round."""
    pairs = [(arm, call) for call, *arms, _target in comparisons for arm in arms]
    plan = list(dict.fromkeys(pairs))
    for turn in range(-2, rounds):
        for arm, call in plan if turn % 2 else plan[::-1]:
            workers[arm].time(call, keep=turn >= 0)


def compare(
    workers: Mapping[str, Worker], comparisons: Sequence[Comparison]
) -> dict[tuple[str, str], dict[str, float]]:
    """Of each output that two arms share, the largest difference; of int8 and bf16, the cosine."""
    differences: dict[tuple[str, str], dict[str, float]] = {}
    for call, arm, reference, _target in comparisons:
        ours, theirs = (
            np.load(workers[name].ask(do="outputs", call=call, **{"as": f"{name}-{call}"})["path"])
            for name in (arm, reference)
        )
        found = differences[call, arm] = {}
        for name in theirs.files:
            if arm not in EQUAL and name not in TOLERANCE:
                found[f"cosine of {name}"] = _least_cosine(ours[name], theirs[name])
                continue
            scale = 1.0 if name in TOLERANCE else float(np.abs(theirs[name]).max())
            largest = float(np.abs(ours[name] - theirs[name]).max())
            found[name] = largest / scale
        for name in ("win2_embed", "win3_embed"):
            if name in theirs and not np.ptp(theirs[name], axis=1).any():
                raise SystemExit(f"{reference} gives one embedding for all windows ({name})")
    return differences


def _least_cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    return float(((ours * theirs).sum(-1) / lengths).min())


def report(
    workers: Mapping[str, Worker],
    comparisons: Sequence[Comparison],
    differences: Mapping[tuple[str, str], Mapping[str, float]],
    rounds: int,
    threads: int,
) -> str:
    """The section of RESULTS.md."""
    gemm: dict[str, float] = {}
    versions: dict[str, dict[str, str]] = {}
    for arm, worker in workers.items():
        versions[arm] = worker.ask(do="versions")["versions"]
        if arm in {"clipvet", "open_clip"}:
            gemm |= worker.ask(do="gemm")["gflops"]
    rows: dict[tuple[str, str], str] = {}
    verdicts, equal = [], []
    for call, arm, reference, target in comparisons:
        for name in (reference, arm):
            seconds = workers[name].seconds[call]
            median = statistics.median(seconds)
            flops = workers[name].ask(do="flops", call=call)["flops"] / 1e9
            rows[call, name] = (
                f"| {WHAT[call]} | {name} | {median:.3f} | {min(seconds):.3f} to "
                f"{max(seconds):.3f} | {flops:.1f} | {flops / median:.0f} |"
            )
        ours, theirs = (workers[name].seconds[call] for name in (arm, reference))
        ratio = statistics.median(theirs) / statistics.median(ours)
        paired = [b / a for a, b in zip(ours, theirs, strict=True)]
        verdicts.append(
            f"- {WHAT[call]}: {arm} **{ratio:.2f}x** faster than {reference} (medians; by round "
            f"{min(paired):.2f} to {max(paired):.2f}); target {target}x, "
            f"{'met' if ratio >= target else 'missed'}."
        )
        found = ", ".join(
            f"{name} {value:.5f}" if name.startswith("cosine") else f"{name} {value:.1e}"
            for name, value in differences[call, arm].items()
        )
        equal.append(f"  - {call}, {arm} against {reference}: {found}")
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in gemm.items())
    packages = "; ".join(
        f"{arm}: " + ", ".join(f"{name} {number}" for name, number in found.items())
        for arm, found in versions.items()
    )
    return "\n".join(
        [
            HEADING,
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, {threads} threads per arm.",
            "fp32; int8 with a scale for each row of activations; `--device openvino` (fp32) and",
            "`openvino-bf16`. In each a view's numbers are free of what it is encoded with.",
            f"One 240x240 image, n = {rounds} alternating rounds after 2 for warming up.",
            "The same random ViT-B-16-plus-240 parameters in every arm.",
            "",
            "| what | arm | median s | min to max s | GFLOP | GFLOP/s |",
            "|---|---|---:|---:|---:|---:|",
            *rows.values(),
            "",
            *verdicts,
            f"- Single-precision 2048x2048x2048 product on the same threads, GFLOP/s: {rates}.",
            "- Equal fp32 outputs are a condition of this table. Largest difference (score, map:",
            "  absolute, at most 1e-4; embeddings: relative to the largest, at most 1e-5); for",
            "  int8 and bf16 the least cosine of an embedding:",
            *equal,
            f"- Python {platform.python_version()}; {packages}.",
            "",
        ]
    )


def _environment(threads: int) -> dict[str, str]:
    count = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, count), "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    sys.exit(main())
