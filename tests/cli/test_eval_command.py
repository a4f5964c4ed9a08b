"""``detect eval`` on a real bundle with random weights, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from clipvet.cli._eval_table import print_evaluation
from clipvet.cli._main import run_command
from clipvet.detectors import (
    DetectorSpec,
    EvalConfig,
    Evaluation,
    FitConfig,
    Recipe,
    evaluate,
    fit,
    read_records,
)
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, picture, save_pictures

Detect = Callable[..., int]


def make_set(root: Path, good: int = 5) -> Path:
    save_pictures(root / "test" / "good", good, first=50)
    for kind in ("cut", "hole"):
        (root / "test" / kind).mkdir(parents=True)
        (root / "ground_truth" / kind).mkdir(parents=True)
        for seed in range(2):
            pixels, mask = picture(seed).copy(), np.zeros((30, 40), np.uint8)
            pixels[5:15, 8:20], mask[5:15, 8:20] = (255, 0, 0), 255
            Image.fromarray(pixels).save(root / "test" / kind / f"{seed}.png")
            Image.fromarray(mask).save(root / "ground_truth" / kind / f"{seed}_mask.png")
    return root


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("eval") / "bolt")


@pytest.fixture
def detect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLIPVET_PLUGINS_DIR", str(tmp_path / "no plugins"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_command([str(argument) for argument in arguments])


@pytest.fixture
def machine(tiny: Path) -> list[object]:
    return ["--bundle", tiny, "--device", "cpu", "--draws", 20]


def test_without_a_recipe(
    detect: Detect,
    machine: list[object],
    parts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = save_pictures(tmp_path / "good", 3)
    more = ["-d", "winclip", "--references", good, "--object", "bolt", "--seed", 7]
    assert detect("eval", parts, *more, *machine, "--json") == 0
    said = capsys.readouterr()
    found = Evaluation.from_json(said.out)
    assert said.err == ""
    assert json.loads(said.out)["schema"] == "clipvet.eval/1"
    assert found.bootstrap.seed == 7
    assert (found.layout, found.object, found.bundle) == ("mvtec", "bolt", "tiny-gelu")
    (winclip,) = found.detectors
    assert winclip.method is not None
    assert winclip.method.startswith("WinCLIP+ 3-shot")
    assert winclip.all.image is not None
    assert winclip.all.pixel is not None
    assert winclip.all.decisions is found.good is None
    assert set(tmp_path.iterdir()) == {good, tmp_path / "cache"}  # nothing is kept


def test_with_a_recipe_and_files(
    detect: Detect, tiny: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = save_pictures(tmp_path / "good", 11)
    line = tmp_path / "line"
    more = ["--bundle", tiny, "--shots", 2, "--false-alarm", 0.5, "--device", "cpu", "-q"]
    assert detect("fit", good, "-d", "winclip", "--out", line, *more) == 0
    more = ["--recipe", line, "--device", "cpu", "--draws", 20]
    assert detect("eval", parts / "test", *more, "--out", "out", "-q") == 0
    assert capsys.readouterr().out == ""
    found = Evaluation.from_json((tmp_path / "out" / "eval.json").read_bytes())
    assert found.promised_rate == Recipe.load(line).rate
    assert found.recipe_sha256 == Recipe.load(line).sha256
    assert (tmp_path / "out" / "curves" / "winclip.png").is_file()
    records = list(read_records(tmp_path / "out" / "records.jsonl"))
    assert len(records) == 9
    flagged = sum(r.verdict == "flag" for r in records if r.image.id.startswith("good/"))
    assert found.good is not None
    assert found.good.flagged is not None
    assert found.good.flagged.count == flagged
    # What is flagged makes a run exit 1, and an evaluation never.
    assert any(record.verdict == "flag" for record in records)
    assert detect("eval", parts / "test", *more, "--out", "out") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text  # no terminal, no colours
    assert "verdicts of the recipe  promised: at most 50 %" in text
    assert "out/eval.json" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere"], 2, "nowhere is no folder: wants folders named for what they show"),
        (["bolt", "--masks", "nowhere"], 2, "--masks nowhere is no folder"),
        (["bolt", "--overlap", "3"], 2, "--overlap belongs to --tile N"),
        (["bolt", "-d", "winclyp"], 2, "winclyp"),
        (["bolt", "--draws", "-1"], 2, "--draws"),
        (["bolt", "--recipe", "nowhere"], 4, "nowhere"),
        (["bolt", "--bundle", "nowhere"], 4, "nowhere"),
        ([], 2, "Missing argument 'DIR'"),
    ],
)
def test_exit_codes(
    detect: Detect, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    make_set(Path("bolt"), good=1)
    assert detect("eval", *arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err


def test_a_bad_image_and_a_bad_mask_exit_3(
    detect: Detect, machine: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = make_set(tmp_path / "bolt", good=2)
    (parts / "test" / "good" / "empty.png").touch()
    Image.new("L", (4, 4), 255).save(parts / "ground_truth" / "cut" / "1_mask.png")
    assert detect("eval", parts, *machine) == 3
    text = " ".join(capsys.readouterr().out.split())
    assert "3 good, 4 defective images of 2 types, 3 with a mask, 1 unreadable" in text
    assert "2 failures, first of them:" in text
    assert "empty.png: the file is empty" in text
    assert "1_mask.png is 4x4 and its image 40x30: make them equal" in text
    assert "metrics are over the images that were scored" in text


def shown(parts: Path, **options: Any) -> str:
    config = EvalConfig(folder=parts, draws=30, **options)
    summary = evaluate(config, host=EVERYTHING, runtime_factory=FakeRuntime)
    console = Console(record=True, width=80, force_terminal=True)
    print_evaluation(summary, console)
    return console.export_text()


def test_the_screen(parts: Path, tmp_path: Path) -> None:
    config = FitConfig(
        sources=(save_pictures(tmp_path / "good", 20),),
        out=tmp_path / "line",
        specs=(DetectorSpec(id="energy"), DetectorSpec(id="learner")),
        gates=("learner",),
        rate=0.2,
    )
    fit(config, host=EVERYTHING, runtime_factory=FakeRuntime)
    text = shown(parts, recipe=tmp_path / "line")
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines() if str(parts) not in line) <= 80
    for words in (
        "5 good, 4 defective images of 2 types, 4 with a mask",
        "(mvtec), fake, FakeExecutionProvider",
        "promised: at most 20 % of good images are flagged",
        "all defects",
        "energy  energy",
        "learner  gate",
        "FPR95 defect+: share of good images flagged where 95 % of defects are",
        "95 % intervals: bootstrap over images, 30 draws, seed 0; of verdicts",
    ):
        assert words in text, words
    # a row of images, a row of intervals, a row of pixels
    assert [line.split()[0] for line in text.splitlines() if "5+2" in line][:4] == [
        "cut", "hole", "cut", "hole"
    ]  # fmt: skip


def test_what_a_screen_without_a_recipe_leaves_out(parts: Path) -> None:
    text = shown(parts, specs=[DetectorSpec(id="learner")], references=parts / "test" / "good")
    assert "verdicts" not in text
    assert "AUPRO" not in text  # this detector has no heatmaps
    assert "5 of these images are references that detectors learned from" in text
