from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    Batch,
    DecodePolicy,
    DetectorSpec,
    Engine,
    FitConfig,
    FitSummary,
    Query,
    Recipe,
    Region,
    Score,
    Tiling,
    fit,
    judge,
    read_frame,
)
from clipvet.detectors.errors import DetectorError, RecipeError, UsageError
from clipvet.detectors.recipes._good_images import find_good_images
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, Energy, host, picture, save_pictures


def fitted(good: Path, out: Path, *detectors: str, **options: Any) -> FitSummary:
    specs = tuple(DetectorSpec(id=name) for name in detectors or ("energy",))
    plugins = options.pop("host", EVERYTHING)
    config = FitConfig(sources=(good,), out=out, **{"specs": specs, "batch_size": 4, **options})
    return fit(config, host=plugins, runtime_factory=FakeRuntime)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("pictures") / "good", 26)


def test_a_detector_that_learns_nothing_is_calibrated_on_every_image(
    good: Path, tmp_path: Path
) -> None:
    summary = fitted(good, tmp_path / "r")
    assert (summary.references, summary.held_out, summary.left_out) == (0, 26, ())
    assert summary.recipe.rate == 0.05
    assert summary.stricter == (0.02, 49)
    assert summary.encoder_calls == 26
    assert summary.recipe.specs[0].artefact is None
    calibration = summary.recipe.calibrations["energy"]
    assert calibration.fitted_on == ()
    with Engine(
        summary.recipe.specs, host=EVERYTHING, runtime_factory=FakeRuntime, batch_size=1
    ) as engine:
        paths = [good.parent / name for name in calibration.images]
        frames = [read_frame(path) for path in paths]
        results = engine.score(frames, [(Query(),)] * len(frames))
    scores = [row[0].value for row in results]
    assert scores == calibration.scores.tolist()
    maxima = [float(row[0].heatmap.grid.max()) for row in results if row[0].heatmap is not None]
    assert maxima == calibration.map_maxima.tolist()
    # n = 26 at 5 %: ceil(27 * 0.95) = 26, so no held-out image is flagged
    assert summary.recipe.thresholds["energy"].value == max(s for s in scores if s is not None)
    verdicts = [judge(row, summary.recipe).verdict for row in results]
    assert verdicts == ["pass"] * 26


def test_what_is_learned_from_does_not_calibrate(good: Path, tmp_path: Path) -> None:
    summary = fitted(good, tmp_path / "r", "learner")
    assert (summary.references, summary.held_out) == (6, 20)  # 26 // 4
    calibration = summary.recipe.calibrations["learner"]
    assert len(calibration.fitted_on) == 6
    assert not set(calibration.fitted_on) & set(calibration.images)
    assert len({*calibration.fitted_on, *calibration.images}) == 26
    artefact = summary.recipe.specs[0].artefact
    assert artefact == tmp_path / "r" / "artefacts" / "learner"
    with Engine(
        summary.recipe.specs, host=EVERYTHING, runtime_factory=FakeRuntime, batch_size=3
    ) as engine:
        frames = [read_frame(good.parent / name) for name in calibration.images]
        again = [row[0].value for row in engine.score(frames, [(Query(),)] * 20)]
    assert again == calibration.scores.tolist()


