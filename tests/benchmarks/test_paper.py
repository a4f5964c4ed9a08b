"""The papers' protocols on tiny folders of the right layout, with the embedded bundle.

Their pictures are renders and their numbers mean nothing; what is held to plain definitions are
the metrics, and what is checked is that every part finds its folders and says what ran.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from benchmarks import (
    _paper,
    _paper_anomaly,
    _paper_fooling,
    _paper_ood,
    _paper_unanswerable,
    paper,
)
from clipvet.detectors import Host, Query
from clipvet.plugins import inappropriate
from training.render import render
from training.scenes import make_program

SIDE = (96, 96)
EMBEDDED = Path(str(inappropriate.__file__)).parent / "mini"
CLASSES = ("bolt", "bottle", "gear")


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pictures(folder: Path, name: str, count: int, seed: int) -> None:
    for i in range(count):
        write(folder / f"{i}.png", render(make_program(seed + i, family=name), i, size=SIDE).image)


def write_anomalies(root: Path) -> None:
    for category, seed in (("screw", 1), ("metal_nut", 2)):
        program = make_program(seed)
        for i in range(5):
            write(root / category / f"train/good/{i}.png", render(program, i, size=SIDE).image)
        for i in range(5, 8):
            write(root / category / f"test/good/{i}.png", render(program, i, size=SIDE).image)
        instance = found = 0
        while found < 3:
            shot = render(program, 100 + instance, defect="any", size=SIDE)
            instance += 1
            if shot.mask.any():
                mask = shot.mask.astype(np.uint8) * 255
                write(root / category / f"test/bad/{found}.png", shot.image)
                write(root / category / f"ground_truth/bad/{found}_mask.png", mask)
                found += 1


def write_questions(root: Path) -> None:
    pictures(root / "images", "bolt", 4, 30)
    lines = []
    for item in range(4):
        for rotation in range(2):
            for kind in ("standard", "upd"):
                right, wrong = ("red", "blue") if kind == "standard" else ("green", "blue")
                options = [right, wrong] if rotation == 0 else [wrong, right]
                lines.append(
                    json.dumps(
                        {
                            "index": item + rotation * 10**6,
                            "question": "what colour is the star?",
                            "A": options[0],
                            "B": options[1],
                            "C": None,
                            "type": kind,
                            "image": f"{item}.png",
                        }
                    )
                )
    (root / "aad.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("paper")
    write_anomalies(root / "mvtec")
    for n, name in enumerate(CLASSES):
        pictures(root / f"imagenet/train/{n}", name, 6, 100 * n)
        pictures(root / f"imagenet/val/{n}", name, 4, 100 * n + 50)
    (root / "imagenet/classes.txt").write_text("\n".join(CLASSES) + "\n")
    pictures(root / "ood/keys", "key", 5, 700)
    pictures(root / "ood/coins", "coin", 4, 800)
    pictures(root / "smid/good", "bolt", 12, 900)
    rng = np.random.default_rng(0)
    for i in range(11):
        write(root / f"smid/bad/{i}.png", rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
    write_questions(root / "mm_upd")
    for i in range(2):
        write(root / f"prints/noise/{i}.png", rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
    (root / "prints/noise/prints.json").write_text(
        json.dumps({"prints": [{"file": "0.png", "names": ["bolt"]}]})
    )
    pictures(root / "photos", "coin", 6, 990)
    return root


def ran(data: Path, part: str, *more: str) -> dict[str, Any]:
    """The part's entry, by way of the command line and a file."""
    out = data.parent / f"{part}.json"
    paper.main([part, "--bundle", "mini", "--data", str(data), "--out", str(out), *more])
    whole = json.loads(out.read_text())
    assert whole["bundle"]["id"].startswith("mini")
    assert len(whole["bundle"]["sha256"]) == 64
    assert len(whole["date"]) == 10
    found = whole["parts"][part]
    assert isinstance(found, dict)
    assert "skipped" not in found, found["skipped"]
    return found


def test_winclip_is_the_papers_with_and_without_good_images(data: Path) -> None:
    found = ran(data, "winclip", "--seeds", "2")
    assert found["n"] == {"mvtec": {"categories": 2, "good": 6, "defective": 6}}
    # The bundle advises other settings; the paper's are what runs.
    assert set(found["method"]) == {
        "WinCLIP zero-shot",
        *(f"WinCLIP+ {shots}-shot" for shots in (1, 2, 4)),
    }
    mvtec = found["metrics"]["mvtec"]
    assert list(mvtec) == ["0-shot", "1-shot", "2-shot", "4-shot"]
    assert mvtec["0-shot"]["seeds"] == 1
    assert mvtec["4-shot"]["seeds"] == 2
    assert set(mvtec["1-shot"]["mean"]) == {
        *("image_auroc", "image_ap", "image_f1_max"),
        *("pixel_auroc", "aupro", "pixel_f1_max"),
    }
    categories = mvtec["0-shot"]["categories"]
    expected = np.mean([categories[name]["aupro"] for name in ("screw", "metal_nut")])
    assert mvtec["0-shot"]["mean"]["aupro"] == pytest.approx(expected, abs=1e-4)


