"""A plugin that ends its process: without --isolate the run resumes, with it the run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Detect
from tests.runs import save_pictures

PLUGIN = """
import os
from clipvet.detectors import Detector, Score, hookimpl

class Fragile(Detector):
    id, task, version, needs = "fragile", "quality", "1", frozenset({"cls_embed"})

    def score(self, batch):
        if any(view.pixels.min() == 255 for view in batch.views):
            HARM
        rows = batch.features["cls_embed"]
        return [[Score(value=float(row.mean()), details={"method": "mean"})] for row in rows]

@hookimpl
def clipvet_register_detectors(register):
    register(Fragile)
"""


@pytest.fixture
def plugin(environment: dict[str, str], tmp_path: Path) -> Path:
    """A file of the plugins folder; ``environment`` of the session stays as it is."""
    path = tmp_path / "plugins" / "fragile.py"
    path.parent.mkdir()
    path.write_text(PLUGIN.replace("HARM", "os._exit(9)"), "utf-8")
    return path


def detections(out: Path) -> dict[str, list[dict[str, Any]]]:
    lines = (out / "records.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len({record["image"]["id"] for record in records}) == len(records)
    return {record["image"]["id"]: record["detections"] for record in records}


def test_a_dying_plugin_leaves_a_run_that_resumes(
    plugin: Path, detect: Detect, environment: dict[str, str], tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "parts", 24)
    Image.fromarray(np.full((30, 40, 3), 255, np.uint8)).save(parts / "020w.png")
    env = {**environment, "CLIPVET_PLUGINS_DIR": str(plugin.parent)}
    common = ("--batch", "2", "--workers", "1", "-q", "--heatmaps", "none")
    command = ("run", parts, "-d", "fragile", "-d", "quality", *common)
    died = detect(*command, "--out", "o", env=env)
    assert died.returncode == 9
    written = (tmp_path / "o" / "records.jsonl").read_text("utf-8").splitlines()
    assert 0 < len(written) < 25

    other = detect("run", parts, "-d", "quality", *common, "--out", "o", env=env)
    assert other.returncode == 2
    assert "holds a run with another configuration (detectors differ)" in other.stderr

    resumed = detect(*command, "--out", "o", "--isolate", env=env)
    assert resumed.returncode == 3, resumed.stderr
    isolated = detections(tmp_path / "o")
    limits = json.loads((tmp_path / "o" / "run.json").read_text("utf-8"))["isolated"]
    assert limits == {"detectors": ["fragile"], "seconds": 60.0, "gib": 4.0}

    plugin.write_text(PLUGIN.replace("HARM", "pass"), "utf-8")
    assert detect(*command, "--out", "whole", env=env).returncode == 0
    whole = detections(tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "run.json").read_text("utf-8"))["isolated"] is None
    assert isolated.keys() == whole.keys()
    for name, expected in whole.items():
        fragile, quality = isolated[name]
        assert quality == expected[1]
        if name == "parts/020w.png":
            assert fragile["error"].startswith("fragile: its worker process ended by itself with")
            assert fragile["score"] is None
        else:
            assert fragile == expected[0]


def test_limits_belong_to_isolate(detect: Detect, tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 1)
    done = detect("run", parts, "--isolate-time", "5")
    assert done.returncode == 2
    assert "--isolate-time and --isolate-memory belong to --isolate" in done.stderr
    done = detect("run", parts, "--isolate", "--isolate-memory", "0.1")
    assert done.returncode == 2
    assert "too little for a worker process" in done.stderr