def test_the_split_goes_by_content_and_not_by_name(good: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "other names"
    renamed.mkdir()
    for number, path in enumerate(sorted(good.rglob("*.png"), reverse=True)):
        shutil.copy(path, renamed / f"{number}.png")
    one, other = (
        fitted(folder, tmp_path / name, "learner", "energy")
        for name, folder in [("a", good), ("b", renamed)]
    )
    assert one.recipe.calibrations["learner"].images != other.recipe.calibrations["learner"].images
    assert one.recipe.thresholds == other.recipe.thresholds
    mean = [np.load(tmp_path / name / "artefacts" / "learner" / "mean.npy") for name in "ab"]
    assert np.array_equal(mean[0], mean[1])


def test_several_detectors_share_one_promise(good: Path, tmp_path: Path) -> None:
    summary = fitted(good, tmp_path / "r", "learner", "energy")
    recipe = summary.recipe
    assert (summary.references, summary.held_out) == (6, 20)
    assert recipe.rate == 0.1  # 10 of the 20 calibrate
    assert summary.stricter == (0.05, 37)
    assert {threshold.n for threshold in recipe.thresholds.values()} == {10}
    assert recipe.calibrations["energy"].fitted_on == ()
    gated = fitted(good, tmp_path / "g", "learner", "energy", gates=("learner",)).recipe
    assert gated.rate == 0.05
    assert gated.gates == ("learner",)
    assert Recipe.load(tmp_path / "g").thresholds == gated.thresholds


def test_too_few_images_name_how_many_it_takes(good: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(good.glob("*.png"))[:9]:
        shutil.copy(path, few)
    assert fitted(few, tmp_path / "a").recipe.rate == 0.1
    with pytest.raises(UsageError, match=r"too few good images \(9\): .* give at least 10"):
        fitted(few, tmp_path / "b", "learner")
    with pytest.raises(UsageError, match=r"false-alarm rate of 5 % takes 19: give at least 19"):
        fitted(few, tmp_path / "b", rate=0.05)
    with pytest.raises(UsageError, match="give at least 17"):
        fitted(few, tmp_path / "b", "energy", "asker", query=Query(classes=("a",)))
    with pytest.raises(UsageError, match=r"20 to learn from leave 6 .* give at least 29"):
        fitted(good, tmp_path / "b", "learner", shots=20)
    assert not (tmp_path / "b").exists()
    shutil.copy(sorted(good.glob("*.png"))[9], few)
    ten = fitted(few, tmp_path / "c", "learner")
    assert (ten.references, ten.held_out) == (1, 9)


def test_shots_and_rate_may_be_chosen(good: Path, tmp_path: Path) -> None:
    chosen = fitted(good, tmp_path / "a", "learner", shots=3, rate=0.2)
    assert (chosen.references, chosen.held_out, chosen.recipe.rate) == (3, 23, 0.2)
    assert chosen.stricter is None
    with pytest.raises(UsageError, match="0 or more"):
        fitted(good, tmp_path / "b", shots=-1)


def test_zero_shots_leave_a_learner_as_it_is(good: Path, tmp_path: Path) -> None:
    """Its attribute ``mean_`` is missing then: it fails on every image, and the fit says so."""
    with pytest.raises(DetectorError, match=r"learner: benched .* no attribute 'mean_'"):
        fitted(good, tmp_path / "a", "learner", shots=0)
    assert not (tmp_path / "a").exists()


def test_bad_files_and_copies_are_left_out_by_name(good: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(good, mixed)
    (mixed / "broken.png").write_bytes((good / "000.png").read_bytes()[:90])
    (mixed / "empty.jpg").write_bytes(b"")
    (mixed / "notes.txt").write_text("no image")
    shutil.copy(good / "004.png", mixed / "zz copy.png")
    Image.fromarray(np.full((30, 40), 2048, np.uint16)).save(mixed / "deep.png")
    summary = fitted(mixed, tmp_path / "r", "learner")
    left = {one.id: one for one in summary.left_out}
    assert set(left) == {
        "mixed/broken.png", "mixed/empty.jpg", "mixed/zz copy.png", "mixed/deep.png"
    }  # fmt: skip
    assert left["mixed/zz copy.png"].reason == "a copy of mixed/004.png"
    assert not left["mixed/zz copy.png"].failed
    assert "--high-bit" in left["mixed/deep.png"].reason
    assert left["mixed/broken.png"].failed
    assert summary.references + summary.held_out == 26
    deep = fitted(mixed, tmp_path / "s", decode_policy=DecodePolicy(high_bit="full-range"))
    assert deep.held_out == 27
    assert deep.recipe.decode_policy.high_bit == "full-range"


@pytest.mark.timeout(20)
def test_a_pipe_among_the_images_is_named_and_not_waited_for(tmp_path: Path) -> None:
    save_pictures(tmp_path / "good", 2)
    os.mkfifo(tmp_path / "good" / "pipe.png")
    found = find_good_images([tmp_path / "good"], takes=lambda path: path.suffix == ".png")
    assert len(found.images) == 2
    assert [(one.id, one.reason) for one in found.left_out] == [
        ("good/pipe.png", "cannot be read (not a regular file)")
    ]


def test_combinations_and_confidence_reach_the_recipe(good: Path, tmp_path: Path) -> None:
    both = fitted(good, tmp_path / "a", "learner", "energy", combination="all").recipe
    assert both.combination == "all"
    assert both.flagging.statistic.combination == "all"
    weighted = fitted(
        good, tmp_path / "b", "learner", "energy", combination="weighted", weights={"energy": 2.0}
    ).recipe
    assert Recipe.load(tmp_path / "b").weights == weighted.weights == {"energy": 2.0}
    with pytest.raises(UsageError, match="weights belong to the combination weighted, not to any"):
        fitted(good, tmp_path / "c", weights={"energy": 2.0})
    with pytest.raises(UsageError, match="weight for nobody, which is no detector that could flag"):
        fitted(good, tmp_path / "c", combination="weighted", weights={"nobody": 2.0})
    with pytest.raises(UsageError, match="weight of 0 for energy: give a number above 0"):
        fitted(good, tmp_path / "c", combination="weighted", weights={"energy": 0.0})


def test_a_confidence_takes_more_images_and_names_how_many(good: Path, tmp_path: Path) -> None:
    sure = fitted(good, tmp_path / "a", confidence=0.9)
    assert sure.recipe.rate == 0.1  # takes 22 of 26; 5 % would take 45
    assert sure.stricter == (0.05, 45)
    assert sure.recipe.thresholds["energy"].value == sure.recipe.calibrations["energy"].scores.max()
    assert "with confidence 90 %" in sure.recipe.thresholds["energy"].origin
    assert Recipe.load(tmp_path / "a").confidence == 0.9
    with pytest.raises(
        UsageError, match=r"rate of 10 % with confidence 95 % takes 29: give at least 29"
    ):
        fitted(good, tmp_path / "b", confidence=0.95)
    with pytest.raises(UsageError, match="takes 43: give at least 43"):  # 2 * 22 - 1
        fitted(good, tmp_path / "b", "energy", "learner", shots=0, confidence=0.9)
    chosen = fitted(good, tmp_path / "c", confidence=0.95, rate=0.2)
    assert chosen.recipe.thresholds["energy"].confidence == 0.95
    for nonsense in (0.0, 1.0):
        with pytest.raises(UsageError, match="confidence of"):
            fitted(good, tmp_path / "b", confidence=nonsense)


@pytest.fixture(scope="module")
def bad(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 bad pictures in two folders, a broken file, a good picture, a picture twice."""
    folder = tmp_path_factory.mktemp("bad pictures") / "bad"
    save_pictures(folder / "scratch", 12, first=200)
    for path in save_pictures(folder / "dent", 12, first=300).rglob("*.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image)
        Image.fromarray(255 - pixels // 3).save(path)
    (folder / "broken.png").write_bytes((good / "000.png").read_bytes()[:90])
    shutil.copy(good / "004.png", folder / "dent" / "not bad.png")
    shutil.copy(folder / "scratch" / "200.png", folder / "dent" / "again.png")
    return folder


@pytest.mark.parametrize("combination", ["any", "all", "weighted"])
def test_bad_images_are_measured_and_move_nothing(
    good: Path, bad: Path, tmp_path: Path, combination: str
) -> None:
    names = ("energy", "learner")
    plain = fitted(good, tmp_path / "a", *names, combination=combination)
    summary = fitted(good, tmp_path / "b", *names, combination=combination, bad=(bad,))
    recipe = summary.recipe
    assert recipe.thresholds == plain.recipe.thresholds
    assert recipe.flagging.threshold == plain.recipe.flagging.threshold
    left = {one.id: one for one in summary.left_out}
    assert set(left) == {"bad/broken.png", "bad/dent/not bad.png", "bad/scratch/200.png"}
    assert left["bad/dent/not bad.png"].reason == (
        "the same file as good/004.png, which is among the good images"
    )
    assert left["bad/broken.png"].failed
    assert left["bad/scratch/200.png"].reason == "a copy of bad/dent/again.png"
    table = recipe.validation
    assert table is not None
    assert [(row.kind, row.n) for row in table.kinds] == [("dent", 13), ("scratch", 11)]
    assert table.good.made_it
    assert table.good.n == 10
    assert table.good.flagged <= 1  # 10 % of 10, by construction
    assert "only measure" in table.notes[0]
    # The verdicts are those that a run gives.
    with Engine(recipe.specs, host=EVERYTHING, runtime_factory=FakeRuntime, batch_size=5) as engine:
        frames = [read_frame(bad.parent / one.image) for one in table.images]
        rows = engine.score(frames, [(Query(),)] * len(frames))
    verdicts = [judge(row, recipe).verdict for row in rows]
    assert table.total.flagged == verdicts.count("flag")
    assert table.total.missed == verdicts.count("pass")
    assert [one.scores["energy"] for one in table.images] == [row[0].value for row in rows]


def test_bad_images_may_choose_the_threshold_and_then_nothing_is_promised(
    good: Path, bad: Path, tmp_path: Path
) -> None:
    recipe = fitted(good, tmp_path / "a", bad=(bad,), threshold="recall=0.75").recipe
    threshold = recipe.thresholds["energy"]
    assert threshold.rate is None
    assert threshold.origin.startswith("recall 0.75 on 12 bad images: no false-alarm promise, ")
    table = recipe.validation
    assert table is not None
    assert f"it flags {table.good.flagged} of 26 held-out" in threshold.origin
    assert not table.good.made_it
    assert table.total.n == 12
    assert table.notes == ("12 bad images chose the threshold, the 12 others measure it",)
    chose = [one.scores["energy"] for one in table.images if one.chose]
    assert sum(score > threshold.value for score in chose) == 9
    assert Recipe.load(tmp_path / "a").thresholds == recipe.thresholds
    few = fitted(good, tmp_path / "b", bad=(bad / "dent",), threshold="max-f1").recipe.validation
    assert few is not None
    assert "flattering" in few.notes[0]
    assert few.good.made_it


def test_a_gate_counts_bad_images_as_abstained(good: Path, bad: Path, tmp_path: Path) -> None:
    recipe = fitted(
        good, tmp_path / "a", "energy", "learner", gates=("energy",), bad=(bad,),
        threshold="recall=1", rate=0.2,
    ).recipe  # fmt: skip
    assert recipe.thresholds["learner"].rate is None
    assert recipe.thresholds["energy"].rate == 0.2
    table = recipe.validation
    assert table is not None
    total = table.total
    assert total.abstained > 0
    assert total.flagged + total.abstained + total.missed == total.n
    assert total.recall == total.flagged / total.n


def test_what_bad_images_cannot_do(good: Path, bad: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(UsageError, match=r"threshold max-f1 needs images of bad parts: .*--bad"):
        fitted(good, out, threshold="max-f1")
    with pytest.raises(UsageError, match="promises no false-alarm rate: leave the rate"):
        fitted(good, out, threshold="max-f1", bad=(bad,), rate=0.1)
    with pytest.raises(UsageError, match="promises no false-alarm rate"):
        fitted(good, out, threshold="max-f1", bad=(bad,), confidence=0.5)
    with pytest.raises(UsageError, match="no threshold 'f2'"):
        fitted(good, out, threshold="f2", bad=(bad,))
    with pytest.raises(UsageError, match="no such file"):
        fitted(good, out, bad=(tmp_path / "nowhere",))
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="give a folder of bad images"):
        fitted(good, out, bad=(tmp_path / "none",))
    (tmp_path / "none" / "x.png").write_bytes(b"no picture")
    with pytest.raises(DetectorError, match="no bad image could be scored"):
        fitted(good, out, bad=(tmp_path / "none",))
    assert not out.exists()


def test_a_query_that_is_needed_and_absent_is_a_usage_error(good: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"asker needs classes.* give it"):
        fitted(good, tmp_path / "r", "asker")


def test_a_detector_that_cannot_start_or_fails_is_named(good: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="bad-start: ZeroDivisionError"):
        fitted(good, tmp_path / "r", "bad-start")
    with pytest.raises(DetectorError, match="troubled: benched"):
        fitted(good, tmp_path / "r", "troubled")
    with pytest.raises(UsageError, match="there is no detector 'nobody'"):
        fitted(good, tmp_path / "r", "nobody")
    with pytest.raises(DetectorError, match="no held-out image could be scored: troubled: Runt"):
        fitted(good, tmp_path / "r", "troubled", batch_size=30)
    assert not (tmp_path / "r").exists()


class Forgetful(Energy):
    id: ClassVar[str] = "forgetful"
    learns = True

    def fit(self, batches: Iterable[Batch]) -> None:
        raise RuntimeError("cannot learn")


class ZeroShot(Energy):
    """Learns, and keeps nothing."""

    id: ClassVar[str] = "zero-shot"
    learns = True

    def fit(self, batches: Iterable[Batch]) -> None:
        for _ in batches:
            pass

    def save(self, folder: Path) -> None:
        pass

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[Score(value=s.value) for s in row] for row in super().score(batch)]


def test_a_detector_that_fails_to_learn_stops_the_fit(good: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="forgetful failed to learn: RuntimeError"):
        fitted(good, tmp_path / "r", "forgetful", host=host(Forgetful))


def test_a_detector_that_keeps_nothing_has_no_artefact(good: Path, tmp_path: Path) -> None:
    recipe = fitted(good, tmp_path / "r", "zero-shot", host=host(ZeroShot)).recipe
    assert recipe.specs[0].artefact is None
    assert recipe.heatmap_range("zero-shot") is None
    assert recipe.map_threshold("zero-shot") is None


def test_probes_span_the_scores_and_are_copies(good: Path, tmp_path: Path) -> None:
    recipe = fitted(good, tmp_path / "r").recipe
    scores = np.sort(recipe.calibrations["energy"].scores)
    assert [probe.scores["energy"] for probe in recipe.probes] == [
        scores[0], scores[13], scores[25]
    ]  # fmt: skip
    for probe in recipe.probes:
        assert probe.file.read_bytes() == (good.parent / probe.image).read_bytes()
        assert probe.file.parent == tmp_path / "r" / "probes"


def test_the_recipe_writes_out_every_option(good: Path, tmp_path: Path) -> None:
    class Careful(Energy):
        id: ClassVar[str] = "careful"

    from tests.runs import TroubleOptions

    Careful.Options = TroubleOptions
    recipe = fitted(good, tmp_path / "r", "careful", host=host(Careful)).recipe
    assert recipe.specs[0].options == {"how": "raises", "brightest_only": False}


def test_region_and_tiles_are_part_of_the_recipe(good: Path, tmp_path: Path) -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[4:25, 3:33] = True
    summary = fitted(good, tmp_path / "r", region=Region.from_mask(mask), tiling=Tiling(16, 4))
    back = Recipe.load(tmp_path / "r")
    assert back.region is not None
    assert back.region.mask is not None
    assert np.array_equal(back.region.mask, mask)
    assert back.tiling == Tiling(16, 4)
    assert summary.encoder_calls == 26 * Tiling(16, 4).count((3, 4, 33, 25))
    Image.fromarray(picture(99, (20, 20))).save(tmp_path / "small.png")
    shutil.copytree(good, tmp_path / "two sizes")
    shutil.copy(tmp_path / "small.png", tmp_path / "two sizes" / "small.png")
    other = fitted(tmp_path / "two sizes", tmp_path / "s", region=Region.from_mask(mask))
    assert [one.id for one in other.left_out] == ["two sizes/small.png"]
    assert "the mask is 40x30" in other.left_out[0].reason


def test_the_out_folder_is_checked_before_the_work(good: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        fitted(good, tmp_path / "full")
    with pytest.raises(UsageError, match="no such file"):
        fitted(tmp_path / "nowhere", tmp_path / "r")
    (tmp_path / "void").mkdir()
    with pytest.raises(UsageError, match="there is no image in"):
        fitted(tmp_path / "void", tmp_path / "r")
    with pytest.raises(UsageError, match="gate x is not among"):
        fitted(good, tmp_path / "r", gates=("x",))
    with pytest.raises(UsageError, match="could flag"):
        fitted(good, tmp_path / "r", gates=("energy",))


def test_the_recipe_of_another_bundle_is_refused(good: Path, tmp_path: Path) -> None:
    recipe = fitted(good, tmp_path / "r").recipe
    toml = tmp_path / "r" / "recipe.toml"
    toml.write_text(toml.read_text().replace(recipe.bundle_sha256, "0" * 64))
    with (
        Engine(recipe.specs, host=EVERYTHING, runtime_factory=FakeRuntime) as engine,
        pytest.raises(RecipeError, match="was fitted on bundle"),
    ):
        Recipe.load(tmp_path / "r").check(engine.infos.values(), engine.provider)
