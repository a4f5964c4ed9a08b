"""benchmarks/RESULTS.md: one section a script, under its own heading, with its conditions."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

__all__ = ["HIDDEN", "RESULTS", "conditions", "machine", "met", "write_section"]

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
HIDDEN = "CLIPVET_BENCHMARK_HIDDEN"
"""Variable: what of the processor is hidden from the libraries; see older_processor.py."""
_PACKAGES = ("clipvet", "onnxruntime", "numpy", "Pillow", "pydantic")


def machine() -> str:
    """Class of this machine: processor, cores that can be used, memory."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text("utf-8").splitlines()
        name = next((ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), name)
    if hidden := os.environ.get(HIDDEN):
        name = f"{name} ({hidden})"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {platform.system()}"


def conditions(how: str) -> str:
    """Date, machine and versions, and in the script's own words how it measured."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, Python {platform.python_version()}, "
        f"{versions}. {how}"
    )


def met(value: float, target: float, *, at_most: bool = True) -> str:
    """``met``, ``missed``."""
    return "met" if (value <= target if at_most else value >= target) else "missed"


def write_section(section: str, path: Path = RESULTS) -> None:
    """Put a section, whose first line is its heading, in place of the one from the last run."""
    heading = section.split("\n", 1)[0]
    text = path.read_text("utf-8") if path.exists() else "# Benchmark results\n"
    before, found, after = f"{text.rstrip()}\n".partition(f"{heading}\n")
    following = after.find("\n## ")
    rest = after[following:] if found and following >= 0 else ""
    path.write_text(f"{before.rstrip()}\n\n{section.rstrip()}\n{rest}", "utf-8")
