"""A command sees an older processor, and int8 is computed exactly there, too."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.older_processor import hide

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or not (shutil.which("gcc") and shutil.which("objdump")),
    reason="older_processor.py needs gcc and objdump on x86-64",
)
ROOT = Path(__file__).parents[2]
ASK = """
from clipvet.detectors.clip._int8_graph import int8_products
print(int8_products())
"""


def test_a_process_sees_no_vnni(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=os.environ | hide(tmp_path, ["onnxruntime"]),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "wide"), done.stderr


def test_exit_codes_are_the_commands() -> None:
    command = [sys.executable, "-m", "benchmarks.older_processor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 2
