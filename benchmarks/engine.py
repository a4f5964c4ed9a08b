"""How near the CPU engine comes to the machine: ``python -m benchmarks.engine``.

First the limit: single-precision and int8 matrix products of each library at hand. Then the FLOPs
of each pruned graph, and its rate, in fp32 and in int8, on the embedded bundle and on random
weights of three towers. Everything takes turns: rates of products are measured again in every
round. At last what int8 changes on rendered pictures. Writes its section of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._int8_twin import int8_twin
from benchmarks._rates import GEMM, gemm_model, gemm_operands, graph_flops, int8_gemm_model
from benchmarks._results import machine, write_section
from benchmarks._same_pictures import compared_on_pictures
from benchmarks.winclip import HERE, runs_here
from clipvet.detectors import Host
from clipvet.detectors.clip import Bundle, Device, PixelBatch, find_bundle, open_session
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip.export import RandomWeights, load_model

HEADING = "## The CPU engine and the limit of the machine"
MODELS = ("mini", "ViT-B-16", "ViT-B-16-plus-240", "ViT-L-14-336")
NEEDS = {
    "image embedding": ("cls_embed",),
    "with windows": ("cls_embed", "win2_embed", "win3_embed"),
}
# 4500 GFLOP a view: not in a benchmark that one waits for.
LEFT_OUT = {("ViT-L-14-336", "with windows")}
ASKED = 0.90
OPENVINO: tuple[Device, ...] = ("openvino", "openvino-bf16")


@dataclass
class Arm:
    """One thing that is timed; ``flops`` of one call."""

    name: str
    call: Callable[[], Any]
    flops: float
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """GFLOP/s, of the median time."""
        return self.flops / statistics.median(self.seconds) / 1e9


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--programs", type=int, default=20, help="of rendered parts; 0: none")
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="seconds of the processor instead of the clock's: on a busy machine, with --threads 1",
    )
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    args = parser.parse_args(arguments)
    clock = time.process_time if args.cpu_seconds else time.perf_counter
    limits = _limits(args.threads)
    rows: list[str] = []
    changed: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for model in args.models:
            bundles = _bundles(model, Path(scratch))
            for what, needs in NEEDS.items():
                if (model, what) in LEFT_OUT:
                    continue
                plain, int8 = bundles
                arms = [
                    _arm("fp32", plain, needs, args.threads),
                    _arm("int8", int8, needs, args.threads),
                    *(
                        _arm(device, plain, needs, args.threads, device)
                        for device in OPENVINO
                        if runs_here(device)
                    ),
                ]
                _take_turns([*arms, *limits], args.rounds, clock)
                rows += _rows(model, what, arms, limits)
                for limit in limits:
                    limit.seconds.clear()
            if model == "mini" and args.programs:
                cheaper: dict[str, tuple[Bundle, Device]] = {"int8": (bundles[1], "cpu")}
                if runs_here("openvino-bf16"):
                    cheaper["bfloat16"] = (bundles[0], "openvino-bf16")
                changed = {
                    name: compared_on_pictures((bundles[0], "cpu"), encoder, args.programs)
                    for name, encoder in cheaper.items()
                }
    section = _section(rows, changed, args)
    print(section)
    write_section(section, args.out)


def _limits(threads: int) -> list[Arm]:
    """Square products of each library, fp32 first."""
    left, right = gemm_operands()
    sums = open_session(gemm_model(right), Path(), device="cpu", threads=threads)
    integers = open_session(int8_gemm_model(), Path(), device="cpu", threads=threads)
    small = np.full((GEMM, GEMM), 200, np.uint8)
    flops = 2.0 * GEMM**3
    arms = [
        Arm("onnxruntime", lambda: sums.run({"left": left}), flops),
        Arm("numpy", lambda: left @ right, flops),
        Arm("onnxruntime int8", lambda: integers.run({"left": small}), flops),
    ]
    arms += [
        _openvino_limit(left, right, device, threads) for device in OPENVINO if runs_here(device)
    ]
    try:
        import torch
    except ImportError:
        return arms
    torch.set_num_threads(threads)
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    return [*arms, Arm("torch", lambda: a @ b, flops)]


def _openvino_limit(left: Any, right: Any, device: Device, threads: int) -> Arm:
    batch = PixelBatch(
        rows=GEMM,
        preprocessing=find_bundle(None, Host.load().bundles).manifest.preprocessing,
        weights="",
    )
    session = open_session(gemm_model(right), Path(), device=device, threads=threads, batch=batch)
    return Arm(device, lambda: session.run({"left": left}), 2.0 * GEMM**3)


def _bundles(model: str, folder: Path) -> tuple[Bundle, Bundle]:
    """A model in fp32 (mini: fp16 on disk, the same sums) and in int8."""
    if model == "mini":
        embedded = Path(__file__).resolve().parent.parent / "detectors" / "clip" / "mini"
        bundle = find_bundle(embedded, {})
        return bundle, int8_twin(bundle, folder / "mini")
    loaded = load_model(model, RandomWeights(seed=0))
    return (
        loaded.export(folder / f"{model}-fp32"),
        loaded.export(folder / f"{model}-int8", precision="int8"),
    )


def _arm(
    name: str, bundle: Bundle, needs: Sequence[str], threads: int, device: Device = "cpu"
) -> Arm:
    path = bundle.folder / "vision.onnx"
    batch = _one_view(bundle)
    session = open_session(
        pruned_graph(path, needs), bundle.folder, device=device, threads=threads, batch=batch
    )
    side = bundle.manifest.preprocessing.size
    pixels = np.random.default_rng(0).standard_normal((1, 3, side, side), dtype=np.float32)
    flops = graph_flops(path, frozenset(needs))
    return Arm(name, lambda: session.run({"pixel_values": pixels}), float(flops))


def _one_view(bundle: Bundle) -> PixelBatch:
    return PixelBatch(
        rows=1, preprocessing=bundle.manifest.preprocessing, weights=bundle.info.sha256
    )


def _take_turns(arms: Sequence[Arm], rounds: int, clock: Callable[[], float]) -> None:
    """The order of the arms turns round every round; the first round warms up."""
    for number in range(rounds + 1):
        for arm in arms if number % 2 else arms[::-1]:
            time.sleep(0.1)  # threads of the session before stop spinning
            start = clock()
            arm.call()
            if number:
                arm.seconds.append(clock() - start)


def _rows(model: str, what: str, arms: Sequence[Arm], limits: Sequence[Arm]) -> list[str]:
    kinds = ("int8", "bf16")

    def limit_of(arm: Arm) -> Arm:
        kind = next((kind for kind in kinds if kind in arm.name), None)
        alike = [
            one for one in limits if (kind in one.name if kind else not _holds(one.name, kinds))
        ]
        return max(alike, key=lambda one: one.rate)

    fp32 = statistics.median(arms[0].seconds)
    rows = []
    for arm in arms:
        median, limit = statistics.median(arm.seconds), limit_of(arm)
        rows.append(
            f"| {model} | {what} | {arm.name} | {median:.4f} | {min(arm.seconds):.4f} to "
            f"{max(arm.seconds):.4f} | {arm.flops / 1e9:.1f} | {arm.rate:.0f} | "
            f"{limit.rate:.0f} ({limit.name}) | {arm.rate / limit.rate:.2f} | {fp32 / median:.2f} |"
        )
    return rows


def _holds(name: str, kinds: Sequence[str]) -> bool:
    return any(kind in name for kind in kinds)


def _section(rows: Sequence[str], changed: dict[str, dict[str, Any]], args: Any) -> str:
    seconds = "processor seconds" if args.cpu_seconds else "seconds of the clock"
    conditions = (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, {args.threads} threads, one view, n = "
        f"{args.rounds} alternating rounds, {seconds}. The limit is a product of {GEMM} x {GEMM} "
        "matrices, measured in the same rounds: the fastest library's in single precision, "
        "onnxruntime's in int8 (uint8 x int8), OpenVINO's in bfloat16. "
        f"Asked of fp32: {ASKED:.2f} of it. FLOPs are those of the products that run."
    )
    names = ["model", "what", "arm", "median s", "min to max s", "GFLOP", "GFLOP/s", "limit",
             "share", "x fp32"]  # fmt: skip
    head = f"| {' | '.join(names)} |"
    lines = [HEADING, "", conditions, "", head, f"|{'---|' * 3}{'---:|' * 7}", *rows, ""]
    for name, found in changed.items():
        before, after = found["auroc"]
        what = (
            f"- What {name} changes on the embedded bundle, {found['pictures']} rendered held-out "
            f"pictures of {args.programs} programs, 4 references each: verdicts that flip at a "
            f"threshold that flags a tenth of the good ones: {found['flips']}; AUROC {before:.4f} "
            f"in float32, {after:.4f} in {name}; scores move by {found['shift']:.3f} standard "
            f"deviations of the good ones (median); least cosine of an image embedding "
            f"{found['cosine']:.5f}."
        )
        lines.append(what)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
