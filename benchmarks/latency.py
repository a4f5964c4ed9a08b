"""How long one image takes, call after call: ``python -m benchmarks.latency``.

One ``Inspector`` with ``batch_size=1`` is asked about pictures whose size, shape, content and kind
(array, JPEG, PNG) change from call to call. Garbage collection is left as it is.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks._results import conditions, write_section
from clipvet.detectors import Host, Inspector
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

HEADING = "## Latency"
SIDES = (64, 192, 256, 320, 480, 640, 800, 1024)
KINDS = ("array", "jpeg", "png")
_BASES = 12
_MIB = 2**20


def bases() -> list[Image.Image]:
    """Rendered pictures that the inputs are made from."""
    first = SEEDS["held_out"].start
    made = [make_program(first + i) for i in range(_BASES)]
    return [
        Image.fromarray(np.asarray(render(program, 0, size=(512, 512)).image)) for program in made
    ]


def inputs(count: int, pictures: list[Image.Image]) -> Iterator[tuple[str, object]]:
    """Pictures of changing size, shape and content, with some noise, as arrays and files."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        width, height = (int(side) for side in rng.choice(SIDES, 2))
        shown = pictures[rng.integers(len(pictures))].resize((width, height))
        pixels = np.asarray(shown)
        noise = rng.integers(0, 12, pixels.shape, dtype=np.uint8)
        kind = KINDS[rng.integers(len(KINDS))]
        yield kind, _as(kind, np.minimum(pixels, 243) + noise)


def _as(kind: str, pixels: NDArray[np.uint8]) -> object:
    if kind == "array":
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **({"quality": 92} if kind == "jpeg" else {}))
    return file.getvalue()


def measure(detectors: list[str], calls: int, host: Host) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each call by kind, and under "rss" the resident memory in MiB."""
    found: dict[str, list[float]] = {kind: [] for kind in (*KINDS, "rss")}
    with Inspector(detectors, object="gear", host=host, batch_size=1) as inspector:
        for kind, source in inputs(calls, bases()):
            start = time.perf_counter()
            record = inspector(source)  # type: ignore[arg-type]
            found[kind].append(1000 * (time.perf_counter() - start))
            assert record.status == "ok", record
            found["rss"].append(_rss())
    return {kind: np.array(values) for kind, values in found.items()}


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / _MIB


def rows(name: str, found: dict[str, NDArray[np.float64]]) -> list[str]:
    """Quantiles over all calls, and by kind."""
    every = np.concatenate([found[kind] for kind in KINDS])
    lines = []
    for label, values in ((name, every), *((f"- {kind}", found[kind]) for kind in KINDS)):
        low, middle, high = np.percentile(values, [10, 50, 99])
        lines.append(
            f"| {label} | {len(values)} | {low:.1f} | {middle:.1f} | {high:.1f} "
            f"| {values.max():.1f} |"
        )
    return lines


def memory(name: str, found: dict[str, NDArray[np.float64]]) -> str:
    """What the process grew by after the first tenth of the calls."""
    rss = found["rss"]
    early = len(rss) // 10
    return (
        f"- {name}: {rss[early]:.0f} MiB resident after {early} calls, {rss[-1]:.0f} after "
        f"{len(rss)}."
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--winclip", type=int, default=300, help="calls with windows")
    args = parser.parse_args()
    host = Host.load(select="")
    plain = measure(["inappropriate"], args.calls, host)
    windows = measure(["winclip"], args.winclip, host)
    sides = f"{SIDES[0]} to {SIDES[-1]}"
    section = "\n".join(
        [
            HEADING,
            "",
            conditions(
                f"`Inspector` on the embedded bundle, `batch_size=1`; each call another picture of "
                f"{sides} pixels a side, decoding included. `make bench-latency`."
            ),
            "",
            "| detector and kind | calls | p10 ms | p50 ms | p99 ms | max ms |",
            "|---|---:|---:|---:|---:|---:|",
            *rows("inappropriate (no windows)", plain),
            *rows("winclip (windows)", windows),
            "",
            memory("inappropriate", plain),
            memory("winclip", windows),
        ]
    )
    print(section)
    write_section(section)


if __name__ == "__main__":
    main()
