"""A run that is killed at any moment and started again ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Heatmap
from tests.conftest import Detect
from tests.runs import save_pictures

COUNT = 120
Start = Callable[..., subprocess.Popen[str]]


def facts(out: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (out / "records.jsonl").read_bytes().splitlines()]
    return [{k: v for k, v in record.items() if k != "timing_ms"} for record in records]


@pytest.fixture
def start(command: str, environment: dict[str, str], tmp_path: Path) -> Start:
    """Start ``detect`` without waiting for it."""
    return lambda *arguments: subprocess.Popen(
        [command, *arguments], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )


def written(out: Path) -> int:
    try:
        return (out / "records.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("seed", [0, 1])
def test_kill_9_loses_nothing_and_repeats_nothing(
    seed: int, start: Start, detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    parts = save_pictures(tmp_path / "parts", COUNT)
    (parts / "050x.png").write_bytes(b"broken")
    arguments = [
        "run", str(parts), "-d", "winclip", "--bundle", str(tiny), "-q", "--batch", "2",
        "--workers", "2",
    ]  # fmt: skip
    detect(*arguments, "--out", "whole")
    kills = 0
    for share in sorted(rng.uniform(0, 0.9) for _ in range(3)):
        with start(*arguments, "--out", "killed") as process:
            while written(tmp_path / "killed") < share * COUNT and process.poll() is None:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            kills += process.wait(60) == -signal.SIGKILL
        with (tmp_path / "killed" / "records.jsonl").open("ab") as file:
            file.write(b'{"schema":"clipvet.reco'[: rng.randrange(24)])  # a torn write
    assert kills >= 2
    done = detect(*arguments, "--out", "killed")
    assert done.returncode == 3, done.stderr
    whole, killed = facts(tmp_path / "whole"), facts(tmp_path / "killed")
    assert killed == whole
    assert len(killed) == COUNT + 1
    for record in killed:
        for detection in record["detections"]:
            name = detection["heatmap"]["file"]
            one, two = (Heatmap.load(tmp_path / run / name).grid for run in ("whole", "killed"))
            assert np.array_equal(one, two)
    ledgers = [(tmp_path / run / "failures.jsonl").read_text() for run in ("whole", "killed")]
    assert ledgers[0] == ledgers[1] != ""
    states = [json.loads((tmp_path / run / "run.json").read_text()) for run in ("whole", "killed")]
    for key in ("configuration", "counts", "ignored", "sources", "status", "files"):
        assert states[0][key] == states[1][key], key
    assert not list((tmp_path / "killed").rglob("*.part"))


def test_ctrl_c_is_130_and_resumable(
    start: Start, detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "parts", 400)  # a busy machine signals late
    arguments = [
        "run", str(parts), "-d", "winclip", "--bundle", str(tiny), "-q", "--batch", "1",
        "--out", "run",
    ]  # fmt: skip
    with start(*arguments) as process:
        while written(tmp_path / "run") < 5 and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert errors == "detect: interrupted: the same command with --out run goes on with it\n"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert detect(*arguments).returncode == 0
    assert len(facts(tmp_path / "run")) == 400
