"""Running never imports torch or open_clip, though both are installed beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECK = """
import sys
from clipvet.cli import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
heavy = sorted({"torch", "open_clip", "torchvision", "transformers"} & set(sys.modules))
assert not heavy, heavy
print("exit", code, file=sys.stderr)
"""


def test_a_whole_run_imports_no_torch(tmp_path: Path) -> None:
    parts = Path(__file__).parents[2] / "sample_data" / "parts" / "good"
    done = subprocess.run(
        [sys.executable, "-c", CHECK, "run", *sorted(map(str, parts.glob("*")))[:2],
         "--out", str(tmp_path / "run"), "--heatmaps", "overlay"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "exit 0" in done.stderr
    assert (tmp_path / "run" / "records.jsonl").read_text().count("\n") == 2
