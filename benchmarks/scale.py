"""Very many images through one run: ``python -m benchmarks.scale``; writes benchmarks/SCALE.md.

A few hundred rendered pictures stand for all: they are linked under new names. ``detect run`` is a
process of its own, whose memory and records are looked at while it works. It is killed half-way
(SIGKILL) and taken up again, then taken up once more with nothing left to do, and its report is
written. Asked: memory grows by at most 30 MB after the first 1,000 images, the rate does not
depend on how many are done, and resuming costs at most 5 s more than starting.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from clipvet.detectors import read_records
from tests.tiny import openai_tokenizer, tiny_bundle
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

OUT = Path(__file__).resolve().parent / "SCALE.md"
DETECT = str(Path(sys.executable).with_name("detect"))
FIRST, GROWTH_MB, RESUME_S = 1000, 30.0, 5.0
FAMILIES = ("gear", "bottle", "board")


@dataclass
class Watched:
    """One process of ``detect run``, and what was seen of it.

    Attributes:
        seconds: until it ended, or was killed.
        samples: (seconds, records, resident MB, processor seconds), about two a second.
    """

    seconds: float = 0.0
    samples: list[tuple[float, int, float, float]] = field(default_factory=list)

    @property
    def processor(self) -> float:
        """Seconds of all cores."""
        return self.samples[-1][3]

    @property
    def first(self) -> float:
        """Seconds until the first new record."""
        before = self.samples[0][1]
        return next((t for t, done, *_ in self.samples if done > before), self.seconds)

    def growth(self) -> tuple[float, float, float]:
        """MB after the first 1,000 records of this process, the end, and the most in between."""
        start = self.samples[0][1]
        after = [mb for _, done, mb, _ in self.samples if done - start >= FIRST]
        if not after:
            return (0.0, 0.0, 0.0)
        tail = after[-max(1, len(after) // 20) :]
        return after[0], statistics.median(tail), max(after)


def watch(command: Sequence[str], records: Path, *, kill_at: int | None = None) -> Watched:
    """Run a command to its end, or kill it when there are so many records."""
    seen = Watched()
    start = time.perf_counter()
    done, place = _lines(records, 0)
    with subprocess.Popen(command) as child:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            more, place = _lines(records, place)
            done += more
            try:
                mb = process.memory_info().rss / 1e6
                spent = sum(process.cpu_times()[:2])
            except psutil.Error:
                break
            seen.samples.append((time.perf_counter() - start, done, mb, spent))
            if kill_at is not None and done >= kill_at:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.05 if len(seen.samples) < 100 else 0.5)
    seen.seconds = time.perf_counter() - start
    if child.returncode not in {0, -signal.SIGKILL}:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return seen


def _lines(path: Path, place: int) -> tuple[int, int]:
    """Line ends after a place of a file, and its new end."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            content = file.read()
    except FileNotFoundError:
        return 0, place
    return content.count(b"\n"), place + len(content)


def links(folder: Path, rendered: Sequence[Path], count: int) -> Path:
    """``count`` files in folders of 1,000."""
    for number in range(count):
        path = folder / f"box{number // 1000:04d}" / f"part_{number:07d}.jpg"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        os.link(rendered[number % len(rendered)], path)
    return folder


