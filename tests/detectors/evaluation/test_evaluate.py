"""An evaluation from files to numbers."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from clipvet.detectors import (
    EVAL_SCHEMA,
    DecodePolicy,
    DetectorEvaluation,
    DetectorSpec,
    EvalConfig,
    EvalSummary,
    Evaluation,
    FitConfig,
    Heatmap,
    Isolation,
    Query,
    Region,
    RunConfig,
    ScoringConfig,
    Tiling,
    evaluate,
    fit,
    read_records,
    run,
)
from clipvet.detectors.errors import DetectorError, UsageError
from clipvet.detectors.evaluation._scored import MaskError, read_mask
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, picture, save_pictures

SIZE = (40, 30)
GOOD, SCRATCHES, DENTS = 12, 6, 4


def make_set(root: Path) -> Path:
    """Good pictures, and ones with a white patch and its mask; one dent has no mask."""
    save_pictures(root / "good", GOOD, first=100)
    rng = np.random.default_rng(0)
    for kind, count, first in (("scratch", SCRATCHES, 200), ("dent", DENTS, 300)):
        (root / kind).mkdir()
        (root / "masks" / kind).mkdir(parents=True)
        for seed in range(first, first + count):
            pixels, mask = picture(seed, SIZE).copy(), np.zeros(SIZE[::-1], np.uint8)
            x, y = rng.integers(2, 20, 2)
            pixels[y : y + 8, x : x + 12] = 255
            mask[y : y + 8, x : x + 12] = 255
            Image.fromarray(pixels).save(root / kind / f"{seed}.png")
            if seed != 303:
                Image.fromarray(mask).save(root / "masks" / kind / f"{seed}_mask.png")
    return root


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("eval") / "parts")


def make_recipe(folder: Path, *detectors: str, **options: Any) -> Path:
    config = FitConfig(
        sources=(save_pictures(folder / "good", 24),),
        out=folder / "line",
        specs=tuple(DetectorSpec(id=name) for name in detectors),
        **options,
    )
    fit(config, host=EVERYTHING, runtime_factory=FakeRuntime)
    return folder / "line"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    return make_recipe(folder, "energy", "learner", gates=("learner",), rate=0.4)


def evaluated(folder: Path, *detectors: str, **options: Any) -> EvalSummary:
    specs = [DetectorSpec(id=name) for name in detectors]
    config = EvalConfig(folder=folder, **{"specs": specs, "draws": 50, **options})
    return evaluate(config, host=EVERYTHING, runtime_factory=FakeRuntime)


def test_numbers_are_those_of_the_records_and_heatmaps(parts: Path, tmp_path: Path) -> None:
    summary = evaluated(parts, "energy", out=tmp_path / "out")
    found = summary.evaluation
    assert summary.exit_code == 0
    assert (found.layout, found.object, found.bundle) == ("folders", "object", "fake")
    assert found.images.good == GOOD
    assert found.images.defects == {"dent": DENTS, "scratch": SCRATCHES}
    assert found.images.masks == {"dent": DENTS - 1, "scratch": SCRATCHES}
    (energy,) = found.detectors
    assert isinstance(energy, DetectorEvaluation)
    assert (energy.detector, energy.method, energy.unscored) == ("energy", "energy", 0)
    assert (found.good, energy.good, energy.threshold) == (None, None, None)

    rows = []
    pixels: list[tuple[str, Any, Any]] = []
    for record in read_records(tmp_path / "out" / "records.jsonl"):
        kind, _, name = record.image.id.partition("/")
        answer = record.detections[0]
        assert answer.heatmap is not None
        rows.append((kind, answer.score))
        mask_file = parts / "masks" / kind / name.replace(".png", "_mask.png")
        if kind != "good" and not mask_file.exists():
            continue
        scores = Heatmap.load(tmp_path / "out" / str(answer.heatmap.file)).resized()
        mask = np.zeros(scores.shape, bool)
        if kind != "good":
            mask = np.asarray(Image.open(mask_file)) > 0
        pixels.append((kind, scores.ravel(), mask.ravel()))
    for kinds, of_type in (
        ({"dent"}, energy.types["dent"]),
        ({"scratch"}, energy.types["scratch"]),
        ({"dent", "scratch"}, energy.all),
    ):
        taken = [(kind != "good", score) for kind, score in rows if kind in {"good", *kinds}]
        label, score = zip(*taken, strict=True)
        assert of_type.image is not None
        assert of_type.image.auroc.value == pytest.approx(roc_auc_score(label, score))
        assert of_type.image.average_precision.value == pytest.approx(
            average_precision_score(label, score)
        )
        assert of_type.image.auroc.low <= of_type.image.auroc.value <= of_type.image.auroc.high
        maps = [one for one in pixels if one[0] in {"good", *kinds}]
        score_map = np.concatenate([one[1] for one in maps])
        mask_map = np.concatenate([one[2] for one in maps])
        assert of_type.pixel is not None
        assert of_type.pixel.exact
        assert of_type.pixel.pixels == len(mask_map)
        assert of_type.pixel.auroc == pytest.approx(roc_auc_score(mask_map, score_map), abs=1e-9)
        assert of_type.pixel.average_precision == pytest.approx(
            average_precision_score(mask_map, score_map), abs=1e-9
        )
    assert energy.types["dent"].pixel is not None
    assert energy.types["dent"].pixel.defect == DENTS - 1
    # A white patch is what this detector answers to.
    assert energy.all.pixel is not None
    assert energy.all.pixel.auroc > 0.7


def test_scores_and_verdicts_are_those_of_a_run(parts: Path, recipe: Path, tmp_path: Path) -> None:
    evaluated(parts, recipe=recipe, out=tmp_path / "eval", batch_size=3)
    plain = RunConfig(
        sources=[parts / name for name in ("scratch", "good", "dent")],
        out=tmp_path / "run",
        recipe=recipe,
        workers=1,
    )
    run(plain, host=EVERYTHING, runtime_factory=FakeRuntime)
    ours, theirs = (
        {record.image.id: record for record in read_records(tmp_path / name / "records.jsonl")}
        for name in ("eval", "run")
    )
    assert ours.keys() == theirs.keys()
    for name, record in ours.items():
        other = theirs[name]
        assert record.verdict == other.verdict
        for one, two in zip(record.detections, other.detections, strict=True):
            assert one == two
            if one.heatmap is not None and two.heatmap is not None:
                first = Heatmap.load(tmp_path / "eval" / str(one.heatmap.file))
                second = Heatmap.load(tmp_path / "run" / str(two.heatmap.file))
                assert np.array_equal(first.grid, second.grid)


def test_decisions_of_a_recipe_and_its_gate(parts: Path, recipe: Path, tmp_path: Path) -> None:
    summary = evaluated(parts, recipe=recipe, out=tmp_path / "out")
    found = summary.evaluation
    records = list(read_records(tmp_path / "out" / "records.jsonl"))

    def count(kind: str, verdict: str) -> int:
        return sum(r.verdict == verdict and r.image.id.startswith(f"{kind}/") for r in records)

    assert found.promised_rate == 0.4
    assert found.good is not None
    for kind, of_kind in {"good": found.good, **found.types}.items():
        assert of_kind.flagged is not None
        assert of_kind.abstained is not None
        assert of_kind.flagged.count == count(kind, "flag")
        assert of_kind.abstained.count == count(kind, "abstain")
        assert of_kind.passed == count(kind, "pass")
    assert found.defects is not None
    assert found.defects.n == SCRATCHES + DENTS
    energy, learner = found.detectors
    assert (energy.gate, learner.gate) == (False, True)
    assert energy.threshold is not None
    abstained = sum(record.verdict == "abstain" for record in records)
    assert found.images.abstained == abstained > 0
    assert energy.not_abstained is not None
    assert energy.all.image is not None
    assert energy.not_abstained.good + energy.not_abstained.defect == len(records) - abstained
    assert energy.all.image.good + energy.all.image.defect == len(records)
    # By itself a detector may flag where the verdict abstains.
    assert energy.all.decisions is not None
    assert energy.all.decisions.flagged is not None
    own = [
        one.verdict == "flag"
        for record in records
        if not record.image.id.startswith("good/")
        for one in record.detections
        if one.detector == "energy"
    ]
    assert energy.all.decisions.flagged.count == sum(own)
    assert energy.all.decisions.flagged.n == len(own)


def test_what_fails_is_named_and_takes_no_part(tmp_path: Path) -> None:
    parts = make_set(tmp_path / "parts")
    (parts / "good" / "empty.png").touch()
    small = parts / "masks" / "dent" / "300_mask.png"
    Image.fromarray(np.full((15, 20), 255, np.uint8)).save(small)
    black = parts / "masks" / "scratch" / "200_mask.png"
    Image.fromarray(np.zeros(SIZE[::-1], np.uint8)).save(black)
    torn = parts / "masks" / "scratch" / "201_mask.png"
    torn.write_bytes(torn.read_bytes()[:40])
    summary = evaluated(parts, "energy", "troubled")
    found = summary.evaluation
    assert summary.exit_code == 3
    reasons = {f.image: f.reason for f in found.failures if "troubled" not in f.reason}
    assert reasons.keys() == {
        "good/empty.png",
        "dent/300.png",
        "scratch/200.png",
        "scratch/201.png",
    }
    assert f"mask {small} is 20x15 and its image 40x30" in reasons["dent/300.png"]
    assert f"mask {black} marks nothing" in reasons["scratch/200.png"]
    assert str(torn) in reasons["scratch/201.png"]
    assert "the file is empty" in reasons["good/empty.png"]
    assert found.images.unreadable == 1
    assert found.images.masks == {"dent": DENTS - 2, "scratch": SCRATCHES - 2}
    energy, troubled = found.detectors
    assert energy.unscored == 1
    assert energy.all.image is not None
    assert (energy.all.image.good, energy.all.image.defect) == (GOOD, SCRATCHES + DENTS)
    assert energy.all.pixel is not None
    assert energy.all.pixel.defect == SCRATCHES + DENTS - 4
    assert (troubled.all.image, troubled.all.pixel) == (None, None)
    assert troubled.unscored == GOOD + 1 + SCRATCHES + DENTS


def test_without_masks_there_are_no_pixel_metrics(tmp_path: Path) -> None:
    for kind in ("good", "dent"):
        save_pictures(tmp_path / "parts" / kind, 4, first=len(kind))
    summary = evaluated(tmp_path / "parts", "energy", out=tmp_path / "out")
    (energy,) = summary.evaluation.detectors
    assert energy.all.image is not None
    assert energy.all.pixel is None
    assert energy.types["dent"].image == energy.all.image


def test_nothing_that_could_be_scored(tmp_path: Path) -> None:
    for kind in ("good", "dent"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DetectorError, match=r"no image .* could be scored: .*0\.png"):
        evaluated(tmp_path, "energy")


def test_files_of_an_evaluation(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = evaluated(parts, "energy", out=out)
    assert [path.relative_to(out) for path in first.curves] == [Path("curves/energy.png")]
    with Image.open(first.curves[0]) as image:
        assert image.size == (1656, 588)
    assert Evaluation.from_json((out / "eval.json").read_bytes()) == first.evaluation
    again = evaluated(parts, "energy", out=out)
    assert again.run.encoder_calls == 0  # the run is resumed
    assert again.evaluation.detectors == first.evaluation.detectors
    with pytest.raises(UsageError, match="another configuration"):
        evaluated(parts, "energy", out=out, decode_policy=DecodePolicy(background=(9, 9, 9)))
    assert evaluated(parts, "energy", out=out, fresh=True).run.encoder_calls > 0
    with pytest.raises(UsageError, match=r"not a clipvet\.eval/1"):
        Evaluation.from_json("{}")


def test_records_of_other_images_in_the_same_folder_take_no_part(
    parts: Path, tmp_path: Path
) -> None:
    other = make_set(tmp_path / "other")
    out = tmp_path / "out"
    alone = evaluated(parts, "energy").evaluation
    evaluated(other, "energy", out=out)
    both = evaluated(parts, "energy", out=out).evaluation
    assert both.images == alone.images
    assert both.detectors == alone.detectors


def test_without_matplotlib_everything_else_is_there(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    summary = evaluated(parts, "energy", out=tmp_path / "out")
    assert summary.curves == ()
    assert summary.exit_code == 0
    (note,) = summary.evaluation.notes
    assert note.startswith("no curves: drawing curves needs matplotlib")
    assert "clipvet[plots]" in note
    assert (tmp_path / "out" / "eval.json").is_file()


def test_a_test_on_what_was_learned_from_is_told(recipe: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    save_pictures(parts / "good", 24)  # as the recipe's
    save_pictures(parts / "dent", 3, first=500)
    (note,) = evaluated(parts, recipe=recipe).evaluation.notes
    assert note == (
        "24 of these images are among those that the recipe was fitted on (good/000.png, "
        "good/002.png, good/003.png, good/004.png, good/005.png, and 19 more): what is measured "
        "on them is better than it will be, so test on others"
    )
    (note,) = evaluated(parts, "learner", references=parts / "good").evaluation.notes
    assert note.startswith("24 of these images are references that detectors learned from")


def test_bad_images_that_chose_the_threshold_are_told(tmp_path: Path) -> None:
    parts = make_set(tmp_path / "parts")
    bad = (parts / "dent",)
    measured = make_recipe(tmp_path / "measured", "energy", bad=bad)
    assert evaluated(parts, recipe=measured).evaluation.notes == ()
    recipe = make_recipe(tmp_path / "chosen", "energy", bad=bad, threshold="max-f1")
    found = evaluated(parts, recipe=recipe).evaluation
    assert found.promised_rate is None
    (note,) = found.notes
    assert note.startswith(f"{DENTS} of these images are among those that the recipe was fitted on")
    assert "(dent/300.png, dent/301.png, dent/302.png, dent/303.png)" in note


def test_false_alarms_above_the_promise_are_told(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, "energy", rate=0.1)
    for kind in ("good", "dent"):
        (tmp_path / "parts" / kind).mkdir(parents=True)
        for number in range(12):  # white: unlike anything that the recipe calls good
            pixels = np.full((30, 40, 3), 255 - number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "parts" / kind / f"{number}.png")
    found = evaluated(tmp_path / "parts", recipe=recipe).evaluation
    assert found.good is not None
    assert found.good.flagged is not None
    assert found.good.flagged.count == 12
    (note,) = found.notes
    assert note.startswith("12 of 12 good images are flagged, with 10 % promised: these good")


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P"])
def test_a_mask_is_what_is_not_black(tmp_path: Path, mode: str) -> None:
    grey = np.zeros((6, 8), np.uint8)
    grey[1:3, 2:5] = 255
    image = Image.fromarray(grey)
    if mode == "RGBA":  # painted on a transparent page
        image = Image.merge("RGBA", [image, image, image, image])
    else:
        image = image.convert(mode)
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png", (8, 6)), grey > 0)


def test_small_labels_count_and_the_noise_of_a_jpeg_does_not(tmp_path: Path) -> None:
    labels = np.zeros((16, 16), np.uint8)
    labels[4:9, 4:9] = 1
    Image.fromarray(labels).save(tmp_path / "visa.png")
    assert read_mask(tmp_path / "visa.png", (16, 16)).sum() == 25
    Image.fromarray(labels * 255).save(tmp_path / "mask.jpg", quality=60)
    assert read_mask(tmp_path / "mask.jpg", (16, 16)).sum() == 25
    with pytest.raises(MaskError, match="16x16 and its image 16x15"):
        read_mask(tmp_path / "mask.jpg", (16, 15))


def test_the_json_says_its_schema(parts: Path) -> None:
    text = evaluated(parts, "energy").evaluation.to_json()
    data = json.loads(text)
    assert data["schema"] == EVAL_SCHEMA == "clipvet.eval/1"
    assert data["bootstrap"] == {
        "draws": 50, "seed": 0, "confidence": 0.95,
        "strata": "good images and each defect type",
    }  # fmt: skip


def test_settings_that_are_none() -> None:
    with pytest.raises(UsageError, match="-1 draws"):
        EvalConfig(folder=Path(), draws=-1)
    with pytest.raises(UsageError, match="limit of 10"):
        EvalConfig(folder=Path(), pixel_limit=10)
    with pytest.raises(UsageError, match="0 workers are none"):
        EvalConfig(folder=Path(), workers=0)
    with pytest.raises(UsageError, match="a recipe fixes tiles itself"):
        EvalConfig(folder=Path(), recipe=Path("line3"), tiling=Tiling(64, 0))


def test_the_run_of_an_evaluation_scores_as_it_says(tmp_path: Path) -> None:
    """Every field that both have, each with a value that is not its default."""
    given: dict[str, Any] = {
        "specs": (DetectorSpec(id="energy"),), "bundle": "b", "query": Query(object="bolt"),
        "references": tmp_path, "region": Region.parse("0,0,8,8"), "tiling": Tiling(64, 8),
        "decode_policy": DecodePolicy(high_bit="full-range"), "device": "cpu", "batch_size": 3,
        "workers": 2, "fresh": True, "isolate": Isolation(seconds=5),
    }  # fmt: skip
    names = {one.name for one in fields(ScoringConfig)}
    assert names == {*given, "recipe"}
    config = EvalConfig(folder=tmp_path, **given).run([tmp_path], tmp_path / "out")
    assert {name: getattr(config, name) for name in given} == given
    recipe = EvalConfig(folder=tmp_path, recipe=tmp_path).run([tmp_path], tmp_path / "out").recipe
    assert (recipe, config.heatmaps) == (tmp_path, "npz")
