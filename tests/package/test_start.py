"""`detect --version` answers at once: nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path


def wall(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def test_version_costs_little_more_than_python() -> None:
    detect = str(Path(sys.executable).with_name("detect"))
    python = min(wall(sys.executable, "-c", "pass") for _ in range(7))
    version = min(wall(detect, "--version") for _ in range(7))
    assert version - python <= 0.2


def test_version_is_the_distribution_s() -> None:
    detect = str(Path(sys.executable).with_name("detect"))
    done = subprocess.run([detect, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.split()[-1] == metadata.version("clipvet")