def test_references_are_drawn_anew_and_nested() -> None:
    good = [Path(f"{i}.png") for i in range(9)]
    draws = [_paper_anomaly._draw(good, 4, seed) for seed in range(5)]
    assert len({tuple(draw) for draw in draws}) > 1
    assert _paper_anomaly._draw(good, 2, 3) == draws[3][:2]
    assert {p for draw in draws for p in draw} == set(_paper_anomaly._drawable(good, 5))


def test_anomalyclip_scores_with_the_artefact_that_is_given(data: Path) -> None:
    prompts = EMBEDDED.parents[1] / "anomalyclip/mini"
    found = ran(data, "anomalyclip", "--artefact", f"anomalyclip={prompts}")
    assert found["artefact"] == str(prompts)
    assert found["method"][0].startswith("AnomalyCLIP")
    mean = found["metrics"]["mvtec"]["0-shot"]["mean"]
    assert set(mean) == {"image_auroc", "image_ap", "pixel_auroc", "aupro"}
    assert all(0 <= value <= 1 for value in mean.values())


def test_an_artefact_of_another_detector_is_a_sentence(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    where = ["--bundle", "mini", "--data", str(data), "--out", str(out)]
    paper.main(["anomalyclip", *where, "--artefact", f"anomalyclip={EMBEDDED}"])
    assert "belongs to" in json.loads(out.read_text())["parts"]["anomalyclip"]["skipped"]


def test_clipn_runs_every_method_against_every_set(data: Path) -> None:
    found = ran(data, "clipn")
    assert found["n"] == {"classes": 3, "known": 12, "coins": 4, "keys": 5}
    assert set(found["metrics"]) | set(found["not measured"]) == {
        *("atd", "ctw", "mcm", "gl_mcm", "neglabel")
    }
    assert {"atd", "mcm"} <= set(found["metrics"])
    for method, row in found["metrics"].items():
        assert found["method"][method]
        assert set(row) == {"coins", "keys", "mean"}
        expected = (row["coins"]["auroc"] + row["keys"]["auroc"]) / 2
        assert row["mean"]["auroc"] == pytest.approx(expected, abs=1e-4)


def test_vim_learns_from_labelled_images_of_train(data: Path) -> None:
    found = ran(data, "vim")
    assert found["n"]["fit"] == 18
    assert not found["not measured"]
    assert len(found["metrics"]) == 12
    assert found["method"]["vim"].startswith("ViM")
    assert found["positive"] == "ID"


def test_class_names_must_fit_the_folders(data: Path, tmp_path: Path) -> None:
    for name in ("a_b", "c"):
        (tmp_path / "imagenet/val" / name).mkdir(parents=True)
    setup = _paper.Setup(bundle="mini", data=tmp_path)
    val = tmp_path / "imagenet/val"
    assert list(_paper_ood.class_folders(setup, val).values()) == ["a b", "c"]
    (tmp_path / "imagenet/classes.txt").write_text("one\n")
    with pytest.raises(_paper.Unmeasured, match="names 1 classes"):
        _paper_ood.class_folders(setup, val)


def test_inappropriate_is_tuned_on_resamples_and_scored_as_given(data: Path) -> None:
    found = ran(data, "inappropriate")
    assert found["n"] == {"appropriate": 12, "inappropriate": 11}
    assert found["method"]["as given"].startswith("Q16 re-trained")
    tuned = found["metrics"]["re-tuned"]
    assert {"accuracy", "precision", "recall", "f1"} <= set(tuned)
    # Bolts and noise are easily told apart, once somebody has said which is which.
    assert tuned["accuracy"]["mean"] > 0.9
    assert set(found["metrics"]["as given"]["at 0.9"]) == {"accuracy", "precision", "recall", "f1"}


def test_unanswerable_says_what_needs_a_vlm(data: Path) -> None:
    found = ran(data, "unanswerable")
    assert found["n"] == {"aad": {"standard": 4, "upd": 4, "questions": 16}}
    assert "VLM" in found["not measured"]["dual accuracy"]
    pooled = found["metrics"]["pooled"]["aad"]
    # Both twins have two choices: their number alone tells nothing.
    assert pooled["auroc of blind baselines"]["option_count"] == 0.5
    at = pooled["at 0.5"]
    assert at["both of a pair"] <= min(at["standard not refused"], at["upd refused"])
    assert found["method"]["zero-training"][0].startswith("zero-training")


def test_an_item_is_right_only_under_all_its_rotations() -> None:
    query = Query(question="?")
    rows = [(1, False, 0.2), (1, False, 0.7), (1, True, 0.9), (2, False, 0.1), (2, True, 0.6)]
    asked = [_paper_unanswerable._Asked(Path("a"), query, i, bad) for i, bad, _ in rows]
    found = [{"score": score, "blind": {}, "method": ""} for _, _, score in rows]
    measured = _paper_unanswerable._measured(asked, found)
    assert measured["at 0.5"] == {
        "standard not refused": 0.5,
        "upd refused": 1.0,
        "both of a pair": 0.5,
    }
    assert measured["auroc"] == pytest.approx(5 / 6, abs=1e-4)


def test_a_broken_question_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "aad.jsonl"
    path.write_text('{"index": 1, "question": "?", "type": "other", "image": "a"}\n')
    with pytest.raises(_paper.Unmeasured, match=r"line 1 .* type is 'other'"):
        _paper_unanswerable._read(path, tmp_path)


@pytest.mark.skipif("fooling" not in Host.load().detectors, reason="fooling is not installed")
def test_few_prints_are_counted_and_not_divided(data: Path) -> None:
    found = ran(data, "fooling")
    assert found["n"] == {"photos": 6, "noise": 2}
    noise = found["metrics"]["detection"]["noise"]
    assert noise["pairs in order"].endswith(" of 12")
    assert noise["photos flagged"] == "0 of 6"


def test_poi_counts_genuine_images_that_a_print_beats(data: Path) -> None:
    setup = _paper.Setup(bundle="mini", data=data)
    folder = data / "prints/noise"
    found = _paper_fooling._poi(setup, {"noise": _paper.images(folder)})["noise"]
    # One print was mined for one of three names, of the other nothing is known: 4 pictures a name.
    assert {key: value.split(" of ")[1] for key, value in found.items()} == {
        "targeted": "4 pairs, 2 prints",
        "other": "8 pairs, 2 prints",
        "all": "12 pairs, 2 prints",
    }
    known = data / "imagenet/val/0/0.png"
    itself = _paper_fooling._poi(setup, {"known": [known]})["known"]["all"]
    assert int(itself.split(" of ")[0]) <= 11  # it does not beat itself


def test_detection_at_one_percent_flags_at_most_that_many_photographs() -> None:
    rng = np.random.default_rng(0)
    photos, prints = rng.random(250), rng.random(60) + 0.5
    found = _paper_fooling._detection(prints, photos)
    assert found["photos flagged"] == "2 of 250"
    assert found["tpr at 1 % fpr"] == round(float((prints > np.sort(photos)[-3]).mean()), 4)


def test_both_conventions_of_fpr95_have_id_as_positive() -> None:
    inside = np.arange(100) / 100
    # 95 of 100 known images score at most .94: outside, half lie below that.
    outside = np.array([0.5, 0.935, 0.975, 2.0])
    assert _paper.false_positive_rate(inside, outside) == 0.5
    assert _paper.interpolated_rate(inside, outside) == pytest.approx(0.5)
    assert _paper.interpolated_rate(inside, inside + 5) == 0
    assert _paper.false_positive_rate(inside, inside - 5) == 1


def test_f1_max_is_the_best_over_all_thresholds() -> None:
    rng = np.random.default_rng(1)
    label, scores = rng.random(60) < 0.4, rng.random(60)
    best = max(f1_score(label, scores >= cut) for cut in scores)
    assert _paper.f1_max(label, scores) == pytest.approx(best)


@pytest.mark.parametrize("part", list(paper.PARTS))
def test_a_part_without_its_data_says_which_folders_it_wants(part: str, tmp_path: Path) -> None:
    found = paper.run(_paper.Setup(bundle="mini", data=tmp_path), [part])["parts"][part]
    assert "wants DATA/" in found["skipped"] or found["skipped"].endswith("not installed")
    assert "metrics" not in found


def test_a_detector_that_is_not_installed_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "load", Host)
    monkeypatch.setattr(_paper, "find_bundle", lambda *_: _Opened())
    found = paper.run(_paper.Setup(bundle="mini", data=data), ["fooling"])
    assert found["parts"]["fooling"]["skipped"] == "detector fooling is not installed"


class _Opened:
    class info:  # noqa: N801 - stands for BundleInfo
        id, sha256 = "mini", "0" * 64


def test_unknown_parts_and_bundles_end_with_a_sentence(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        paper.main(["nothing", "--bundle", "mini", "--data", str(data)])
    assert stopped.value.code == 2
    assert "unknown part nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        paper.main(["vim", "--bundle", "no-such-bundle", "--data", str(data)])
    assert "no-such-bundle" in capsys.readouterr().err