def render_all(folder: Path, count: int) -> list[Path]:
    """Rendered pictures of 256 pixels as JPEG files."""
    folder.mkdir()
    paths = []
    for family in FAMILIES:
        program = make_program(SEEDS["held_out"].start, family=family)
        for number in range(count // len(FAMILIES)):
            path = folder / f"{family}{number:04d}.jpg"
            pixels = np.asarray(render(program, number, size=(256, 256)).image)
            Image.fromarray(pixels).save(path, quality=90)
            paths.append(path)
    return paths


def rates(parts: Sequence[Watched], count: int, clock: int) -> list[float]:
    """Images a second in each tenth of the images; clock 0 is the wall's, 3 the processor's."""
    found = []
    for tenth in range(10):
        low, high = tenth * count // 10, (tenth + 1) * count // 10
        seconds, images = 0.0, 0
        for part in parts:
            inside = [(one[clock], one[1]) for one in part.samples if low <= one[1] <= high]
            if len(inside) > 1:
                seconds += inside[-1][0] - inside[0][0]
                images += inside[-1][1] - inside[0][1]
        found.append(images / seconds if seconds else float("nan"))
    return found


def section(name: str, options: Sequence[str], images: Path, count: int, work: Path) -> list[str]:
    """Run, kill, resume, resume again, read, report; and the lines of the page about it."""
    run = work / f"run-{name}"
    base = [DETECT, "run", str(images), *options, "-q", "--heatmaps", "none", "--exit-zero"]
    command = [*base, "--out", str(run)]
    records = run / "records.jsonl"
    one = next(iter(sorted((images / "box0000").iterdir())))
    bare = watch([*command[:2], str(one), *command[3:-1], str(work / f"one-{name}")], work / "none")
    load = os.getloadavg()[1]
    parts = [watch(command, records, kill_at=count // 2), watch(command, records)]
    nothing = watch(command, records)
    start = time.perf_counter()
    ids = {record.image.id for record in read_records(records)}
    reading = time.perf_counter() - start
    if len(ids) != count or sum(1 for _ in records.open("rb")) != count:
        raise SystemExit(f"{len(ids)} records of {count} images")
    start = time.perf_counter()
    subprocess.run([DETECT, "report", str(run), "--folder", "-q"], check=True)
    report = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (run / "report").rglob("*") if path.is_file())
    again = parts[1].first - parts[0].first
    shown = " ".join(options).replace(str(work), ".")
    minutes = sum(part.seconds for part in parts) / 60
    lines = [
        f"## {name}: {count:,} images",
        "",
        f"`detect run ... {shown} --heatmaps none`; {minutes:.1f} minutes in both processes; load",
        f"of the machine before and after {load:.1f} and {os.getloadavg()[1]:.1f}.",
        "",
        "| what | measured | asked |",
        "|---|---:|---:|",
    ]
    for label, part in zip(("to the kill", "after it"), parts, strict=True):
        after, end, most = part.growth()
        lines.append(
            f"| resident memory {label}: after 1,000 images, at the end, most | {after:.0f}, "
            f"{end:.0f}, {most:.0f} MB (grows by {end - after:+.0f}) | at most +{GROWTH_MB:.0f} |"
        )
    for clock, label in ((3, "processor"), (0, "wall-clock")):
        found = rates(parts, count, clock)
        middle = statistics.median(found)
        spread = f"{min(found) / middle:.2f} to {max(found) / middle:.2f} of the median"
        tenths = ", ".join(f"{rate:.0f}" for rate in found)
        lines.append(
            f"| images in a {label} second, by tenths of the images | {tenths} ({spread}) "
            f"| {'constant' if clock else ''} |"
        )
    spent, least = nothing.processor, bare.processor
    more = (
        f"{spent - least:+.1f} processor s ({spent:.1f} - {least:.1f}), wall {nothing.seconds:.1f}"
    )
    asked = f"at most {RESUME_S:.0f} s"
    lines += [
        f"| first record after a kill, beyond a new run's | {again:+.1f} s | {asked} |",
        f"| taken up with nothing to do, beyond a run over one image | {more} | {asked} |",
        f"| all records read | {reading:.1f} s, {records.stat().st_size / 1e6:.0f} MB | |",
        f"| report as a folder | {report:.0f} s, {size / 1e6:.0f} MB | usable |",
        "",
    ]
    print("\n".join(lines), flush=True)
    return lines


def main() -> None:
    """Both runs, and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", type=int, default=100_000, help="images for the random bundle")
    parser.add_argument("--mini", type=int, default=10_000, help="images for the embedded bundle")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--no-page", action="store_true")
    args = parser.parse_args()
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in ("clipvet", "onnxruntime", "numpy"))
    lines = [
        "# Very many images",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python",
        f"{platform.python_version()}, {versions}; {args.pictures} rendered pictures of 256",
        "pixels, linked. One run each (n = 1): the spread is that of the tenths within it. Where",
        "the load before is well above the cores, other work ran on the machine, and a wall-clock",
        "second says little.",
        "`python -m benchmarks.scale` (`make bench-scale`) writes this page.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rendered = render_all(work / "rendered", args.pictures)
        if args.tiny:
            tiny_bundle(work / "tiny", tokenizer=openai_tokenizer())
            images = links(work / "many", rendered, args.tiny)
            classes = work / "classes.txt"
            classes.write_text("gear\nbottle\nboard\n")
            options = ["--bundle", str(work / "tiny"), "-d", "clipn", "--set", "clipn.method=mcm",
                       "--classes", str(classes)]  # fmt: skip
            lines += section("random tiny bundle", options, images, args.tiny, work)
        if args.mini:
            images = links(work / "some", rendered, args.mini)
            lines += section("embedded bundle", ["-d", "inappropriate"], images, args.mini, work)
    if not args.no_page:
        OUT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
