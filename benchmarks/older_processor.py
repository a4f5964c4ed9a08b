"""Run a command as on a processor without AVX-512, VNNI, bfloat16 and AMX, at native speed.

``python -m benchmarks.older_processor python -m pytest tests/detectors/clip/test_int8.py``

ONNX Runtime and OpenVINO ask the processor with its CPUID instruction, which no setting overrides.
So copies of both get a breakpoint in the place of each such instruction, and a preloaded library
answers it without those features; the copies come first on ``PYTHONPATH``. torch, NumPy's BLAS
and oneDNN have variables for it. Needs gcc and objdump (Debian: gcc, binutils) on x86-64 Linux.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from benchmarks._results import HIDDEN

__all__ = ["hide", "main"]

_CPUID, _BREAKPOINT = b"\x0f\xa2", b"\xcc\x90"  # int3 and a nop, as long as cpuid
# The libraries that choose kernels, of packages that may be installed.
_LIBRARIES = {
    "onnxruntime": ("capi/onnxruntime_pybind11_state*.so",),
    "openvino": ("libs/libopenvino_intel_cpu_plugin.so", "libs/libopenvino.so.*"),
}
_VARIABLES = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    HIDDEN: "AVX-512, VNNI, bfloat16 and AMX hidden",
}


def main(command: list[str]) -> int:
    """Run a command; returns its exit code."""
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        return subprocess.run(command, env=os.environ | hide(Path(name)), check=False).returncode


def hide(folder: Path, packages: Collection[str] = tuple(_LIBRARIES)) -> dict[str, str]:
    """Make the copies and the library in a folder.

    Args:
        folder: an empty one, to be kept as long as the processes live.
        packages: of which copies are made.

    Returns:
        The variables with which a process sees the older processor.
    """
    for package in packages:
        found = find_spec(package)
        if found is None or not found.submodule_search_locations:
            continue
        copy = folder / "site" / package
        shutil.copytree(found.submodule_search_locations[0], copy)
        for pattern in _LIBRARIES[package]:
            for library in copy.glob(pattern):
                _trap(library)
    answers = folder / "answers.so"
    source = Path(__file__).with_name("_older_processor.c")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", answers, source], check=True)
    path = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return _VARIABLES | {"LD_PRELOAD": str(answers), "PYTHONPATH": path}


def _trap(library: Path) -> None:
    """Put a breakpoint in the place of each CPUID instruction of a shared library."""
    content = bytearray(library.read_bytes())
    text = re.search(
        r"^ *\d+ \.text +\w+ +(\w+) +\w+ +(\w+) ", _objdump("-h", library), flags=re.MULTILINE
    )
    if text is None:
        raise SystemExit(f"{library} has no code")
    address, offset = (int(number, 16) for number in text.groups())
    for found in re.finditer(
        r"^ *(\w+):\tcpuid *$", _objdump("-d", "--no-show-raw-insn", library), flags=re.MULTILINE
    ):
        start = int(found[1], 16) - address + offset
        if content[start : start + 2] != _CPUID:
            raise SystemExit(f"{library}: no cpuid at {start:#x}")
        content[start : start + 2] = _BREAKPOINT
    library.write_bytes(content)


def _objdump(*arguments: str | Path) -> str:
    return subprocess.run(
        ["objdump", *arguments], capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
