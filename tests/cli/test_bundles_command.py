from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clipvet.cli.bundles import app
from clipvet.detectors.clip import Bundle, _int8_graph
from clipvet.detectors.errors import BundleError, ClipvetError, UsageError

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPVET_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.setenv("CLIPVET_PLUGINS_DIR", str(tmp_path / "plugins"))
    monkeypatch.setenv("CLIPVET_PLUGINS", "mini")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def detect(*words: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def refusal(*words: str | Path) -> ClipvetError:
    """The handled error, which the main command prints as one line."""
    error = detect(*words).exception
    assert isinstance(error, ClipvetError)
    assert "\n" not in str(error)
    return error


def export(config: Path, out: Path, *words: str) -> Result:
    return detect("export", "tiny", "--config", config, "--random", "0", "--out", out, *words)


def test_export_then_show_and_verify(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundles" / "tiny-test"
    done = export(config, out)
    assert done.exit_code == 0, done.output
    assert "note: random weights: scores mean nothing" in done.stderr
    assert done.stdout.startswith(f"{out}: tiny, 64 px, gelu, fp32, ")

    shown = detect("show", "tiny-test")
    assert shown.exit_code == 0
    for word in ("tiny-test", "random numbers, seed 0", "4 x 4 patches of 16", "squash",
                 "win3_embed", "none needed: random numbers", "open vocabulary"):  # fmt: skip
        assert word in shown.stdout
    as_json = json.loads(detect("show", out, "--json").stdout)
    assert as_json["schema"] == "clipvet.bundle/1"
    assert as_json == json.loads((out / "manifest.json").read_text())

    assert detect("verify", "tiny-test").stdout == "tiny-test: 5 files are as exported\n"
    with (out / "tokenizer.json").open("r+b") as file:
        file.write(b" ")
    error = refusal("verify", "tiny-test")
    assert isinstance(error, BundleError)
    assert "tokenizer.json is not the file that its manifest describes" in str(error)


def test_list(config: Path, tmp_path: Path) -> None:
    export(config, tmp_path / "bundles" / "a")
    broken = Path(shutil.copytree(tmp_path / "bundles" / "a", tmp_path / "bundles" / "b"))
    (broken / "weights.bin").unlink()
    rows = {row["name"]: row for row in json.loads(detect("list", "--json").stdout)}
    assert (rows["a"]["origin"], rows["a"]["state"]) == ("pulled", "ok")
    assert rows["b"]["state"] == "damaged"
    assert "lacks weights.bin" in rows["b"]["about"]
    lines = detect("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(rows)


@pytest.mark.parametrize(
    ("words", "check"),
    [
        (["--image-size", "96"], lambda m: m.preprocessing.size == 96 and m.vision.grid == 6),
        (["--image-size", "96", "--positions", "bilinear"],
         lambda m: m.vision.position_interpolation == "bilinear"),
        (["--resize", "longest"], lambda m: m.preprocessing.resize == "longest"),
        (["--vv-start", "2"], lambda m: m.vision.vv_start == 2),
        (["--precision", "fp16"], lambda m: m.precision == "fp16"),
        (["--precision", "int8"], lambda m: m.precision == "int8"),
        (["--activation", "quickgelu"], lambda m: m.activation == "quickgelu"),
        ([], lambda m: m.preprocessing.resize == "squash" and m.vision.vv_start == 1),
    ],
)  # fmt: skip
def test_options_reach_the_manifest(
    config: Path, tmp_path: Path, words: list[str], check: Any
) -> None:
    done = export(config, tmp_path / "out", *words)
    assert done.exit_code == 0, done.output
    assert check(Bundle.open(tmp_path / "out").manifest)


@pytest.mark.parametrize(
    ("products", "wanted"),
    [("plain", None), ("wide", "no VNNI instructions"), ("inexact", "saves disk space")],
)
def test_what_int8_brings_on_this_processor_is_said(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    products: str,
    wanted: str | None,
) -> None:
    monkeypatch.setattr(_int8_graph, "int8_products", lambda: products)
    done = export(config, tmp_path / "int8", "--precision", "int8")
    assert done.exit_code == 0, done.output
    notes = [line for line in done.stderr.splitlines() if "docs/speed.md" in line]
    assert len(notes) == (wanted is not None)
    assert wanted is None or wanted in notes[0]
    assert "docs/speed.md" not in export(config, tmp_path / "fp32").stderr


def test_one_source_of_weights_is_needed(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words in ([], ["--random", "0", "--pretrained", "openai"]):
        error = refusal("export", "tiny", "--config", config, "--out", out, *words)
        assert isinstance(error, UsageError)
        assert "give one source of weights" in str(error)


def test_what_is_there_is_not_overwritten(config: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("keep")
    done = export(config, tmp_path / "out")
    assert isinstance(done.exception, UsageError)
    assert "exists and is not an empty folder" in str(done.exception)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "ViT-B-32", "--pretrained", "no/such.pt", "--out", "x"], "no/such.pt is not a"),
        (["export", "ViT-B-32", "--pretrained", "nonsense", "--out", "x"], "tags: openai, laion"),
        (["export", "ViT-B-99", "--random", "0", "--out", "x"], "knows no model 'ViT-B-99'; near"),
        (["export", "RN50", "--random", "0", "--out", "x"], "RN50 describes a ResNet image tower"),
        (["pull", "ViT-B-32"], "which weights of ViT-B-32"),
        (["pull", "hf-hub:a/b", "--pretrained", "x"], "holds its own weights"),
        (
            ["pull", "ViT-B-32", "--pretrained", "openai", "--name", "../x"],
            "a plain name is needed",
        ),
        (["show", "no-such-bundle"], "there is no bundle named 'no-such-bundle'"),
    ],
)
def test_requests_that_cannot_be_met(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in str(refusal(*words))
    assert list(tmp_path.iterdir()) == []


def test_bad_options_are_usage_errors(config: Path, tmp_path: Path) -> None:
    assert export(config, tmp_path / "out", "--resize", "crop").exit_code == 2
    assert export(config, tmp_path / "out", "--vv-start", "-1").exit_code == 2
    assert isinstance(export(config, tmp_path / "out", "--vv-start", "9").exception, UsageError)
    assert not (tmp_path / "out").exists()
