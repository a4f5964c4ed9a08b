"""The image tower on a GPU beside torch: ``python -m benchmarks.gpu``; writes benchmarks/GPU.md.

Not run on a GPU so far. On a bare machine with an NVIDIA driver, from the root of the checkout:

    python3 -m venv .venvs/gpu
    .venvs/gpu/bin/python -m pip install -c constraints/gpu.txt ".[gpu]"
    .venvs/gpu/bin/python -m pip install torch           # for the arms of torch; else skipped
    .venvs/gpu/bin/python -m benchmarks.gpu              # about ten minutes, mostly compiling

``--device cpu --models tiny`` goes the same way on the CPU, in seconds, and writes nothing.

One timed call takes uint8 squares in host memory to float32 embeddings in host memory, the same
work in every arm: copy, normalise, tower, copy back. Weights are random, computed in float16. The
arms of one table are in one process and take turns; the order within a round alternates. Before
any table each arm's embeddings must have a cosine of at least 0.999 with those of float32 on the
CPU. The matrix rate is the best of onnxruntime and torch on square float16 products; FLOPs are
counted in the graph. Images a second from JPEG to record are those of ``detect run``.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._gpu_clipvet import (
    ARMS,
    MODELS,
    Model,
    clipvet_session,
    make_model,
    onnxruntime_rate,
)
from benchmarks._gpu_folder import images_a_second
from benchmarks._gpu_page import FolderRate, Row, Table, page
from benchmarks._gpu_torch import KINDS, TorchTower, torch_rate
from benchmarks._rates import graph_flops
from clipvet.detectors.clip import available_providers
from clipvet.detectors.clip._session import PROVIDERS

OUT = Path(__file__).resolve().parent / "GPU.md"
_NEAR = 0.999
_REPEATS = 8
_DRY = "--device cpu goes the same way on the CPU and writes nothing"
Call = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Arms:
    """Calls by name, what has to be closed after them, and why others are left out."""

    calls: Mapping[str, Call]
    close: Callable[[], None]
    skipped: Mapping[str, str]
    notes: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything, print the page, and write it if a GPU was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS)[:3])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--images", type=int, default=1024, help="of the folder; 0: no folder")
    parser.add_argument("--rate-size", type=int, default=8192, help="side of the products")
    parser.add_argument("--torch", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--compile-mode", default="reduce-overhead", help="of torch.compile")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(arguments)
    if args.device == "cuda" and "CUDAExecutionProvider" not in available_providers():
        raise SystemExit(f"benchmarks.gpu measures a GPU, and this onnxruntime has no CUDA; {_DRY}")
    try:
        rates = matrix_rates(args.rate_size, args.device)
    except Exception as error:
        if args.device == "cpu":
            raise
        why = " ".join(str(error).split())[:200]
        raise SystemExit(
            f"benchmarks.gpu measures a GPU, and CUDA does not start here ({why}); {_DRY}"
        ) from None
    tables: list[Table | FolderRate] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            model = make_model(name, Path(folder))
            squares = random_squares(model, max(args.batches))
            wanted = model.reference(squares)
            tables += [measure(model, squares[:rows], wanted[:rows], args) for rows in args.batches]
            if args.images:
                rate = images_a_second(
                    model.bundle, args.images, max(args.batches), args.device, Path(folder)
                )
                tables.append(rate)
    text = page(
        tables, rates, machine=machine(args.device), device=args.device, mode=args.compile_mode
    )
    print(text)
    if args.device == "cuda":
        args.out.write_text(text, "utf-8")


def random_squares(model: Model, rows: int) -> NDArray[np.uint8]:
    """What the model is shown: uint8 [rows, S, S, 3]."""
    side = model.config.vision.image_size
    return np.random.default_rng(0).integers(0, 256, (rows, side, side, 3), dtype=np.uint8)


def measure(
    model: Model,
    squares: NDArray[np.uint8],
    wanted: NDArray[np.float32],
    args: argparse.Namespace,
) -> Table:
    """One table: every arm on one model and batch.

    Raises:
        SystemExit: an arm computes something else than ``wanted``, or elsewhere than asked.
    """
    rows = len(squares)
    arms = open_arms(model, rows, squares, args)
    try:
        cosines = {name: _cosine(call(squares), wanted) for name, call in arms.calls.items()}
        bad = {name: cosine for name, cosine in cosines.items() if not cosine >= _NEAR}
        if bad:
            raise SystemExit(f"{model.name}, batch {rows}: other embeddings than float32: {bad}")
        first = next(iter(arms.calls.values()))
        moved = first(np.roll(squares, 1, axis=0))
        steady = bool(np.array_equal(np.roll(first(squares), 1, axis=0), moved))
        seconds = _rounds(arms.calls, squares, args.rounds)
    finally:
        arms.close()
    flops = graph_flops(model.bundle.folder / "vision.onnx", frozenset({"cls_embed"})) * rows
    return Table(
        model=model.name,
        rows=rows,
        flops=flops,
        arms=[Row(name, values, cosines[name]) for name, values in seconds.items()],
        skipped=arms.skipped,
        notes=arms.notes,
        steady=steady,
    )


def open_arms(
    model: Model, rows: int, squares: NDArray[np.uint8], args: argparse.Namespace
) -> Arms:
    """Every arm, called twice; what does not start is left out with its reason."""
    calls: dict[str, Call] = {}
    skipped: dict[str, str] = {}
    notes: list[str] = []
    sessions = []
    for name, settings in ARMS.items():
        session = clipvet_session(model, rows, settings, args.device)
        if session.provider != PROVIDERS[args.device]:
            raise SystemExit(f"{name} runs on {session.provider}, not on the GPU; {_DRY}")
        sessions.append(session)
        notes += [f"{name}: {note}" for note in session.notes]
        strays = (session.placement or {}).get("CPUExecutionProvider", {})
        if strays and args.device == "cuda":
            notes.append(f"{name}: nodes on the CPU: {strays}")
        calls[name] = lambda pixels, run=session.run: run({"pixel_values": pixels})["cls_embed"]  # type: ignore[misc]
    for kind in args.torch:
        name = f"torch {kind}"
        try:
            tower = TorchTower.load(
                model.config, model.bundle.manifest.preprocessing, model.state, args.device
            )
            call = tower.call(kind, rows, args.compile_mode)
            call(squares)
            calls[name] = call
        except Exception as error:  # noqa: BLE001 - no torch, no compiler, another CUDA: all one
            skipped[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    for call in calls.values():
        call(squares)

    def close() -> None:
        for session in sessions:
            session.close()
        calls.clear()
        gc.collect()

    return Arms(calls, close, skipped, notes)


def matrix_rates(size: int, device: str) -> dict[str, float]:
    """Library -> FLOP/s of square float16 products, the best of ten."""
    makers = {"onnxruntime": onnxruntime_rate, "torch": torch_rate}
    rates = {}
    for name, make in makers.items():
        try:
            call = make(size, device, _REPEATS)
        except ImportError:
            continue
        call()
        rates[name] = 2 * size**3 * _REPEATS / min(call() for _ in range(10))
    return rates


def machine(device: str) -> str:
    """The GPU with its driver, the processor's cores, the versions; no names of hosts."""
    gpu = "no GPU"
    if device == "cuda":
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        gpu = found.stdout.strip().replace("\n", "; ") or "a GPU that nvidia-smi does not name"
    versions = [
        f"{name} {metadata.version(name)}"
        for name in ("clipvet", "onnxruntime-gpu", "onnxruntime", "torch", "numpy")
        if _installed(name)
    ]
    cores = len(os.sched_getaffinity(0))
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"{date}, {gpu}, {platform.machine()}, {cores} cores; {', '.join(versions)}"


def _rounds(
    calls: Mapping[str, Call], squares: NDArray[np.uint8], rounds: int
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name in list(calls) if number % 2 else list(calls)[::-1]:
            start = time.perf_counter()
            calls[name](squares)
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _cosine(got: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((got * wanted).sum(axis=1) / lengths).min())


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
