"""What a run adds to the bare session: ``python -m benchmarks.pipeline``.

Rendered pictures as JPEG files through ``run()`` without heatmaps, and the same batches through the
session alone, in turn. The clock of a run starts when its session stands.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks._results import conditions, met, write_section
from benchmarks.marginal import random_b16
from clipvet.detectors import DetectorSpec, Engine, Host, Inspector, Query, RunConfig, run
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

HEADING = "## Pipeline"
BATCH = 8
TARGET_SESSION, TARGET_CORES = 0.9, 1.1
SMALL, LARGE = (640, 640), (4000, 3000)
# The threads of the session that ran before spin for a while.
_SETTLE_S = 0.2


@dataclass(frozen=True)
class Case:
    """One line of the table: a bundle, a detector, and files."""

    name: str
    bundle: str | None
    detector: str
    files: Path
    count: int
    bare: bool = True


def write_pictures(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Rendered parts as JPEG files, enlarged where the renderer would take too long."""
    folder.mkdir()
    program = make_program(SEEDS["held_out"].start, family="gear")
    for i in range(count):
        shown = Image.fromarray(np.asarray(render(program, i, size=SMALL).image))
        if size != SMALL:
            shown = shown.resize(size, Image.Resampling.BICUBIC)
        shown.save(folder / f"{i:03}.jpg", quality=92)


def through_run(case: Case, host: Host, scratch: Path) -> dict[str, Any]:
    """One run over the files; its stages, its wall clock and processor seconds."""
    import json

    out = scratch / "run"
    shutil.rmtree(out, ignore_errors=True)
    config = RunConfig(
        sources=[case.files],
        out=out,
        specs=[DetectorSpec(id=case.detector)],
        bundle=case.bundle,
        query=Query(object="gear"),
        batch_size=BATCH,
        heatmaps="none",
    )
    summary = run(config, host=host)
    assert summary.tally.scored == case.count, summary
    state = json.loads((out / "run.json").read_text())
    return {**state["seconds"], "stages": state["stages"], "pace": summary.pace}


