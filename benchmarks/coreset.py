"""A coreset against the full bank of winclip: AUROC, memory, time; writes benchmarks/CORESET.md.

``python -m benchmarks.coreset``: the first held-out programs of the renderer, encoded with the
embedded model; of each, good references, then good and defective pictures to judge. The score is
that of the variant that mini advises (the reference map alone). Rendering and encoding takes the
most time, so what was encoded is kept in ``--cache``; a later call with the same numbers takes it
from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._coreset_page import auroc, page
from clipvet.detectors import Host, top_mean, unit_rows
from clipvet.detectors.clip import Runtime, find_bundle
from clipvet.plugins.winclip._coreset import Coreset
from clipvet.plugins.winclip._maps import distance_map
from clipvet.plugins.winclip._memory import nearest_distance
from clipvet.plugins.winclip._windows import Cover
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

OUT = Path(__file__).resolve().parent / "CORESET.md"
KINDS = ("patch", "win2", "win3")
TOP_SHARE = 0.01  # as mini advises
JITTER = 0.2  # length of the noise on the repeated unit vectors of the long stream

Vectors = dict[str, NDArray[np.float32]]


def encoded(folder: Path, name: str, instances: range, defect: str | None) -> NDArray[np.bool_]:
    """Render and encode, unless that was done: unit vectors of n pictures by kind, float16 files.

    Args:
        folder: of one program; its name is the place of the program in ``held_out``.
        name: of the files.
        instances: which pictures of the program.
        defect: "any", or None for good ones.

    Returns:
        bool [n], which pictures show a defect; a defect that nobody would see is not drawn.
    """
    done = folder / f"{name}_defect.npy"
    if not done.is_file():
        folder.mkdir(exist_ok=True)
        program = make_program(SEEDS["held_out"][int(folder.name)])
        needs = frozenset({"hidden_4", "win2_embed", "win3_embed"})
        shown, defective = [], []
        parts: dict[str, list[NDArray[np.float16]]] = {kind: [] for kind in KINDS}
        with Runtime(find_bundle("mini", Host.load().bundles), needs=needs) as runtime:
            for number in instances:
                picture = render(program, number, defect=defect, size=(192, 192))
                shown.append(picture.image)
                defective.append(bool(picture.facts.defect))
                if len(shown) == 8 or number == instances[-1]:
                    found = runtime.encode_views(shown)
                    found = {**found, "patch": found["hidden_4"][:, 1:]}
                    for kind in KINDS:
                        vectors = found[kind if kind == "patch" else f"{kind}_embed"]
                        parts[kind].append(unit_rows(vectors).astype(np.float16))
                    shown = []
        for kind in KINDS:
            np.save(folder / f"{name}_{kind}.npy", np.concatenate(parts[kind]))
        np.save(done, np.array(defective))
    defects: NDArray[np.bool_] = np.load(done)
    return defects


def images(folder: Path, name: str, most: int | None = None) -> Iterator[Vectors]:
    """The encoded pictures one by one, read from the disk."""
    files = {kind: np.load(folder / f"{name}_{kind}.npy", mmap_mode="r") for kind in KINDS}
    for index in range(len(files["patch"]))[:most]:
        yield {kind: np.asarray(file[index], dtype=np.float32) for kind, file in files.items()}


def reduced(stream: Iterator[Vectors], share: float | None) -> Vectors:
    """The banks that fit would keep of a stream, with a share of the vectors of each kind."""
    shown = list(stream)
    banks = {}
    for kind in KINDS:
        count = sum(len(image[kind]) for image in shown)
        bank = Coreset(None if share is None else int(share * count))
        for image in shown:
            bank.offer(image[kind])
        banks[kind] = bank.vectors
    return banks


def score(image: Vectors, banks: Vectors, covers: dict[int, Cover]) -> float:
    """What winclip says about one view with ``image_score=references``."""
    windows = {side: image[f"win{side}"] for side in covers}
    distance = distance_map(image["patch"], windows, covers=covers, banks=banks)
    return top_mean(distance, TOP_SHARE)


def accuracy(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Scores of the same pictures against the full banks and against coresets of them."""
    grid = find_bundle("mini", Host.load().bundles).info.grid
    covers = {side: Cover.of(grid, side) for side in (2, 3)}
    rows: dict[str, Any] = {
        str(share or "all"): {"vectors": 0, "scores": []} for share in (None, *args.shares)
    }
    labels = []
    for place in range(args.programs):
        program = folder / str(place)
        encoded(program, "reference", range(args.references), None)
        good = encoded(program, "good", range(100_000, 100_000 + args.good), None)
        bad = encoded(program, "bad", range(200_000, 200_000 + args.bad), "any")
        labels.append(np.concatenate([good, bad]).tolist())
        shown = [*images(program, "good", args.good), *images(program, "bad", args.bad)]
        for name, row in rows.items():
            share = None if name == "all" else float(name)
            start = time.perf_counter()
            banks = reduced(images(program, "reference", args.references), share)
            taken = time.perf_counter() - start
            row["vectors"] += sum(map(len, banks.values()))
            row["scores"].append([score(image, banks, covers) for image in shown])
            found = auroc(labels[-1:], row["scores"][-1:])
            print(place, name, f"{found:.4f}", f"{taken:.0f} s", flush=True)
    return rows | {"labels": labels}


