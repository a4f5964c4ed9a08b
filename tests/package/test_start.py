"""`detect --version` answers at once, and importing the SDK brings only what all its users need.

Modules are counted, not seconds, which depend on what else a machine does; `benchmarks/start.py`
has the seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

# What one command or detector needs is imported where it is used.
HEAVY = {
    "cv2", "ftfy", "google", "jinja2", "matplotlib", "onnx", "onnxruntime", "pyarrow", "rich",
    "scipy", "sklearn", "ssl", "tokenizers", "torch",
}  # fmt: skip
# numpy, pydantic, Pillow and the standard library bring about 370 of them, clipvet about 130.
MOST_MODULES = 560
# importlib.metadata brings about 90, Python itself 56.
MOST_MODULES_OF_VERSION = 170


def modules_after(code: str) -> set[str]:
    code = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_version_loads_neither_the_sdk_nor_the_commands() -> None:
    code = "from clipvet.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit: pass"
    modules = modules_after(code)
    assert not {"numpy", "typer", "pydantic", "clipvet.detectors"} & modules
    assert len(modules) <= MOST_MODULES_OF_VERSION


def test_version_is_the_distribution_s() -> None:
    detect = str(Path(sys.executable).with_name("detect"))
    done = subprocess.run([detect, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.split()[-1] == metadata.version("clipvet")


def test_the_sdk_imports_nothing_heavy() -> None:
    modules = modules_after("import clipvet.detectors")
    assert HEAVY & modules == set()
    assert "typer" not in modules
    assert len(modules) <= MOST_MODULES


def test_loading_the_built_in_plugins_imports_nothing_heavy() -> None:
    modules = modules_after("from clipvet.detectors import Host\nHost.load(select='')")
    assert HEAVY & modules == set()


def test_help_of_a_command_loads_no_sdk() -> None:
    code = (
        "from clipvet.cli import main\n"
        "try:\n    main(['run', '--help'])\nexcept SystemExit as stop:\n    assert not stop.code"
    )
    assert "numpy" not in modules_after(code)