def through_session(case: Case, host: Host) -> float:
    """Seconds that the session alone takes for the same batches, prepared beforehand."""
    spec = DetectorSpec(id=case.detector)
    with Engine([spec], host=host, bundle=case.bundle, batch_size=BATCH) as engine:
        engine.warmup()
        (runtime,) = engine.runtimes.values()
        session = runtime._vision_session()  # type: ignore[attr-defined]
        side = runtime.info.image_size
        rng = np.random.default_rng(0)
        pixels = rng.standard_normal((BATCH, 3, side, side), dtype=np.float32)
        session.run({"pixel_values": pixels})
        start = time.perf_counter()
        for _ in range(case.count // BATCH):
            session.run({"pixel_values": pixels})
        return time.perf_counter() - start


def line(case: Case, runs: Sequence[dict[str, Any]], bare: Sequence[float]) -> str:
    """A row: speeds, what is kept of the session's, and what the processors do meanwhile."""
    wall = statistics.median(one["wall"] for one in runs)
    low, high = min(one["wall"] for one in runs), max(one["wall"] for one in runs)
    cores = len(os.sched_getaffinity(0))
    over = statistics.median(one["wall"] * cores / one["processor"] for one in runs)
    kept = "-"
    if bare:
        shares = [b / one["wall"] for b, one in zip(bare, runs, strict=True)]
        kept = f"{statistics.median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})"
    n = case.count
    return (
        f"| {case.name} | {n / wall:.1f} ({n / high:.1f} to {n / low:.1f}) | "
        f"{n / statistics.median(bare) if bare else float('nan'):.1f} | {kept} | {over:.3f} |"
    )


def stage_lines(cases: dict[str, dict[str, Any]]) -> list[str]:
    """Milliseconds an image, by stage, of the run with the median time."""
    names = ("decode", "preprocess", "infer", "score", "write")
    lines = [f"| busy / wait, ms an image | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for name, facts in cases.items():
        cells = [
            f"{1000 * facts['stages'][stage]['busy'] / facts['count']:.1f} / "
            f"{1000 * facts['stages'][stage]['wait'] / facts['count']:.1f}"
            for stage in names
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def draft_decoding(folder: Path, host: Host) -> str:
    """What decoding large JPEGs at a reduced scale would save, and what it does to scores."""
    seconds: dict[str, float] = {"full": 0.0, "draft": 0.0}
    scores: dict[str, list[float]] = {"full": [], "draft": []}
    with Inspector(["winclip"], host=host, object="gear") as inspector:
        (runtime,) = inspector.engine.runtimes.values()
        side = 2 * runtime.info.image_size
        for file in sorted(folder.glob("*.jpg")):
            content = file.read_bytes()
            for name in seconds:
                start = time.perf_counter()
                pixels = _decoded(content, side if name == "draft" else None)
                seconds[name] += time.perf_counter() - start
                score = inspector(pixels).detections[0].score
                assert score is not None
                scores[name].append(score)
    full, draft = np.array(scores["full"]), np.array(scores["draft"])
    count = len(full)
    moved = np.abs(draft - full) / full.std()
    return (
        f"Decoding the large files at 1/2 to 1/8 (Pillow's draft mode, not below {side} pixels) "
        f"would take {1000 * seconds['draft'] / count:.0f} ms where the whole picture takes "
        f"{1000 * seconds['full'] / count:.0f} ms, and moves the score of winclip by "
        f"{np.median(moved):.2f} standard deviations over these {count} pictures (at most "
        f"{moved.max():.2f}), enlarged renders without fine detail. It is not done: overlays and "
        "detectors read the picture's own pixels, and a file must score as the same array does."
    )


def _decoded(content: bytes, side: int | None) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(content))
    if side is not None:
        image.draft("RGB", (side, side))
    return np.asarray(image.convert("RGB"))


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--large", type=int, default=16, help="pictures of 12 megapixels")
    args = parser.parse_args()
    host = Host.load(select="")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        small, large = scratch / "small", scratch / "large"
        write_pictures(small, args.images, SMALL)
        write_pictures(large, args.large, LARGE)
        b16 = str(random_b16(scratch / "random-b-16"))
        cases = [
            Case("B-16, 640 pixels", b16, "inappropriate", small, args.images),
            Case("mini, 640 pixels", None, "inappropriate", small, args.images),
            Case("mini with windows, 640 pixels", None, "winclip", small, args.images),
            Case("mini, 12 megapixels", None, "inappropriate", large, args.large),
        ]
        rows, stages, paces = [], {}, []
        found: dict[str, tuple[list[dict[str, Any]], list[float]]] = {}
        for case in cases:
            runs: list[dict[str, Any]] = []
            bare: list[float] = []
            for number in range(args.rounds + 1):
                time.sleep(_SETTLE_S)
                one = through_run(case, host, scratch)
                time.sleep(_SETTLE_S)
                alone = through_session(case, host)
                if number:  # the first round warms up
                    runs.append(one)
                    bare.append(alone)
            found[case.name] = runs, bare
            rows.append(line(case, runs, bare))
            middle = sorted(runs, key=lambda one: float(one["wall"]))[len(runs) // 2]
            stages[case.name] = {**middle, "count": case.count}
            paces.append(f"- {case.name}: {middle['pace']}.")
        draft = draft_decoding(large, host)
    kept = statistics.median(
        b / one["wall"] for one, b in zip(*found["B-16, 640 pixels"], strict=True)
    )
    cores = len(os.sched_getaffinity(0))
    over = statistics.median(
        one["wall"] * cores / one["processor"] for one in found["mini, 640 pixels"][0]
    )
    asked = (
        f"- Asked: B-16 at least {TARGET_SESSION} of the bare session: {kept:.3f}, "
        f"{met(kept, TARGET_SESSION, at_most=False)}. mini, wall clock at most {TARGET_CORES} "
        f"x processor seconds / cores: {over:.3f}, {met(over, TARGET_CORES)}."
    )
    section = "\n".join(
        [
            HEADING,
            "",
            conditions(
                f"Rendered JPEG files, no heatmaps, batches of {BATCH}; n = {args.rounds} rounds "
                f"of {args.images} ({args.large} large) pictures after one for warming up, run and "
                "bare session in turn; medians (range). `make bench-pipeline`."
            ),
            "",
            "| run | images/s | bare session | share of it | wall / (processor s / cores) |",
            "|---|---:|---:|---:|---:|",
            *rows,
            "",
            asked,
            f"- {draft}",
            "",
            *stage_lines(stages),
            "",
            *paces,
        ]
    )
    print(section)
    write_section(section)


if __name__ == "__main__":
    main()