def long_stream(folder: Path, count: int) -> Iterator[Vectors]:
    """``count`` images: the encoded ones over and over, from the second time on with noise."""
    rng = np.random.default_rng(0)
    program = folder / "0"
    again = (_jittered(x, rng) for _ in itertools.count() for x in images(program, "reference"))
    return itertools.islice(itertools.chain(images(program, "reference"), again), count)


def _jittered(image: Vectors, rng: np.random.Generator) -> Vectors:
    out = {}
    for kind, vectors in image.items():
        noise = rng.standard_normal(vectors.shape, dtype=np.float32)
        noisy = vectors + noise * (JITTER / np.sqrt(vectors.shape[1], dtype=np.float32))
        out[kind] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return out


def memory(folder: Path, count: int, size: int) -> dict[str, Any]:
    """How much a process grows while it reduces a long stream, and how long that takes.

    What it holds itself is counted (RssAnon); pages of the files that it reads are not.
    """
    reduced(long_stream(folder, 2), 0.1)  # what is imported and mapped comes first
    before = peak = _anonymous_mb()
    start, work = time.perf_counter(), time.process_time()
    making = 0.0
    banks = {kind: Coreset(size) for kind in KINDS}
    for number, image in enumerate(long_stream(folder, count)):
        begun = time.process_time()
        for kind, vectors in image.items():
            banks[kind].offer(vectors)
        making += time.process_time() - begun
        peak = max(peak, _anonymous_mb())
        if number % 500 == 499:
            print(f"{number + 1} images, {peak - before:.0f} MB", file=sys.stderr, flush=True)
    kept = {kind: bank.vectors for kind, bank in banks.items()}
    peak = max(peak, _anonymous_mb())
    np.savez(folder / f"long_{size}.npz", **kept)  # type: ignore[arg-type]
    encoded_images = sum(1 for _ in images(folder / "0", "reference"))
    return {
        "images": count,
        "first": min(count, encoded_images),
        "seen": {kind: bank.seen for kind, bank in banks.items()},
        "kept": {kind: len(bank) for kind, bank in kept.items()},
        "grown_mb": peak - before,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - work,
        "cpu_seconds_choosing": making,
    }


def _anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def search(folder: Path, size: int, views: int) -> dict[str, float]:
    """Milliseconds that one view takes against the coreset of the long stream."""
    with np.load(folder / f"long_{size}.npz") as stored:
        banks = dict(stored)
    shown = list(images(folder / "0", "good", views))
    wall, cpu = [], []
    for image in [*shown[:3], *shown]:
        start, work = time.perf_counter(), time.process_time()
        for kind in KINDS:
            nearest_distance(image[kind], banks[kind])
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - work))
    wall, cpu = wall[3:], cpu[3:]
    low, middle, high = statistics.quantiles(wall, n=4)
    return {
        "least": min(wall), "low": low, "median": middle, "high": high,
        "cpu": statistics.median(cpu), "load": os.getloadavg()[0],
    }  # fmt: skip


def main() -> None:
    """Measure all three and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=5)
    parser.add_argument("--references", type=int, default=200, help="of each program")
    parser.add_argument("--good", type=int, default=50, help="of each program")
    parser.add_argument("--bad", type=int, default=50, help="of each program")
    parser.add_argument("--shares", type=float, nargs="*", default=[0.005, 0.01, 0.02, 0.05, 0.1])
    parser.add_argument("--size", type=int, default=2000, help="of the long stream")
    parser.add_argument("--images", type=int, default=10_000, help="of the long stream")
    parser.add_argument("--views", type=int, default=50)
    parser.set_defaults(jitter=JITTER)
    parser.add_argument("--cache", type=Path, help="folder for what was encoded; else a new one")
    parser.add_argument("--only", choices=("accuracy", "memory", "search"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.cache or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        steps: dict[str, Callable[[], Any]] = {
            "accuracy": partial(accuracy, folder, args),
            "memory": partial(memory, folder, args.images, args.size),
            "search": partial(search, folder, args.size, args.views),
        }
        if args.only:
            (folder / f"{args.only}.json").write_text(json.dumps(steps[args.only]()))
            return
        found = {}
        # Each in a process of its own: nothing that one holds counts for another.
        for step in steps:
            command = [sys.executable, "-m", "benchmarks.coreset", *sys.argv[1:]]
            subprocess.run([*command, "--cache", str(folder), "--only", step], check=True)
            found[step] = json.loads((folder / f"{step}.json").read_text())
        OUT.write_text(page(vars(args), found["accuracy"], found["memory"], found["search"]))
    print(OUT.read_text())


if __name__ == "__main__":
    main()
