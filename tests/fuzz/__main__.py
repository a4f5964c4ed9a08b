"""``python -m tests.fuzz TARGET``: coverage-guided fuzzing with atheris (libFuzzer).

What it keeps lies in ``.fuzz/TARGET``: the corpus, so that the next run goes on from it, and a
file ``crash-...`` for a finding, which ends the run. ``--replay FILE`` shows a finding again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOME = Path(".fuzz")
# Pillow's readers, tomllib and json are Python: they count as covered code, too.
INSTRUMENTED = ["clipvet", "PIL", "tomllib", "json", "zipfile", "safetensors"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="one of them, or all (one a core)")
    parser.add_argument("--seconds", type=int, default=1800, help="for each target")
    parser.add_argument("--replay", type=Path, help="run a finding again, without atheris")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        _fuzz(given.target, given.seconds)
    from tests.fuzz.targets import TARGETS, check

    if given.replay is not None:
        print(check(TARGETS[given.target], given.replay.read_bytes()) or "read without complaint")  # noqa: T201
        return 0
    names = list(TARGETS) if given.target == "all" else [given.target]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as side_by_side:
        return max(side_by_side.map(lambda name: _supervise(name, given.seconds), names))


def _supervise(name: str, seconds: int) -> int:
    """One target in a process of its own, whose temporary files go with it."""
    (HOME / name).mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clipvet-fuzz-") as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", name, "--inside", "--seconds", str(seconds)],
            env={**os.environ, "TMPDIR": scratch},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    (HOME / name / "log.txt").write_text(done.stdout)
    reached = re.findall(r"^#(\d+)\s.*cov: (\d+)", done.stdout, re.MULTILINE)
    inputs, covered = reached[-1] if reached else ("0", "0")
    minutes = (time.monotonic() - began) / 60
    line = f"{name}: {inputs} inputs in {minutes:.1f} min, coverage {covered}"
    print(line + (", no finding" if done.returncode == 0 else ", FINDING"), flush=True)  # noqa: T201
    if done.returncode:
        print(done.stdout[-4000:], flush=True)  # noqa: T201
    return done.returncode


def _fuzz(name: str, seconds: int) -> None:
    import logging

    import atheris

    logging.disable()
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.mutations import mutated
        from tests.fuzz.targets import TARGETS, check

        target, home = TARGETS[name], HOME / name
        corpus = home / "corpus"
        corpus.mkdir(exist_ok=True)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number:02d}").write_bytes(seed)
            check(target, seed)  # now, for what is imported late

    def one_input(data: bytes) -> None:
        check(target, data)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        changed = mutated(data, target.form, seed)
        return atheris.Mutate(data, most) if changed is None else changed[:most]

    arguments = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=2500",
        "-max_len=16384",
        f"-artifact_prefix={home}/",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *arguments], one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
