"""What one more detector costs: ``python -m benchmarks.marginal``; writes benchmarks/MARGINAL.md.

1, 2, ... detectors on one pass over the same rendered pictures, on the embedded bundle and on a
ViT-B-16 of random weights (its scores mean nothing, its times do). Every number of detectors is
timed in every round, the order alternating, and compared within the round. The images are decoded
beforehand: the clock sees views to results.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks._rates import graph_flops
from clipvet.detectors import DetectorSpec, Engine, Frame, Host, Query, read_frame
from clipvet.detectors.clip import find_bundle
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

OUT = Path(__file__).resolve().parent / "MARGINAL.md"
ORDER = ("winclip", "anomalyclip", "clipn", "vim", "inappropriate", "fooling", "unanswerable")
QUERY = Query(
    object="gear",
    classes=("gear", "nut", "bottle"),
    question="What is shown?",
    choices=("a gear", "a bottle"),
)
TARGET_ALL, TARGET_FLOPS = 1.08, 1.10
# The threads of the session that ran before spin for a while: they would take a core from this one.
_SETTLE_S = 0.1


@dataclass(frozen=True)
class Series:
    """Times of one bundle: ``seconds[k]`` holds the rounds with the first k + 1 detectors.

    ``encode[k]`` is the part of them that the shared pass took, preprocessing included.
    """

    bundle: str
    ids: tuple[str, ...]
    seconds: list[list[float]]
    encode: list[list[float]]
    gflops: list[float]

    def ratio(self, k: int) -> tuple[float, float, float]:
        """Median, smallest and largest ratio to the first detector alone within a round."""
        ratios = [a / b for a, b in zip(self.seconds[k], self.seconds[0], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)

    def quotients(self) -> tuple[float, float, float]:
        """What the products grow by with all detectors; time, and the pass's time, over that."""
        grown = self.gflops[-1] / self.gflops[0]
        parts = [a / b for a, b in zip(self.encode[-1], self.encode[0], strict=True)]
        return grown, self.ratio(-1)[0] / grown, statistics.median(parts) / grown


def measure(
    host: Host, bundle: str, ids: Sequence[str], frames: Sequence[Frame], rounds: int
) -> Series:
    """Alternate between engines with 1, 2, ... of the detectors."""
    with ExitStack() as stack:
        engines = [
            stack.enter_context(
                Engine([_spec(name, bundle) for name in ids[: k + 1]], host=host, bundle=bundle)
            )
            for k in range(len(ids))
        ]
        folder = find_bundle(bundle, host.bundles).folder
        gflops = []
        for engine in engines:
            (runtime,) = engine.runtimes.values()
            gflops.append(graph_flops(folder / "vision.onnx", runtime.needs) / 1e9)  # type: ignore[attr-defined]
        seconds: list[list[float]] = [[] for _ in engines]
        encode: list[list[float]] = [[] for _ in engines]
        for number in range(rounds + 1):
            order = range(len(engines))
            for k in order if number % 2 else reversed(order):
                time.sleep(_SETTLE_S)
                before = engines[k].seconds.get("encode", 0.0)
                start = time.perf_counter()
                engines[k].score(frames, [(QUERY,)] * len(frames))
                if number:  # the first round warms up
                    seconds[k].append(time.perf_counter() - start)
                    encode[k].append(engines[k].seconds["encode"] - before)
    return Series(bundle, tuple(ids), seconds, encode, gflops)


def _spec(name: str, bundle: str) -> DetectorSpec:
    """The default variant; where nothing was learned for a bundle, one that learns nothing."""
    options: dict[str, dict[str, str]] = {"vim": {"method": "energy"}}
    if bundle != "mini":
        options |= {"anomalyclip": {"variant": "sdp"}, "clipn": {"method": "mcm"}}
    return DetectorSpec(id=name, options=options.get(name, {}))


def pictures(count: int) -> list[Frame]:
    """Rendered pictures of the held-out side."""
    program = make_program(SEEDS["held_out"].start, family="gear")
    return [read_frame(np.asarray(render(program, i, size=(256, 256)).image)) for i in range(count)]


def random_b16(folder: Path) -> Path:
    """A ViT-B-16 with random weights as a bundle."""
    import open_clip

    from clipvet.detectors.clip.export import (
        Source,
        clip_tokenizer,
        parse_config,
        random_parameters,
        write_bundle,
    )

    config = parse_config(open_clip.get_model_config("ViT-B-16"))
    write_bundle(
        folder,
        config=config,
        state=random_parameters(config, 0),
        tokenizer=clip_tokenizer(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"),
        name="random-b-16",
        description="Random weights for a benchmark: its scores mean nothing.",
        licence="Apache-2.0",
        source=Source(model="ViT-B-16", weights="random, seed 0"),
    )
    return folder


def section(series: Series, images: int) -> list[str]:
    """A table of one bundle."""
    lines = [
        f"## {series.bundle}",
        "",
        f"| detectors | ms an image | the pass | ratio to {series.ids[0]} (range) | GFLOP a view |",
        "|---|---:|---:|---:|---:|",
    ]
    for k, name in enumerate(series.ids):
        median, low, high = series.ratio(k)
        whole, encode = (
            1000 * statistics.median(times[k]) / images for times in (series.seconds, series.encode)
        )
        label = name if k == 0 else f"+ {name}"
        lines.append(
            f"| {label} | {whole:.1f} | {encode:.1f} | {median:.3f} ({low:.3f} to {high:.3f}) "
            f"| {series.gflops[k]:.2f} |"
        )
    return [*lines, ""]


def main() -> None:
    """Measure both bundles and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    host = Host.load()
    ids = [name for name in ORDER if name in host.detectors]
    # The first reads the image embedding alone: the graph grows by what the others read.
    without = ["inappropriate", *(n for n in ids if n not in {"winclip", "inappropriate"})]
    frames = pictures(args.images)
    conditions = (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{args.images} rendered pictures of 256 pixels, n = {args.rounds} rounds. "
        "`python -m benchmarks.marginal` writes this page."
    )
    asked = (
        f"Asked: all detectors at most {TARGET_ALL} x winclip alone; without users of windows, "
        f"the time at most {TARGET_FLOPS} x what the products of the two pruned graphs grow by. "
        "The pass is preprocessing and graph; the rest is the detectors' own arithmetic."
    )
    lines = ["# What one more detector costs", "", conditions, asked, ""]
    with tempfile.TemporaryDirectory() as folder:
        for bundle in ("mini", str(random_b16(Path(folder) / "random-b-16"))):
            whole = measure(host, bundle, ids, frames, args.rounds)
            lines += section(whole, len(frames))
            plain = measure(host, bundle, without, frames, args.rounds)
            lines += section(plain, len(frames))
            grown, quotient, of_pass = plain.quotients()
            found = (
                f"All of them against winclip alone: {whole.ratio(-1)[0]:.3f}. Without windows the "
                f"products grow by {grown:.3f}; time over that: {quotient:.3f}, of the pass alone "
                f"{of_pass:.3f}."
            )
            lines += [found, ""]
    OUT.write_text("\n".join(line.replace(folder + "/", "") for line in lines))
    print(OUT.read_text())


if __name__ == "__main__":
    main()
