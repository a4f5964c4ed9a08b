"""kill -9 at random moments: ``python -m benchmarks.kill``, or ``make kill-test N=200``.

A run over rendered images (one in fifty is broken) is killed at moments that a clock draws, and
started again each time, until it ends by itself; then its folder is compared with that of an
undisturbed run, byte for byte but for times. This repeats until the kills are used up. The
moments fall anywhere: in the start, between and within writes, in what is written at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

__all__ = ["Killed", "differences", "kill_runs", "save_renders"]

DETECT = str(Path(sys.executable).with_name("detect"))
# What says when, and for how long, and nothing about an image.
_TIMES = re.compile(rb'"timing_ms":\{[^}]*\}')
_STATE = ("configuration", "counts", "ignored", "sources", "status", "files", "sets")


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What became of the kills.

    Attributes:
        kills: processes that died of SIGKILL.
        folders: run folders that were completed between them, and compared.
        in_start, in_end: kills before the first record of the folder, and after the last.
        torn: kills that left half a line.
        wrong: what differed from the undisturbed run, in sentences; empty is what is wanted.
    """

    kills: int
    folders: int
    in_start: int
    in_end: int
    torn: int
    wrong: Sequence[str]


def save_renders(folder: Path, count: int, *, size: tuple[int, int] = (96, 128)) -> Path:
    """Rendered images, one in fifty of them cut in half, so that a run has failures, too."""
    folder.mkdir(parents=True)
    for number in range(count):
        program = make_program(SEEDS["held_out"][number % 40])
        path = folder / f"{number:04d}.png"
        Image.fromarray(render(program, number, size=size).image).save(path)
        if number % 50 == 49:
            os.truncate(path, path.stat().st_size // 2)
    return folder


def kill_runs(
    arguments: Sequence[str],
    folder: Path,
    *,
    kills: int,
    images: int,
    seed: int = 0,
    seconds: float | None = None,
) -> Killed:
    """Kill runs, resume them, and compare.

    Args:
        arguments: of ``detect``, without ``--out``.
        folder: for the run folders.
        kills: how many.
        images: how many records the run has.
        seed: of the moments.
        seconds: begin no further run after these; None is no limit.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    whole = folder / "whole"
    began = time.monotonic()
    if _start(arguments, whole).wait() not in {0, 1, 3}:
        raise SystemExit(f"the undisturbed run failed: {' '.join(arguments)}")
    duration = time.monotonic() - began
    dead, folders, in_start, in_end, torn = 0, 0, 0, 0, 0
    wrong: list[str] = []
    while dead < kills and (seconds is None or time.monotonic() - began < seconds):
        out = folder / f"killed-{folders}"
        while True:
            process = _start(arguments, out)
            if dead < kills:
                try:
                    process.wait(rng.uniform(0.02, 0.5) * duration)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
            code = process.wait()
            if code != -signal.SIGKILL:
                break
            dead += 1
            lines = _bytes(out / "records.jsonl")
            in_start += b"\n" not in lines
            in_end += lines.count(b"\n") == images
            torn += bool(lines) and not lines.endswith(b"\n")
        folders += 1
        if code not in {0, 1, 3}:
            wrong.append(f"{out.name}: the last of the runs exited with {code}")
        wrong += [f"{out.name}: {one}" for one in differences(whole, out)]
        if not wrong:
            _remove(out)
    return Killed(
        kills=dead, folders=folders, in_start=in_start, in_end=in_end, torn=torn, wrong=wrong
    )


def differences(whole: Path, other: Path) -> list[str]:
    """In which files two run folders differ, but for times."""
    one, two = _contents(whole), _contents(other)
    return [
        f"{name} differs"
        for name in sorted(one.keys() | two.keys())
        if one.get(name) != two.get(name)
    ]


def _contents(folder: Path) -> dict[str, str]:
    """Name of every file -> hash of its content without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "records.jsonl":
                data = _TIMES.sub(b"", data)
            elif path.name == "run.json":
                state = json.loads(data)
                data = json.dumps({key: state.get(key) for key in _STATE}).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def _start(arguments: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
    log = subprocess.DEVNULL
    return subprocess.Popen([DETECT, *arguments, "--out", str(out)], stdout=log, stderr=log)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def main() -> int:
    """Make the images and the tiny bundle, kill, and print one line; 1 if anything differed."""
    from tests.tiny import openai_tokenizer, tiny_bundle

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        images = save_renders(work / "images", options.images)
        tiny_bundle(work / "tiny", tokenizer=openai_tokenizer())
        arguments = ["run", str(images), "--bundle", str(work / "tiny"), "-q", "--format", "csv"]
        arguments += ["-d", "winclip", "-d", "quality"]
        began = time.monotonic()
        found = kill_runs(
            arguments, work, kills=options.kills, images=options.images, seed=options.seed
        )
    print(
        f"{found.kills} kills in {time.monotonic() - began:.0f} s over {found.folders} runs of "
        f"{options.images} images ({found.in_start} before the first record, {found.in_end} after "
        f"the last, {found.torn} in a line): {len(found.wrong)} differences from an undisturbed run"
    )
    for one in found.wrong:
        print(f"  {one}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
