"""On the command line: a folder of rendered parts in which one is odd, a kill, and a bank."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import Heatmap, Inspector, read_records
from tests.conftest import Detect

ROOT = Path(__file__).parents[3]
GOOD = sorted((ROOT / "sample_data/parts/good").glob("*.jpg"))
ODD = ROOT / "sample_data/parts/defect/missing_part/000.jpg"
FAST = ("--set", "mutual.depths=[3]", "--set", "mutual.neighbourhoods=[1,3]")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Eleven good parts and one that lacks a corner."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for path in (*GOOD[:11], ODD):
        (folder / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    return folder


def found(out: Path) -> dict[str, Any]:
    """What must be equal in equal runs."""
    return {
        record.image.id: record.detections[0].model_dump()
        for record in read_records(out / "records.jsonl")
    }


def test_the_odd_one_comes_first(start_in: Detect, parts: Path, tmp_path: Path) -> None:
    done = start_in("parts", "-d", "mutual", *FAST, "--out", "run", "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "12 images scored, none judged" in text
    assert "mutual compared 12 images with each other: a defect that most of them share" in text
    records = found(tmp_path / "run")
    worst = max(records, key=lambda name: records[name]["score"])
    assert worst == "parts/missing_part_000.jpg"
    assert text.index(worst) < text.index("parts/good_")
    one = records[worst]
    assert one["details"]["method"] == (
        "MuSc folder, 11 images (depths=3, features=trunk_16+hidden_4, neighbourhoods=1+3, "
        "top_share=0.01, no rescoring)"
    )
    heatmap = Heatmap.load(tmp_path / "run" / one["heatmap"]["file"])
    assert heatmap.grid.shape == (24, 24)
    assert tuple(one["heatmap"]["range"]) == (
        pytest.approx(np.median(grids(tmp_path / "run", records))),
        pytest.approx(grids(tmp_path / "run", records).max()),
    )
    with Image.open(tmp_path / "run" / one["heatmap"]["overlay"]) as overlay:
        assert overlay.width >= 256
    assert worst in (tmp_path / "run/records.csv").read_text()
    state = json.loads((tmp_path / "run/run.json").read_text())
    assert state["encoder_calls"] == 12
    assert state["sets"]["mutual"]["scored"] == 12


def grids(out: Path, records: dict[str, Any]) -> Any:
    return np.stack([Heatmap.load(out / one["heatmap"]["file"]).grid for one in records.values()])


KILLED = """
import os, signal, sys
from clipvet.cli import main
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._late_scores import LateScores

where = sys.argv.pop(1)
owner, name = (RunFolder, "add") if where == "middle" else (LateScores, "take")
method, calls = getattr(owner, name), []

def counted(self, *arguments):
    method(self, *arguments)
    calls.append(0)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, counted)
main()
"""


@pytest.mark.parametrize("where", ["middle", "end"])
def test_a_killed_run_loses_nothing(
    start_in: Detect, parts: Path, tmp_path: Path, where: str
) -> None:
    arguments = ["parts", "-d", "mutual", *FAST, "--batch", "2", "-q", "--out"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, where, *arguments, "run"],
        cwd=tmp_path,
        env=dict(os.environ),
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    for one in found(tmp_path / "run").values():
        assert (one["status"], one["score"], one["heatmap"]) == ("pending", None, None)
    assert start_in(*arguments, "run", cwd=tmp_path).returncode == 0
    assert start_in(*arguments, "whole", cwd=tmp_path).returncode == 0
    assert found(tmp_path / "run") == found(tmp_path / "whole")


def test_four_images_are_too_few(start_in: Detect, tmp_path: Path) -> None:
    done = start_in(*GOOD[:4], "-d", "mutual", *FAST, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = "mutual: not scored: an image takes at least 4 others to compare with"
    assert said in " ".join(done.stdout.split())
    for one in found(tmp_path / "run").values():
        assert one["status"] == "not_applicable"
        assert one["error"].startswith(said)


def test_a_recipe_of_unlabelled_images(start_in: Detect, parts: Path, tmp_path: Path) -> None:
    done = start_in(
        *(
            "fit",
            "parts",
            "--out",
            "recipe",
            "-d",
            "mutual",
            *FAST,
            "--shots",
            8,
            "--false-alarm",
            0.5,
        ),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    done = start_in("parts", "--recipe", "recipe", "--out", "run", "-q", cwd=tmp_path)
    assert done.returncode in {0, 1}, done.stderr
    records = found(tmp_path / "run")
    for one in records.values():
        assert one["details"]["method"].startswith("MuSc bank, ")
        assert one["threshold"] is not None
        assert one["spool"] is None
    assert max(records, key=lambda name: records[name]["score"]) == "parts/missing_part_000.jpg"
    assert not (tmp_path / "run/spool").exists()
    with Inspector.load(tmp_path / "recipe") as inspector:
        record = inspector(parts / "missing_part_000.jpg")
    assert record.detections[0].score == records["parts/missing_part_000.jpg"]["score"]


def test_eval_measures_a_folder_without_a_recipe(start_in: Detect, tmp_path: Path) -> None:
    for name, paths in {"good": GOOD[:8], "missing_part": [ODD]}.items():
        (tmp_path / "labelled" / name).mkdir(parents=True)
        for path in paths:
            (tmp_path / "labelled" / name / path.name).write_bytes(path.read_bytes())
    done = start_in("eval", "labelled", "-d", "mutual", *FAST, "--out", "eval", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "eval/eval.json").read_text())["detectors"]
    assert one["all"]["image"]["auroc"]["value"] == 1.0
