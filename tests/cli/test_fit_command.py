"""``detect fit`` and then ``detect run --recipe``, on a real bundle with random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.cli._main import run_command
from clipvet.detectors import FIT_DETECTORS, FIT_GATES, Inspector, Recipe, read_records
from tests.runs import save_pictures
from tests.tiny import openai_tokenizer, tiny_bundle

Detect = Callable[..., int]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    return tiny_bundle(folder, tokenizer=openai_tokenizer()).folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("fit") / "good parts", 12)


@pytest.fixture
def detect(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLIPVET_PLUGINS_DIR", str(tmp_path / "no plugins"))
    monkeypatch.chdir(tmp_path)

    def detect(*arguments: object) -> int:
        return run_command([str(argument) for argument in arguments])

    return detect


def fit(detect: Detect, good: Path, out: Path, bundle: Path, *more: object) -> int:
    """Of winclip, unless another detector is named: it answers without good images, too."""
    named = () if "-d" in more else ("-d", "winclip")
    return detect("fit", good, "--out", out, "--bundle", bundle, "--device", "cpu", *named, *more)


def test_fit_then_run_then_inspect(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--object", "bolt", "--roi", "2,3,38,29", "--tile", "24", "--overlap", "6"]
    assert fit(detect, good, tmp_path / "line 3", bundle, *more) == 0
    said = capsys.readouterr().out
    for words in [
        "recipe for winclip, asked about 'bolt', on tiny-gelu",
        "3 to learn from, 9 held out to calibrate, 0 left out",
        "at most 10 % of good images are flagged, calibrated on 9 of them",
        "winclip flags above",
        "5 % would take 19 held-out images",
        "3 of the images are copied into the recipe",
    ]:
        assert words in said
    command = said.strip().splitlines()[-1]
    assert command.endswith(f"detect run IMAGES --recipe '{tmp_path / 'line 3'}'")

    parts = save_pictures(tmp_path / "parts", 4, first=50)
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(parts / "black.png")
    run = ["run", parts, "--recipe", tmp_path / "line 3", "--out", tmp_path / "out", "-q"]
    assert detect(*run, "--device", "cpu") in (0, 1)
    records = list(read_records(tmp_path / "out" / "records.jsonl"))
    assert len(records) == 5
    assert all(record.verdict in ("pass", "flag") for record in records)
    assert records[0].detections[0].threshold is not None
    assert records[0].detections[0].details["method"].startswith("WinCLIP+ 3-shot")
    with Inspector.load(tmp_path / "line 3", device="cpu", batch_size=3) as inspector:
        for record in records:
            with Image.open(tmp_path / record.image.id) as image:
                one = inspector(np.asarray(image))
            assert one.detections[0].score == record.detections[0].score
            assert one.detections[0].p_value == record.detections[0].p_value
            assert one.verdict == record.verdict
            assert one.detections[0].regions == record.detections[0].regions
        recipe = Recipe.load(tmp_path / "line 3")
        for probe in recipe.probes:
            assert inspector(probe.file).detections[0].score == probe.scores["winclip"]


def test_without_a_detector_it_is_patchcore_behind_a_gate(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ["fit", good, "--bundle", bundle, "--device", "cpu"]
    assert detect(*plain, "--out", tmp_path / "line") == 0
    assert "recipe for patchcore, quality" in capsys.readouterr().out
    recipe = Recipe.load(tmp_path / "line")
    assert [spec.id for spec in recipe.specs] == list(FIT_DETECTORS)
    assert recipe.gates == FIT_GATES
    parts = save_pictures(tmp_path / "parts", 2, first=50)
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(parts / "black.png")
    run = ["run", parts, "--recipe", tmp_path / "line", "--out", tmp_path / "out", "-q"]
    assert detect(*run, "--device", "cpu") in (0, 1)
    records = {r.image.id: r for r in read_records(tmp_path / "out" / "records.jsonl")}
    assert records["parts/black.png"].verdict == "abstain"
    method = records["parts/050.png"].detections[0].details["method"]
    assert method.startswith("PatchCore 3-shot (spaces=")
    # New images alone, and the memory grows.
    late = save_pictures(tmp_path / "late", 12, first=70)
    more = ["fit", late, "--from", tmp_path / "line", "--learn", "--shots", 2, "--device", "cpu"]
    assert detect(*more, "--out", tmp_path / "grown", "-q") == 0
    learned = Recipe.load(tmp_path / "grown").calibrations["patchcore"].fitted_on
    assert len(learned) == 5
    assert learned[:3] == recipe.calibrations["patchcore"].fitted_on
    # A detector that is named comes without a gate.
    assert detect(*plain, "-d", "patchcore", "--out", tmp_path / "alone", "-q") == 0
    assert Recipe.load(tmp_path / "alone").gates == ()


def test_a_gate_abstains_where_it_would_flag(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path
) -> None:
    chosen = ["-d", "winclip", "-d", "vim", "--set", "vim.method=knn", "--gate", "vim"]
    assert fit(detect, good, tmp_path / "gated", bundle, *chosen, "-q") == 0
    assert Recipe.load(tmp_path / "gated").gates == ("vim",)
    (tmp_path / "odd").mkdir()
    Image.fromarray(np.full((30, 40, 3), (255, 0, 0), np.uint8)).save(tmp_path / "odd" / "red.png")
    run = ["run", tmp_path / "odd", "--recipe", tmp_path / "gated", "--out", tmp_path / "out", "-q"]
    assert detect(*run, "--device", "cpu") in (0, 1)
    (record,) = read_records(tmp_path / "out" / "records.jsonl")
    assert record.verdict == "abstain"
    assert record.reasons[0].startswith("vim: ")


@pytest.mark.parametrize("combination", ["any", "all", "weighted"])
def test_every_combination_is_judged_alike_by_run_and_inspector(
    detect: Detect, bundle: Path, tmp_path: Path, combination: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    good = save_pictures(tmp_path / "many", 21)
    bad = save_pictures(tmp_path / "bad", 6, first=400)
    more: list[object] = ["-d", "winclip", "-d", "vim", "--set", "vim.method=residual"]
    more += ["--combine", combination, "--bad", bad]
    more += ["--weight", "vim=2"] if combination == "weighted" else []
    assert fit(detect, good, tmp_path / "r", bundle, *more, "--set", "winclip.scales=[]") == 0
    said = capsys.readouterr().out
    how = {"any": "any of", "all": "all of its detectors at once", "weighted": "weighted p-values"}
    assert how[combination] in said
    assert "measured   bad" in said
    assert "sub " in said
    assert "the bad images only measure" in said
    run = ["run", bad, "--recipe", tmp_path / "r", "--out", tmp_path / "out", "-q"]
    assert detect(*run, "--device", "cpu", "--batch", 4) in (0, 1)
    records = list(read_records(tmp_path / "out" / "records.jsonl"))
    table = Recipe.load(tmp_path / "r").validation
    assert table is not None
    assert table.total.flagged == sum(record.verdict == "flag" for record in records)
    with Inspector.load(tmp_path / "r", device="cpu", batch_size=3) as inspector:
        for record in records:
            one = inspector(tmp_path / record.image.id)
            assert one.combined == record.combined
            assert (one.verdict, one.reasons) == (record.verdict, record.reasons)
    combined = records[0].combined
    assert combined is not None
    assert combined.combination == combination
    assert set(combined.terms) == {"winclip", "vim"}
    assert (records[0].verdict == "flag") == (combined.p_value <= 0.1)


def test_thresholds_that_bad_images_choose_promise_nothing(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = save_pictures(tmp_path / "bad", 4, first=400)
    more = ["--shots", "0", "--bad", bad, "--threshold", "recall=0.5"]
    assert fit(detect, good, tmp_path / "r", bundle, *more) == 0
    said = capsys.readouterr().out
    assert "promise    none: recall 0.5 on 4 bad images: no false-alarm promise, it flags" in said
    assert "% of good images" not in said
    assert "would take" not in said
    assert "flattering" in said
    assert fit(detect, good, tmp_path / "s", bundle, *more, "--false-alarm", "0.1") == 2
    assert "promises no false-alarm rate" in capsys.readouterr().err


def test_a_confidence_is_said(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--shots", "0", "--confidence", "0.7"]
    assert fit(detect, good, tmp_path / "r", bundle, *more) == 0
    said = capsys.readouterr().out
    assert "at most 10 % of good images are flagged with confidence 70 %" in said
    assert "5 % would take 24 held-out images" in said
    assert fit(detect, good, tmp_path / "s", bundle, "--confidence", "0.95") == 2
    assert "10 % with confidence 95 % takes 29: give at least 30" in capsys.readouterr().err
    for weights in (["--weight", "winclip"], ["--weight", "=2"], ["--weight", "winclip=much"]):
        assert fit(detect, good, tmp_path / "s", bundle, "--combine", "weighted", *weights) == 2
        assert "write id=number" in capsys.readouterr().err


def test_options_of_detectors_and_the_rate(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path
) -> None:
    more = ["--set", "winclip.temperature=0.01", "--shots", 0, "--false-alarm", 0.25, "-q"]
    assert fit(detect, good, tmp_path / "r", bundle, *more) == 0
    recipe = Recipe.load(tmp_path / "r")
    assert recipe.specs[0].options["temperature"] == 0.01
    assert recipe.specs[0].artefact is None
    assert recipe.rate == 0.25
    assert recipe.query.object == "object"
    assert str(tmp_path) not in (tmp_path / "r" / "recipe.toml").read_text()


def test_exit_codes(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(good.glob("*.png"))[:5]:
        shutil.copy(path, few)
    assert fit(detect, few, tmp_path / "a", bundle) == 2
    assert "too few good images (5)" in capsys.readouterr().err
    assert fit(detect, tmp_path / "nowhere", tmp_path / "a", bundle) == 2
    assert fit(detect, good, tmp_path / "a", bundle, "--false-alarm", "2") == 2
    assert fit(detect, good, tmp_path / "a", bundle, "--overlap", "2") == 2
    assert fit(detect, good, tmp_path / "a", bundle, "-d", "nobody") == 2
    assert fit(detect, good, tmp_path / "a", tmp_path / "no bundle") == 4
    assert detect("fit", good) == 2
    assert not (tmp_path / "a").exists()
    mixed = tmp_path / "mixed"
    shutil.copytree(good, mixed)
    (mixed / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert fit(detect, mixed, tmp_path / "a", bundle, "--shots", "0") == 3
    assert "left out: mixed/broken.png: " in capsys.readouterr().out
    assert fit(detect, mixed, tmp_path / "a", bundle) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_recipe_whose_bundle_is_gone_or_changed(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(bundle, mine)
    assert fit(detect, good, tmp_path / "r", mine, "--shots", "0", "-q") == 0
    run = ["run", good, "--recipe", tmp_path / "r", "--out", tmp_path / "o", "--heatmaps", "none"]
    manifest = mine / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert detect(*run) == 4
    assert "use that bundle or fit again" in capsys.readouterr().err
    shutil.rmtree(mine)
    assert detect(*run) == 4
    assert "bundle" in capsys.readouterr().err


def test_groups_false_alarms_and_more_images(
    detect: Detect, good: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by = ["--group-by", r"(\d\d)\d\.png"]
    grouped = [*by, "--shots", "1", "--false-alarm", "0.5", "--object", "bolt", "--tile", "24"]
    assert fit(detect, good, tmp_path / "line 3", bundle, *grouped) == 0
    said = capsys.readouterr().out
    assert "1 to learn from, 1 held out; images that match no group and are one" in said
    assert "at most 50 % of groups of good images are flagged, calibrated on 1 of them" in said
    assert fit(detect, good, tmp_path / "x", bundle, "--group-by", "(") == 2
    assert "not a regular expression" in capsys.readouterr().err

    plain = ["--shots", "3", "--false-alarm", "0.5", "--object", "bolt"]
    assert fit(detect, good, tmp_path / "a", bundle, *plain, "-q") == 0
    parts = save_pictures(tmp_path / "parts", 12, first=50)
    run = ["run", parts, "--recipe", tmp_path / "a", "--out", tmp_path / "run", "--device", "cpu"]
    assert detect(*run, "--heatmaps", "none", "-q") == 1
    records = read_records(tmp_path / "run" / "records.jsonl")
    alarms = [record.image.id for record in records if record.verdict == "flag"]
    listed = tmp_path / "good after all.txt"
    listed.write_text("\n".join(alarms[1:]))
    accept = ["--accept", f"{tmp_path / 'run'}:{alarms[0]}"]
    accept += ["--accept", f"{tmp_path / 'run'}:@{listed}"] if alarms[1:] else []
    anew = ["fit", good, "--from", tmp_path / "a", "--out", tmp_path / "b", "--device", "cpu"]
    capsys.readouterr()
    assert detect(*anew, *accept) == 2
    assert "--accept: it is for a new fit" in capsys.readouterr().err
    assert detect(*anew, *accept, "--learn", "--shots", "3", "-q") == 0
    learned = Recipe.load(tmp_path / "b").calibrations["winclip"].fitted_on
    assert set(alarms) < set(learned)
    assert len(learned) == 3 + len(alarms)
    assert Recipe.load(tmp_path / "b").rate == 0.5
    assert detect(*anew[:-4], "--out", tmp_path / "c", *accept[:1], tmp_path / "run") == 2

    more = ["fit", parts, "--from", tmp_path / "a", "--device", "cpu", "--out"]
    assert detect(*more, tmp_path / "c", "--object", "nut") == 2
    assert "--object: --from fixes it" in capsys.readouterr().err
    assert detect(*more, tmp_path / "c", "--false-alarm", "0.1") == 0
    assert "3 to learn from, 21 held out to calibrate, 0 left out" in capsys.readouterr().out
    assert Recipe.load(tmp_path / "c").rate == 0.1
    assert detect("fit", parts, "--learn", "--out", tmp_path / "d") == 2
    assert "--learn belongs to --from" in capsys.readouterr().err
