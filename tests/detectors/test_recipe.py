from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors._detector import Query
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import RecipeError, UnfitEnvironment, UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.recipes._bad_images import ThresholdRule, divide
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._recipe import BoundBundle, Probe, Recipe
from clipvet.detectors.recipes._tables import BadImage
from clipvet.detectors.recipes._validation import Validation, validate
from clipvet.detectors.records._records import Verdict
from clipvet.detectors.testing._fake_runtime import FAKE_BUNDLE

SCORES = np.random.default_rng(0).normal(size=23)
MASK = np.zeros((40, 60), dtype=bool)
MASK[5:30, 10:50] = True
MASK[0, 7] = True


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    learned = tmp_path / "learned"
    learned.mkdir()
    (learned / "bank.json").write_text("[1, 2, 3]")
    picture = tmp_path / "IMG 7.PNG"
    Image.new("RGB", (6, 4), (90, 20, 10)).save(picture, format="PNG")
    images = tuple(f"good/{i:02d} ü.png" for i in range(23))
    one = Calibration(
        images=images,
        scores=SCORES,
        map_maxima=SCORES.astype(np.float32).astype(np.float64),
        map_low=0.1 + 0.2,
        provider="CPUExecutionProvider",
        fitted_on=("good/first.png",),
    )
    other = Calibration(images=images, scores=-SCORES, provider="CPUExecutionProvider")
    return Recipe(
        specs=(
            DetectorSpec(id="winclip", options={"temperature": 0.07, "scales": [2, 3]}),
            DetectorSpec(id="dist:bank", bundle=str(tmp_path / "own bundle"), artefact=learned),
        ),
        bundles=(
            BoundBundle(
                name="mini", id="mini", sha256=FAKE_BUNDLE.sha256,
                preprocessing_sha256=FAKE_BUNDLE.preprocessing_sha256,
            ),
            BoundBundle(
                name=str(tmp_path / "own bundle"), id="b16", sha256="c" * 64,
                preprocessing_sha256="d" * 64,
            ),
        ),
        calibrations={"winclip": one, "dist:bank": other},
        rate=0.1,
        query=Query(object="metal nut", choices=("yes", "no")),
        region=Region.from_mask(MASK),
        tiling=Tiling(32, 8),
        decode_policy=DecodePolicy(high_bit=4095, background=(1, 2, 3)),
        provider="CPUExecutionProvider",
        probes=(Probe(file=picture, image="good/7.png", scores={"winclip": SCORES[3]}),),
        created="2026-01-02T03:04:05+00:00",
        version="0.1.0",
    )  # fmt: skip


@pytest.fixture
def folder(recipe: Recipe, tmp_path: Path) -> Path:
    recipe.save(tmp_path / "line3")
    return tmp_path / "line3"


def test_a_recipe_comes_back_as_it_was(recipe: Recipe, folder: Path, tmp_path: Path) -> None:
    back = Recipe.load(folder)
    assert [spec.id for spec in back.specs] == ["winclip", "dist:bank"]
    assert back.specs[0].options == recipe.specs[0].options
    assert back.specs[0].artefact is None
    assert back.specs[1].artefact is not None
    assert (back.specs[1].artefact / "bank.json").read_text() == "[1, 2, 3]"
    assert back.bundles == recipe.bundles
    assert back.bundle == "mini"
    assert back.specs[1].bundle == str(tmp_path / "own bundle")
    for name, calibration in recipe.calibrations.items():
        assert back.calibrations[name].images == calibration.images
        assert np.array_equal(back.calibrations[name].scores, calibration.scores)
        assert np.array_equal(back.calibrations[name].map_maxima, calibration.map_maxima)
        assert back.calibrations[name].map_low == calibration.map_low
        assert back.calibrations[name].fitted_on == calibration.fitted_on
        assert back.heatmap_range(name) == recipe.heatmap_range(name)
    assert back.thresholds == recipe.thresholds
    assert back.query == recipe.query
    assert back.region is not None
    assert back.region.describe() == Region.from_mask(MASK).describe()
    assert back.tiling == recipe.tiling
    assert back.decode_policy == recipe.decode_policy
    assert (back.rate, back.gates, back.provider) == (0.1, (), "CPUExecutionProvider")
    assert (back.created, back.version) == (recipe.created, recipe.version)
    assert back.probes[0].scores == recipe.probes[0].scores
    assert back.probes[0].file.read_bytes() == recipe.probes[0].file.read_bytes()
    assert len(back.sha256) == 64


