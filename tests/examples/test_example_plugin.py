"""The example distribution, installed by pip beside clipvet and used through the command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors.testing import textures
from tests.tiny import openai_tokenizer, tiny_bundle

EXAMPLE = Path(__file__).parents[2] / "examples" / "clipvet-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed; built from a copy, so the tree stays clean."""
    base = tmp_path_factory.mktemp("example")
    source = shutil.copytree(
        EXAMPLE,
        base / "source",
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )
    target = base / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    done = subprocess.run(
        [*command, str(source)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "CLIPVET_PLUGINS_DIR": str(site / "no-local-plugins"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("CLIPVET_PLUGINS", None)
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def detect(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(site, "-c", "from clipvet.cli import main; main()", *arguments)


def test_the_list_shows_it(installed: Path) -> None:
    done = detect(installed, "plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    listed: dict[str, Any] = json.loads(done.stdout)
    example = next(p for p in listed["plugins"] if p["dist"] == "clipvet-example")
    assert example["version"] == "1.0.0"
    assert example["detectors"] == ["nearest"]
    assert example["readers"] == [".npy"]
    assert example["commands"] == ["npy"]
    assert {"nearest", "winclip"} <= set(listed["detectors"])
    assert [f for f in listed["failures"] if f["dist"] == "clipvet-example"] == []


def test_its_detector_keeps_every_promise(installed: Path) -> None:
    done = detect(installed, "plugins", "check", "nearest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nearest: 21 checks, 0 failed" in done.stdout


def test_its_command_runs(installed: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.npy", tmp_path / "bad.npy"
    np.save(good, np.arange(6, dtype=np.uint8).reshape(2, 3))
    np.save(bad, np.zeros(3))
    done = detect(installed, "x", "npy", str(good), str(bad))
    assert done.returncode == 0, done.stderr
    assert f"{good}: (2, 3), values 0..5" in done.stdout
    assert "no image:" in done.stdout


def test_its_own_tests_pass(installed: Path) -> None:
    tests = EXAMPLE / "tests"
    done = run(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tests),
        "-c", os.devnull, str(tests),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 passed" in done.stdout


ONE_PASS = """
import json
from clipvet.detectors import DetectorSpec, Engine, Host, Query, read_frame
from clipvet.detectors.testing import FakeRuntime, textures

frames = [read_frame(pixels) for pixels in textures(5, seed=8)]
specs = [DetectorSpec(id="winclip", options={"max_references": 0}), DetectorSpec(id="nearest")]
with Engine(specs, host=Host.load(), runtime_factory=FakeRuntime, batch_size=2) as engine:
    unfitted = engine.score(frames[:1], [[Query()]])[0]
    engine.fit("nearest", frames[:3], Query())
    before = engine.encoder_calls
    results = engine.score(frames, [[Query()]] * 5)
    print(json.dumps({
        "calls": engine.encoder_calls - before,
        "detectors": [[result.detector for result in frame] for frame in results],
        "status": sorted({result.status for frame in results for result in frame}),
        "nearest": [frame[1].value for frame in results],
        "unfitted": [(result.detector, result.status, result.error) for result in unfitted],
    }))
"""


def test_it_shares_one_pass_with_a_built_in_detector(installed: Path) -> None:
    done = run(installed, "-c", ONE_PASS)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["calls"] == 5  # one view each, two detectors
    assert seen["detectors"] == [["winclip", "nearest"]] * 5
    assert seen["status"] == ["ok"]
    assert max(map(abs, seen["nearest"][:3])) < 1e-6  # it has seen these
    assert min(seen["nearest"][3:]) > 1e-3
    (_, ok, _), (_, failed, why) = seen["unfitted"]
    assert (ok, failed) == ("ok", "error")
    assert "run `detect fit` first" in why


def test_a_run_reads_its_format_and_encodes_each_image_once(
    installed: Path, tmp_path: Path
) -> None:
    images, good = tmp_path / "images", tmp_path / "good"
    images.mkdir()
    good.mkdir()
    for index, pixels in enumerate(textures(5, seed=12)):
        np.save((good if index < 2 else images) / f"{index}.npy", pixels)
    Image.fromarray(textures(1, seed=13)[0]).save(images / "5.png")
    np.save(images / "6.npy", np.zeros(3))
    tiny_bundle(tmp_path / "tiny", tokenizer=openai_tokenizer())
    out = tmp_path / "out"
    done = detect(
        installed, "run", str(images), "-d", "winclip", "-d", "nearest", "--references", str(good),
        "--bundle", str(tmp_path / "tiny"), "--out", str(out), "--device", "cpu",
        "--heatmaps", "none",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr  # 6.npy holds no image
    assert json.loads((out / "run.json").read_text("utf-8"))["encoder_calls"] == 4
    lines = (out / "records.jsonl").read_text("utf-8").splitlines()
    records = {Path(r["image"]["id"]).name: r for r in map(json.loads, lines)}
    assert sorted(records) == ["2.npy", "3.npy", "4.npy", "5.png", "6.npy"]
    broken = records.pop("6.npy")
    assert (broken["status"], broken["detections"]) == ("unreadable", [])
    for record in records.values():
        assert record["status"] == "ok"
        assert [one["detector"] for one in record["detections"]] == ["winclip", "nearest"]
        assert all(isinstance(one["score"], float) for one in record["detections"])
