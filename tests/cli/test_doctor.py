"""`detect doctor` says what works here, and names what does not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import (
    Calibration,
    DetectorSpec,
    Finding,
    Host,
    Recipe,
    _doctor,
    examine,
    examine_recipe,
)
from clipvet.detectors.clip import _int8_graph
from clipvet.detectors.recipes._probing import shift_holds

RECIPE = Path(__file__).parents[2] / "sample_data" / "recipe"


def doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    detect = str(Path(sys.executable).with_name("detect"))
    return subprocess.run(
        [detect, "doctor", *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def fake_dist(folder: Path, name: str, module: str) -> None:
    """A distribution that claims a module, as a second wheel of the same module would."""
    info = folder / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    (info / "top_level.txt").write_text(module + "\n")
    (info / "RECORD").write_text("")


@pytest.fixture
def host() -> Host:
    return Host.load(select="", plugins_dir=Path(os.devnull))


def by_name(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_a_good_installation_has_nothing_bad(host: Host) -> None:
    findings = examine(host)
    assert [finding for finding in findings if finding.state == "bad"] == []
    assert by_name(findings, "cpu").value == "CPUExecutionProvider works"
    assert by_name(findings, "mini").value.startswith("verified")


def test_the_nodes_of_the_image_tower_are_counted(host: Host) -> None:
    finding = by_name(examine(host), "cpu: image tower")
    assert finding.state == "ok"
    assert re.fullmatch(r"nodes: \d{3} CPUExecutionProvider", finding.value)


def test_cuda_is_reported_as_it_is(host: Host) -> None:
    import onnxruntime

    known = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    finding = by_name(examine(host), "cuda")
    assert known or (finding.state, finding.value) == ("note", "not usable")


def test_openvino_is_tried_where_it_is_installed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = examine(host)
    assert by_name(findings, "openvino: image tower").value == "OpenVINO works"
    # Whether the processor multiplies bfloat16 differs; it is said either way.
    half = by_name(findings, "openvino-bf16: image tower")
    assert half.value == "OpenVINO bfloat16 works" or "does not multiply" in half.advice
    monkeypatch.setattr(_doctor, "find_spec", lambda _name: None)
    assert not [finding for finding in examine(host) if finding.name.startswith("openvino")]


@pytest.mark.parametrize(
    ("products", "state", "value"),
    [
        ("plain", "ok", "instructions of their own"),
        ("wide", "note", "widened to 16 bits"),
        ("inexact", "note", "not used"),
    ],
)
def test_what_int8_brings_is_said(
    monkeypatch: pytest.MonkeyPatch, products: str, state: str, value: str
) -> None:
    monkeypatch.setattr(_int8_graph, "int8_products", lambda: products)
    finding = _doctor._integer_products()
    assert finding.state == state
    assert value in finding.value
    assert ("docs/speed.md" in finding.advice) == (state == "note")


@pytest.mark.parametrize(
    ("second", "module"),
    [("onnxruntime-gpu", "onnxruntime"), ("opencv-python", "cv2")],
)
def test_two_wheels_of_a_kind_are_named(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str, module: str
) -> None:
    fake_dist(tmp_path, second, module)
    monkeypatch.syspath_prepend(tmp_path)
    finding = by_name(examine(host), module)
    assert finding.state == "bad"
    assert second in finding.value
    assert "uninstall all of" in finding.advice


def test_an_unwritable_cache_is_a_note(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    assert by_name(examine(host), "cache").state == "ok"
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert by_name(examine(host), "cache").state == "note"


def test_command_prints_a_report_and_exits_0() -> None:
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("clipvet", "onnxruntime", "CPUExecutionProvider works", "winclip", "mini"):
        assert word in done.stdout


def test_a_failed_plugin_is_reported_and_exits_4(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no licence key')\n")
    done = doctor("--json", CLIPVET_PLUGINS_DIR=str(tmp_path))
    assert done.returncode == 4
    bad = [finding for finding in json.loads(done.stdout) if finding["state"] == "bad"]
    assert len(bad) == 1
    assert "no licence key" in bad[0]["advice"]


def test_a_recipe_is_tried_with_its_probes(host: Host, tmp_path: Path) -> None:
    recipe = Path(shutil.copytree(RECIPE, tmp_path / "line3"))
    findings = {one.name: one for one in examine_recipe(recipe, host)}
    assert findings["patchcore"].state == "ok"
    assert "3 probes score" in findings["patchcore"].value
    table = recipe / "recipe.toml"
    # What a machine that computes otherwise would find.
    moved = re.sub(r"patchcore = \d+\.\d+", "patchcore = 0.5", table.read_text("utf-8"), count=1)
    table.write_text(moved, "utf-8")
    finding = next(one for one in examine_recipe(recipe, host) if one.name == "patchcore")
    assert finding.state == "bad"
    assert "fit the recipe here" in finding.advice
    (recipe / "probes").rename(recipe / "gone")
    (finding,) = examine_recipe(recipe, host)
    assert (finding.state, finding.value) == ("bad", "cannot be used")
    assert "lacks probes/" in finding.advice


@pytest.mark.parametrize("combination", ["any", "weighted"])
def test_a_shift_matters_if_it_moves_a_good_image_over_the_limit(combination: Any) -> None:
    scores = np.random.default_rng(0).normal(size=200)
    images = tuple(str(i) for i in range(200))
    recipe = Recipe(
        specs=(DetectorSpec(id="a"), DetectorSpec(id="b")),
        bundles=(),
        calibrations={
            "a": Calibration(images=images, scores=scores),
            "b": Calibration(images=images, scores=np.roll(scores, 7)),
        },
        rate=0.1,
        combination=combination,
    )
    assert shift_holds(recipe, "a", 1e-9)
    assert not shift_holds(recipe, "a", 1.0)


def test_the_command_tries_a_recipe() -> None:
    done = doctor("--recipe", str(RECIPE), "--json")
    assert done.returncode == 0, done.stdout
    found = [one for one in json.loads(done.stdout) if one["section"] == "recipe"]
    assert [one["name"] for one in found] == ["recipe", "patchcore", "quality"]
    done = doctor("--recipe", "no-such-folder")
    assert done.returncode == 4
    assert "not a recipe" in done.stdout