def test_the_folder_holds_relative_paths_and_can_be_moved(folder: Path, tmp_path: Path) -> None:
    text = (folder / "recipe.toml").read_text()
    assert str(tmp_path) not in text
    moved = tmp_path / "elsewhere" / "line3"
    shutil.copytree(folder, moved)
    before, after = Recipe.load(folder), Recipe.load(moved)
    assert after.thresholds == before.thresholds
    assert after.sha256 == before.sha256
    assert after.specs[1].artefact == moved / "artefacts" / "dist%3Abank"


def test_a_box_without_tiles_comes_back(recipe: Recipe, tmp_path: Path) -> None:
    plain = replace(recipe, region=Region.parse("3,4,30,40"), tiling=None, probes=())
    plain.save(tmp_path / "plain")
    back = Recipe.load(tmp_path / "plain")
    assert back.region is not None
    assert back.region.box == (3, 4, 30, 40)
    assert back.region.mask is None
    assert back.tiling is None
    assert not (tmp_path / "plain" / "probes").exists()


@pytest.mark.parametrize(
    "name",
    [
        "calibrations/winclip.json",
        "artefacts/dist%3Abank/bank.json",
        "probes/1.png",
        "region.png",
    ],
)
def test_every_file_is_verified(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(RecipeError, match=rf"{name} has changed"):
        Recipe.load(folder)
    (folder / name).unlink()
    with pytest.raises(RecipeError, match=rf"lacks {name}"):
        Recipe.load(folder)


def test_a_file_that_was_slipped_in_is_refused(folder: Path) -> None:
    (folder / "notes.txt").write_text("ours")
    Recipe.load(folder)
    (folder / "artefacts" / "dist%3Abank" / "more.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"more\.json does not belong"):
        Recipe.load(folder)


def test_what_is_no_recipe_says_so(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"not a recipe, it has no recipe\.toml"):
        Recipe.load(tmp_path)
    toml = folder / "recipe.toml"
    text = toml.read_text()
    for broken, words in [
        ("schema = ", "cannot be read"),
        (text.replace("clipvet.recipe/1", "clipvet.recipe/2"), "schema"),
        (text.replace('created = "', 'extra = 1\ncreated = "'), "extra"),
        (text.replace("false_alarm = 0.1", "false_alarm = 0"), "false_alarm"),
        (text.replace("false_alarm = 0.1", "false_alarm = 0.01"), "at least 99"),
        (text.replace('combination = "any"', 'combination = "most"'), "combination"),
        (
            text.replace('combination = "any"', 'combination = "any"\nconfidence = 0.95'),
            "takes at least 29",
        ),
        (text.replace("[files]", "[weights]\nwinclip = 2\n[files]"), "weights belong to weighted"),
        (text.replace('threshold = "conformal"', 'threshold = "f1"'), "there is no threshold 'f1'"),
        (text.replace('threshold = "conformal"', 'threshold = "max-f1"'), "needs bad images"),
        (
            text.replace('combination = "any"', 'combination = "any"\nvalidation = "x.json"'),
            "hash is",
        ),
        (text.replace("gates = []", 'gates = ["nobody"]'), "nobody"),
        (text.replace('"probes/1.png" = ', '"other/1.png" = '), "hash is not listed"),
        (text.replace("[files]", f'[files]\n"../x.png" = "{"a" * 64}"'), "lies outside"),
        (text.replace('id = "winclip"', 'id = "dist:bank"'), "named twice"),
    ]:
        assert broken != text
        toml.write_text(broken)
        with pytest.raises(RecipeError, match=words):
            Recipe.load(folder)


def test_the_verdict_policy_comes_back(recipe: Recipe, tmp_path: Path) -> None:
    given = replace(
        recipe, combination="weighted", weights={"winclip": 2.5}, confidence=0.6, rate=0.2
    )
    given.save(tmp_path / "weighted")
    back = Recipe.load(tmp_path / "weighted")
    assert (back.combination, back.weights, back.confidence) == (
        "weighted", {"winclip": 2.5}, 0.6
    )  # fmt: skip
    assert back.flagging.threshold == given.flagging.threshold
    assert back.flagging.cut == given.flagging.cut
    assert back.thresholds == {}
    assert back.validation is None
    assert back.map_threshold("winclip") == given.calibrations["winclip"].map_threshold(0.2, 0.6)


def test_bad_images_and_what_they_chose_come_back(recipe: Recipe, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    bad = divide(
        [
            BadImage(
                image=f"bad/{i}.png",
                kind="a" if i % 3 else "b",
                scores={"winclip": float(rng.normal(1)), "dist:bank": float(rng.normal())},
            )
            for i in range(24)
        ],
        ThresholdRule(recall=None),
    )
    given = replace(recipe, threshold="max-f1", bad=bad, combination="all")
    verdicts: dict[str, Verdict | None] = {one.image: "flag" for one in bad[::3]}
    verdicts |= {one.image: "pass" for one in bad if one.image not in verdicts}
    table = validate(given, verdicts)
    assert table.total.n == 12 == sum(row.n for row in table.kinds)
    assert table.total.flagged == sum(row.flagged for row in table.kinds)
    assert table.total.flagged + table.total.missed == 12
    assert table.good.n == 6
    replace(given, validation=table).save(tmp_path / "r")
    back = Recipe.load(tmp_path / "r")
    assert isinstance(back.validation, Validation)
    assert back.validation == table
    assert back.bad == bad
    assert back.flagging.cut == given.flagging.cut
    assert back.thresholds == given.thresholds
    assert back.thresholds["winclip"].rate is None
    (tmp_path / "r" / "validation.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"validation\.json has changed"):
        Recipe.load(tmp_path / "r")


def test_a_recipe_from_before_there_were_combinations_is_read(folder: Path) -> None:
    toml = folder / "recipe.toml"
    before = Recipe.load(folder)
    text = toml.read_text()
    old = text.replace('threshold = "conformal"\n', "")
    assert old != text
    assert "confidence" not in old
    assert "weights" not in old
    assert "validation" not in old
    toml.write_text(old)
    assert Recipe.load(folder).thresholds == before.thresholds


def test_a_rate_that_the_images_allow_may_be_edited(folder: Path) -> None:
    toml = folder / "recipe.toml"
    toml.write_text(toml.read_text().replace("false_alarm = 0.1", "false_alarm = 0.2"))
    assert Recipe.load(folder).thresholds["winclip"].rate == 0.2


def test_a_calibration_of_another_detector_is_refused(folder: Path) -> None:
    path, toml = folder / "calibrations" / "winclip.json", folder / "recipe.toml"
    table = json.loads(path.read_text())
    for key, value, words in [
        ("detector", "other", "calibrates other"),
        ("scores", table["scores"][1:], "not all of length 23"),
        ("scores", [None] * 23, "scores"),
    ]:
        old = Recipe.load(folder)
        before = path.read_bytes()
        path.write_text(json.dumps({**table, key: value}))
        text = toml.read_text()
        old_hash, new_hash = (hashlib.sha256(d).hexdigest() for d in (before, path.read_bytes()))
        toml.write_text(text.replace(old_hash, new_hash))
        with pytest.raises(RecipeError, match=words):
            Recipe.load(folder)
        toml.write_text(text)
        path.write_bytes(before)
        assert Recipe.load(folder).sha256 == old.sha256


def test_another_bundle_or_preprocessing_is_refused_and_a_provider_is_warned_of(
    recipe: Recipe,
) -> None:
    one = replace(recipe, bundles=recipe.bundles[:1])
    assert one.check([FAKE_BUNDLE], "CPUExecutionProvider") == []
    (warning,) = one.check([FAKE_BUNDLE], "CUDAExecutionProvider")
    assert "calibrated on CPUExecutionProvider, this is CUDAExecutionProvider" in warning
    with pytest.raises(RecipeError, match=r"fitted on bundle mini .* this is fake .*fit again"):
        one.check([replace(FAKE_BUNDLE, sha256="e" * 64)], "CPUExecutionProvider")
    with pytest.raises(RecipeError, match="preprocesses"):
        one.check([replace(FAKE_BUNDLE, preprocessing_sha256="e" * 64)], "CPUExecutionProvider")
    with pytest.raises(RecipeError, match="2 bundles"):
        recipe.check([FAKE_BUNDLE], "CPUExecutionProvider")


def test_nothing_is_written_over(recipe: Recipe, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    recipe.save(full)  # empty: may be taken
    with pytest.raises(UsageError, match="not empty"):
        recipe.save(full)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        recipe.save(tmp_path / "file")


def test_a_recipe_that_cannot_be_written_leaves_nothing(recipe: Recipe, tmp_path: Path) -> None:
    gone = replace(recipe, probes=(Probe(file=tmp_path / "gone.png", image="", scores={}),))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnfitEnvironment, match="No such file"):
        gone.save(tmp_path / "line4")
    assert sorted(tmp_path.iterdir()) == before
