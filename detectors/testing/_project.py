"""A folder of files, and the command ``detect`` run in it: for tests from end to end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._records import Record

__all__ = ["DetectOutcome", "DetectProject"]

# By name, because the SDK must not import the command line.
DETECT = "from importlib.metadata import entry_points as e; "
DETECT += "e(group='console_scripts', name='detect')['detect'].load()()"


@dataclass(frozen=True, kw_only=True)
class DetectOutcome:
    """What came of one command.

    Attributes:
        command: its words.
        code: exit code.
        out: standard output.
        err: standard error.
    """

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def assert_success(self) -> None:
        """Exit code 0 (nothing flagged) or 1 (something flagged): the run did its work."""
        assert self.code in (0, 1), self._told("neither 0 nor 1")

    def assert_failed(self, code: int | None = None) -> None:
        """Exit code ``code``, or any but 0 and 1."""
        if code is None:
            assert self.code not in (0, 1), self._told("no failure")
        else:
            assert self.code == code, self._told(f"not {code}")

    def assert_out(self, pattern: str) -> None:
        """Standard output matches a regular expression somewhere (``.`` matches lines, too)."""
        assert re.search(pattern, self.out, re.DOTALL), self._told(f"no {pattern!r} on stdout")

    def assert_err(self, pattern: str) -> None:
        """Standard error matches a regular expression somewhere."""
        assert re.search(pattern, self.err, re.DOTALL), self._told(f"no {pattern!r} on stderr")

    def _told(self, what: str) -> str:
        words = " ".join(self.command)
        return f"detect {words}: exit code {self.code}, {what}\n{self.out}\n{self.err}"


class DetectProject:
    """A folder with files, in which ``detect`` runs with caches and plugins of its own.

    Args:
        folder: to be made.
        files: path -> text (dedented), bytes, or uint8 pixels, which are saved as a picture.
            ``plugins/*.py`` are loaded as one-file plugins.

    Attributes:
        folder: where the files are and the command runs.
        environment: of the command; change it to change what the command sees.
    """

    def __init__(
        self, folder: Path, files: Mapping[str, str | bytes | NDArray[np.uint8]] | None = None
    ) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CLIPVET_")},
            "CLIPVET_BUNDLES": str(folder / ".clipvet" / "bundles"),
            "CLIPVET_CACHE": str(folder / ".clipvet" / "cache"),
            "CLIPVET_PLUGINS_DIR": str(folder / "plugins"),
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            self.write(name, content)

    def write(self, name: str, content: str | bytes | NDArray[np.uint8]) -> Path:
        """Write one more file; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(textwrap.dedent(content), encoding="utf-8")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path)
        return path

    def run(self, *arguments: object, timeout: float = 120) -> DetectOutcome:
        """Run ``detect`` with these arguments in a process of its own."""
        command = tuple(map(str, arguments))
        done = subprocess.run(  # noqa: S603 - the tests' own words
            [sys.executable, "-c", DETECT, *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        return DetectOutcome(
            command=command, code=done.returncode, out=done.stdout, err=done.stderr
        )

    def records(self, run: str = "out") -> dict[str, Record]:
        """Records of a run folder, by the id of their image."""
        found = read_records(self.folder / run / "records.jsonl")
        return {record.image.id: record for record in found}
