"""Looking at one image with the embedded model takes little memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MOST_MIB = 400
ONE_IMAGE = """
import sys
from clipvet.detectors import Inspector
with Inspector({detectors}) as inspector:
    record = inspector(sys.argv[1])
assert record.detections[0].score is not None, record
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""


@pytest.mark.parametrize("detectors", ["", "['winclip', 'anomalyclip', 'vim', 'fooling']"])
def test_one_image_stays_small(detectors: str) -> None:
    parts = Path(__file__).parents[2] / "sample_data" / "parts" / "good"
    command = [sys.executable, "-c", ONE_IMAGE.format(detectors=detectors)]
    done = subprocess.run(
        [*command, str(min(parts.glob("*")))], check=True, capture_output=True, text=True
    )
    assert float(done.stdout.splitlines()[-1]) <= MOST_MIB
