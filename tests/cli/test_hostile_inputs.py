"""The real command over hostile files: a record for each, the right status, bounded cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipvet.detectors import Record, read_records
from clipvet.detectors.records._ids import path_of
from tests.hostile import HUGE, VANISHING, write_archive, write_corpus
from tests.runs import save_pictures

# docs/trust.md states these limits.
MOST_MIB = 1024
MOST_SECONDS_A_FILE = 10.0

SHARED = Path(os.environ.get("CLIPVET_SHARED") or Path(__file__).parents[2].parent / "shared")
ROBUSTNESS = SHARED / "data" / "robustness"

# In between, as a process begins with the peak of the one that starts it.
_MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""

Start = Callable[..., "Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one run: its exit code, its words, its records, and the most memory it ever had."""

    code: int
    words: str
    records: dict[str, Record]
    lines: int
    facts: dict[str, object]
    peak_mib: float


@pytest.fixture
def start(command: str, environment: dict[str, str], tiny: Path, tmp_path: Path) -> Start:
    def run(
        sources: Sequence[object], *options: object, meanwhile: Callable[[Path], None] | None = None
    ) -> Outcome:
        out, words = tmp_path / "out", tmp_path / "words.txt"
        arguments = [
            *sources,
            "--bundle",
            tiny,
            "--out",
            out,
            "--all-files",
            "--workers",
            2,
            *options,
        ]
        peak = tmp_path / "peak.txt"
        started = [sys.executable, "-S", "-c", _MEASURED, peak, command, "run", *arguments]
        with words.open("wb") as file:
            process = subprocess.Popen(
                [str(part) for part in started], env=environment, stdout=file, stderr=file
            )
            if meanwhile is not None:
                meanwhile(out / "records.jsonl")
            process.wait(timeout=240)
        records = list(read_records(out / "records.jsonl"))
        return Outcome(
            code=process.returncode,
            words=words.read_text(errors="replace"),
            records={record.image.id: record for record in records},
            lines=len(records),
            facts=json.loads((out / "run.json").read_text()),
            peak_mib=int(peak.read_text()) / 1024,
        )

    return run


def test_each_hostile_file_has_one_record_with_the_right_status(
    start: Start, tmp_path: Path
) -> None:
    root, twin = tmp_path / "in" / "parts", tmp_path / "other" / "parts"
    expected = {f"parts/{name}": statuses for name, statuses in write_corpus(root).items()}
    save_pictures(twin, 3)
    expected |= {f"parts-2/{name}": frozenset({"ok"}) for name in ("000.png", "002.png")}
    expected |= {"parts-2/sub/001.png": frozenset({"ok"})}
    archive = tmp_path / "in" / "batch.zip"
    members = write_archive(archive)
    expected |= {f"in/batch.zip/{name}": statuses for name, statuses in members.items()}

    def vanish(records: Path) -> None:
        deadline = time.monotonic() + 120
        while not (records.is_file() and records.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.005)
        for name in VANISHING:
            (root / name).unlink()

    outcome = start([root, twin, archive], "--heatmaps", "npz", meanwhile=vanish)
    assert outcome.code == 3, outcome.words[-2000:]
    assert "Traceback" not in outcome.words
    assert outcome.lines == len(outcome.records) == len(expected)
    assert set(outcome.records) == set(expected)
    wrong = {
        name: (outcome.records[name].status, outcome.records[name].reasons)
        for name, statuses in expected.items()
        if outcome.records[name].status not in statuses
    }
    assert wrong == {}
    assert "unreadable" in {outcome.records[f"parts/{name}"].status for name in VANISHING}
    _check_reasons(outcome)
    _check_cost(outcome)
    roots = {"parts": root, "parts-2": twin}
    for name in expected:
        path = path_of(name, roots)
        assert path is None or os.path.lexists(path) or path.name in VANISHING
    huge = outcome.records[f"parts/{HUGE}"]
    assert (huge.image.width, huge.image.height) == (6000, 6000)
    assert not (tmp_path / "out.png").exists()


def test_a_tree_deeper_than_any_path_is_a_problem_and_costs_itself(
    start: Start, tmp_path: Path
) -> None:
    root = save_pictures(tmp_path / "parts", 2)
    name = "d" * 250
    folder = os.open(root, os.O_RDONLY)
    for _ in range(20):  # 5000 bytes: no path of the system is that long
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    with os.fdopen(os.open("x.png", os.O_WRONLY | os.O_CREAT, dir_fd=folder), "wb") as file:
        file.write((root / "000.png").read_bytes())
    os.close(folder)
    outcome = start([root])
    assert outcome.code == 3, outcome.words
    assert set(outcome.records) == {"parts/000.png", "parts/sub/001.png"}
    assert "cannot be listed" in outcome.words


@pytest.mark.parametrize("last", [40, 100, 150, 159, 165, 205])
def test_a_path_too_long_below_the_output_gets_a_shorter_name(
    start: Start, tmp_path: Path, last: int
) -> None:
    """The longest path that can be read; below the output folder it would be too long."""
    root = save_pictures(tmp_path / "p", 2)
    left = 4095 - len("/x.png") - len(os.fsencode(root)) - 1 - last
    path = root.joinpath(*["d" * 100] * (left // 101 - 1), "f" * (left % 101 + 100 - 1), "e" * last)
    path.mkdir(parents=True)
    (path / "x.png").write_bytes((root / "000.png").read_bytes())
    outcome = start([root], "--heatmaps", "npz", "--format", "csv")
    assert "Traceback" not in outcome.words
    assert outcome.lines == 3, outcome.words
    assert [record.status for record in outcome.records.values()] == ["ok"] * 3


@pytest.mark.skipif(not ROBUSTNESS.is_dir(), reason="no robustness corpus in CLIPVET_SHARED")
def test_the_robustness_corpus_costs_what_it_may(start: Start) -> None:
    files = [path for path in ROBUSTNESS.rglob("*") if path.is_file()]
    visible = [path for path in files if not path.name.startswith(".")]
    outcome = start([ROBUSTNESS])
    assert outcome.code == 3, outcome.words[-2000:]
    assert "Traceback" not in outcome.words
    assert outcome.lines == len(outcome.records) == len(visible)
    manifest = {
        str(one["file"]): one["load"]
        for one in json.loads((ROBUSTNESS / "manifest.json").read_text())
    }
    for name, load in manifest.items():
        if load != "ok" and not name.endswith("psd-oob-write-overflow.psd"):
            assert outcome.records[f"robustness/{name}"].status != "ok", name
    _check_reasons(outcome)
    _check_cost(outcome)


def _check_reasons(outcome: Outcome) -> None:
    for name, record in outcome.records.items():
        if record.status == "ok":
            assert record.detections[0].score is not None, name
        else:
            (reason,) = record.reasons
            assert record.verdict == "error", name
            assert reason.isprintable(), name
            assert len(reason) < 2000, name


def _check_cost(outcome: Outcome) -> None:
    assert outcome.peak_mib < MOST_MIB
    slowest = max(outcome.records.values(), key=lambda record: sum(record.timing_ms.values()))
    assert sum(slowest.timing_ms.values()) < 1000 * MOST_SECONDS_A_FILE, slowest
