"""Adding images to a recipe: the same thresholds as one fit on all of them with that split."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    Batch,
    DetectorEntry,
    DetectorSpec,
    FitConfig,
    FitSummary,
    GroupBy,
    Query,
    Recipe,
    RefitConfig,
    Tiling,
    fit,
    fit_like,
    refit,
)
from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.errors import RecipeError, UsageError
from clipvet.detectors.recipes._grouping import KnownImage, in_groups
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, SOURCE, Learner, picture, save_pictures


class Adder(Learner):
    """Distance to the mean of all that it was ever fitted on."""

    id = "adder"
    learns_on = True
    rows_: np.ndarray

    def fit(self, batches: Iterable[Batch]) -> None:
        rows = [batch.features["cls_embed"] for batch in batches]
        earlier = [self.rows_] if hasattr(self, "rows_") else []
        self.rows_ = np.concatenate([*earlier, *rows])
        self.mean_ = self.rows_.mean(axis=0)

    def save(self, folder: Path) -> None:
        np.save(folder / "rows.npy", self.rows_)

    def load(self, folder: Path) -> None:
        self.rows_ = np.load(folder / "rows.npy")
        self.mean_ = self.rows_.mean(axis=0)


ADDING = replace(
    EVERYTHING,
    detectors={**EVERYTHING.detectors, "adder": DetectorEntry(cls=Adder, source=SOURCE)},
)


def fitted(good: Path, out: Path, *names: str, **options: Any) -> FitSummary:
    specs = tuple(DetectorSpec(id=name) for name in names or ("energy",))
    config = FitConfig(sources=(good,), out=out, specs=specs, batch_size=4, **options)
    return fit(config, host=EVERYTHING, runtime_factory=FakeRuntime)


def refitted(recipe: Path, more: Path, out: Path, **options: Any) -> FitSummary:
    config = RefitConfig(sources=(more,), recipe=recipe, out=out, batch_size=3, **options)
    return refit(config, host=EVERYTHING, runtime_factory=FakeRuntime)


def divide(all_images: Path, first: Path, more: Path, *, learned: int, early: int) -> None:
    """The images that a fit on all would learn from, and some others, come first."""
    paths = {f"{path}": path for path in sorted(all_images.rglob("*.png"))}
    known = [KnownImage(id=name, sha256=sha256_of(path)) for name, path in paths.items()]
    ordered = [paths[group[0].id] for group in in_groups(known)]
    chosen = ordered[:learned] + sorted(ordered[learned:])[: early - learned]
    for path in ordered:
        to = (first if path in chosen else more) / path.relative_to(all_images)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)


def assert_same(one: Recipe, other: Recipe, ids: Sequence[str]) -> None:
    assert one.thresholds == other.thresholds
    for name in ids:
        a, b = one.calibrations[name], other.calibrations[name]
        assert a.images == b.images
        assert a.scores.tobytes() == b.scores.tobytes()
        assert a.map_maxima.tobytes() == b.map_maxima.tobytes()
        assert a.map_low == b.map_low
        assert a.fitted_on == b.fitted_on
        assert a.audit == b.audit
        assert one.heatmap_range(name) == other.heatmap_range(name)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("all") / "good", 40)


@pytest.mark.parametrize("names", [("energy",), ("learner",), ("learner", "energy")])
def test_a_refit_equals_one_fit_on_all_images(
    good: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    divide(good, tmp_path / "1" / "good", tmp_path / "2" / "good", learned=5, early=25)
    options: dict[str, Any] = {"shots": 5, "tiling": Tiling(24, 4), "query": Query(object="bolt")}
    at_once = fitted(good, tmp_path / "a", *names, rate=0.1, **options)
    first = fitted(tmp_path / "1" / "good", tmp_path / "b", *names, rate=0.1, **options)
    both = refitted(tmp_path / "b", tmp_path / "2" / "good", tmp_path / "c")
    assert first.held_out < both.held_out == at_once.held_out
    assert both.encoder_calls < at_once.encoder_calls
    assert_same(both.recipe, at_once.recipe, names)
    assert both.recipe.query.object == "bolt"
    assert both.recipe.tiling == Tiling(24, 4)
    artefacts = [sorted((tmp_path / r).rglob("mean.npy")) for r in "ac"]
    assert [p.read_bytes() for p in artefacts[0]] == [p.read_bytes() for p in artefacts[1]]
    assert Recipe.load(tmp_path / "b").calibrations[names[0]].n == first.held_out  # untouched
    known = {*both.recipe.calibrations[names[0]].images}
    assert {probe.image for probe in both.recipe.probes} <= known


def test_groups_go_on_and_may_grow(tmp_path: Path) -> None:
    def views(folder: Path, parts: range, which: range) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            for view in which:
                pixels = np.clip(picture(part).astype(int) + view, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"p{part:02d}_{view}.png")
        return folder

    by = GroupBy(r"p\d+")
    views(tmp_path / "all" / "good", range(14), range(3))
    first = views(tmp_path / "1" / "good", range(10), range(2))
    views(tmp_path / "2" / "good", range(10), range(2, 3))
    more = views(tmp_path / "2" / "good", range(10, 14), range(3))
    at_once = fitted(tmp_path / "all" / "good", tmp_path / "a", group_by=by)
    fitted(first, tmp_path / "b", group_by=by)
    both = refitted(tmp_path / "b", more, tmp_path / "c")
    assert_same(both.recipe, at_once.recipe, ["energy"])
    assert both.groups == at_once.groups
    assert both.recipe.calibrations["energy"].n == 14
    # What shows a part that was learned from cannot calibrate.
    learned = fitted(first, tmp_path / "d", "learner", group_by=by, shots=1, rate=0.1)
    (part,) = {one.group for one in learned.recipe.calibrations["learner"].audit.learned}  # type: ignore[union-attr]
    again = refitted(tmp_path / "d", more, tmp_path / "e")
    assert [one.reason for one in again.left_out] == [
        f"the recipe has learned from its group {part}"
    ]
    assert not again.left_out[0].failed
    assert again.recipe.calibrations["learner"].n == 13


def test_what_the_recipe_knows_is_not_counted_twice(good: Path, tmp_path: Path) -> None:
    divide(good, tmp_path / "1" / "good", tmp_path / "2" / "good", learned=4, early=30)
    first = fitted(tmp_path / "1" / "good", tmp_path / "a", "learner", shots=4)
    with pytest.raises(UsageError, match="knows all of these images"):
        refitted(tmp_path / "a", tmp_path / "1", tmp_path / "b")
    everything = refitted(tmp_path / "a", good, tmp_path / "b")
    reasons = [one.reason for one in everything.left_out]
    assert len(reasons) == 30
    assert sum("has learned from it, as good/" in reason for reason in reasons) == 4
    assert sum("it calibrates the recipe, as good/" in reason for reason in reasons) == 26
    assert everything.held_out == first.held_out + 10
    calibration = everything.recipe.calibrations["learner"]
    assert not set(calibration.fitted_on) & set(calibration.images)
    assert len(set(calibration.images)) == 36


def test_another_folder_of_the_same_name_gets_another_label(tmp_path: Path) -> None:
    fitted(save_pictures(tmp_path / "1" / "good", 12), tmp_path / "a")
    later = save_pictures(tmp_path / "2" / "good", 6, first=100)
    Image.fromarray(picture(7_000)).save(later / "003.png")
    images = refitted(tmp_path / "a", later, tmp_path / "b").recipe.calibrations["energy"].images
    assert len(set(images)) == 19
    assert sum(image.startswith("good-2/") for image in images) == 7


def test_more_images_allow_a_stricter_rate(good: Path, tmp_path: Path) -> None:
    divide(good, tmp_path / "1" / "good", tmp_path / "2" / "good", learned=0, early=12)
    fitted(tmp_path / "1" / "good", tmp_path / "a", rate=0.1)
    assert refitted(tmp_path / "a", tmp_path / "2", tmp_path / "b").recipe.rate == 0.1
    stricter = refitted(tmp_path / "a", tmp_path / "2", tmp_path / "c", rate=0.05)
    assert stricter.recipe.thresholds["energy"].rate == 0.05
    with pytest.raises(UsageError, match="1 % cannot be promised"):
        refitted(tmp_path / "a", tmp_path / "2", tmp_path / "d", rate=0.01)
    assert not (tmp_path / "d").exists()


def test_scores_that_do_not_hold_here_are_not_mixed(good: Path, tmp_path: Path) -> None:
    provider = fitted(good, tmp_path / "a").recipe.provider
    toml = tmp_path / "a" / "recipe.toml"
    text = toml.read_text()
    more = save_pictures(tmp_path / "more", 3, first=200)
    toml.write_text(text.replace(f'provider = "{provider}"', 'provider = "CUDAExecutionProvider"'))
    with pytest.raises(UsageError, match="scores of both do not mix"):
        refitted(tmp_path / "a", more, tmp_path / "b")
    score = Recipe.load(tmp_path / "a").probes[0].scores["energy"]
    toml.write_text(text.replace(f"energy = {score!r}", f"energy = {score + 1!r}"))
    assert toml.read_text() != text
    with pytest.raises(RecipeError, match=r"up to 1 otherwise with energy than"):
        refitted(tmp_path / "a", more, tmp_path / "b")


def test_a_recipe_that_does_not_know_its_images_is_refused(good: Path, tmp_path: Path) -> None:
    recipe = fitted(good, tmp_path / "a").recipe
    old = {name: replace(c, audit=None) for name, c in recipe.calibrations.items()}
    replace(recipe, calibrations=old).save(tmp_path / "old")
    with pytest.raises(RecipeError, match="does not say which images"):
        refitted(tmp_path / "old", good, tmp_path / "b")


def test_learning_more_is_a_fit_of_all_images_with_what_the_recipe_fixes(
    good: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "gates": ("energy",), "tiling": Tiling(24, 4), "query": Query(object="bolt"), "rate": 0.1,
        "group_by": GroupBy(r"sub/|0[0-3]\d"),
    }  # fmt: skip
    divide(good, tmp_path / "1" / "good", tmp_path / "2" / "good", learned=0, early=25)
    fitted(tmp_path / "1" / "good", tmp_path / "a", "learner", "energy", **options)
    config = fit_like(tmp_path / "a", sources=(good,), out=tmp_path / "b", shots=7)
    anew = fit(config, host=EVERYTHING, runtime_factory=FakeRuntime)
    plain = fitted(good, tmp_path / "c", "learner", "energy", **options, shots=7)
    assert_same(anew.recipe, plain.recipe, ["learner", "energy"])
    assert anew.recipe.gates == ("energy",)
    assert anew.references == 7
    means = [(tmp_path / r / "artefacts" / "learner" / "mean.npy").read_bytes() for r in "abc"]
    assert means[0] != means[1] == means[2]


def test_the_policy_goes_on(good: Path, tmp_path: Path) -> None:
    """Combination, weights, confidence; the scores of bad images are measured at the new cut."""
    divide(good, tmp_path / "1" / "good", tmp_path / "2" / "good", learned=3, early=30)
    bad = save_pictures(tmp_path / "bad", 6, first=200)
    policy: dict[str, Any] = {
        "combination": "weighted",
        "weights": {"energy": 2.0},
        "confidence": 0.5,
        "bad": (bad,),
        "shots": 3,
        "rate": 0.1,
    }
    names = ("learner", "energy")
    at_once = fitted(good, tmp_path / "a", *names, **policy).recipe
    first = fitted(tmp_path / "1" / "good", tmp_path / "b", *names, **policy).recipe
    both = refitted(tmp_path / "b", tmp_path / "2" / "good", tmp_path / "c").recipe
    assert both.flagging.threshold == at_once.flagging.threshold != first.flagging.threshold
    assert both.validation is not None
    assert at_once.validation is not None
    assert both.validation.cut == at_once.validation.cut
    assert both.validation.total == at_once.validation.total
    config = fit_like(tmp_path / "b", sources=(good,), out=tmp_path / "d", bad=(bad,), shots=3)
    anew = fit(config, host=EVERYTHING, runtime_factory=FakeRuntime).recipe
    assert anew.flagging.threshold == at_once.flagging.threshold
    assert (anew.combination, anew.weights, anew.confidence) == ("weighted", {"energy": 2.0}, 0.5)


def test_a_threshold_of_bad_images_needs_them_again(good: Path, tmp_path: Path) -> None:
    bad = save_pictures(tmp_path / "bad", 6, first=200)
    fitted(good, tmp_path / "a", bad=(bad,), threshold="recall=0.5")
    with pytest.raises(UsageError, match="needs images of bad parts: give --bad"):
        fit_like(tmp_path / "a", sources=(good,), out=tmp_path / "b")
    config = fit_like(tmp_path / "a", sources=(good,), out=tmp_path / "b", bad=(bad,))
    assert (config.threshold, config.rate) == ("recall=0.5", None)


def rows_of(recipe: Path) -> int:
    return len(np.load(recipe / "artefacts" / "adder" / "rows.npy"))


def learned_by(recipe: Recipe, name: str) -> list[str]:
    audit = recipe.calibrations[name].audit
    assert audit is not None
    return [image.sha256 for image in audit.learned]


def learned_more(recipe: Path, sources: Path, out: Path, **options: Any) -> FitSummary:
    config = fit_like(recipe, sources=(sources,), out=out, **options)
    return fit(config, host=ADDING, runtime_factory=FakeRuntime)


def test_a_detector_that_learns_on_adds_to_what_it_knows(tmp_path: Path) -> None:
    old = save_pictures(tmp_path / "old", 20)
    new = save_pictures(tmp_path / "new", 20, first=100)
    specs = (DetectorSpec(id="adder"), DetectorSpec(id="learner"))
    config = FitConfig(
        sources=(old,), out=tmp_path / "a", specs=specs, gates=("learner",), shots=4, rate=0.1
    )
    first = fit(config, host=ADDING, runtime_factory=FakeRuntime)
    more = learned_more(tmp_path / "a", new, tmp_path / "b", shots=3)
    assert rows_of(tmp_path / "a") == 4
    assert rows_of(tmp_path / "b") == 7
    assert more.references == 7
    assert more.held_out == 17
    # What starts afresh knows the new images alone.
    known = learned_by(first.recipe, "adder")
    assert learned_by(more.recipe, "adder")[:4] == known
    assert learned_by(more.recipe, "learner") == learned_by(more.recipe, "adder")[4:]
    late = save_pictures(tmp_path / "late", 18, first=200)
    again = learned_more(tmp_path / "b", late, tmp_path / "c", shots=2)
    assert rows_of(tmp_path / "c") == 9
    assert learned_by(again.recipe, "adder")[:7] == learned_by(more.recipe, "adder")


def test_what_was_learned_from_never_calibrates(tmp_path: Path) -> None:
    old = save_pictures(tmp_path / "old", 20)
    specs = (DetectorSpec(id="adder"), DetectorSpec(id="learner"))
    config = FitConfig(
        sources=(old,), out=tmp_path / "a", specs=specs, gates=("learner",), shots=4, rate=0.1
    )
    known = learned_by(fit(config, host=ADDING, runtime_factory=FakeRuntime).recipe, "adder")
    everything = save_pictures(tmp_path / "old", 6, first=100)  # 26 now
    more = learned_more(tmp_path / "a", everything, tmp_path / "b", shots=2)
    audit = more.recipe.calibrations["adder"].audit
    assert audit is not None
    assert not {image.sha256 for image in audit.held_out} & set(known)
    assert more.held_out == 20
    assert rows_of(tmp_path / "b") == 6  # each image once
    # The other one is shown them, too: it has forgotten them.
    assert set(learned_by(more.recipe, "learner")) == set(learned_by(more.recipe, "adder"))


def test_no_shots_keep_what_was_learned(tmp_path: Path) -> None:
    old = save_pictures(tmp_path / "old", 20)
    specs = (DetectorSpec(id="adder"),)
    config = FitConfig(sources=(old,), out=tmp_path / "a", specs=specs, shots=4, rate=0.1)
    known = learned_by(fit(config, host=ADDING, runtime_factory=FakeRuntime).recipe, "adder")
    none = learned_more(tmp_path / "a", old, tmp_path / "b", shots=0)
    assert rows_of(tmp_path / "b") == 4
    assert learned_by(none.recipe, "adder") == known
    assert none.held_out == 16


def test_parts_that_were_learned_from_never_calibrate(tmp_path: Path) -> None:
    by = GroupBy(r"p\d+")

    def views(folder: Path, which: range) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part in range(14):
            for view in which:
                pixels = np.clip(picture(part).astype(int) + view, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"p{part:02d}_{view}.png")
        return folder

    specs = (DetectorSpec(id="adder"),)
    config = FitConfig(
        sources=(views(tmp_path / "1" / "good", range(2)),), out=tmp_path / "a", specs=specs,
        shots=2, rate=0.1, group_by=by,
    )  # fmt: skip
    first = fit(config, host=ADDING, runtime_factory=FakeRuntime).recipe
    audit = first.calibrations["adder"].audit
    assert audit is not None
    parts = {image.group for image in audit.learned}
    later = views(tmp_path / "2" / "good", range(2, 4))
    more = learned_more(tmp_path / "a", later, tmp_path / "b", shots=1)
    audit = more.recipe.calibrations["adder"].audit
    assert audit is not None
    assert not parts & {image.group for image in audit.held_out}
    assert parts < {image.group for image in audit.learned}
    assert len({image.group for image in audit.learned}) == 3


def test_a_plain_fit_starts_afresh(tmp_path: Path) -> None:
    old = save_pictures(tmp_path / "old", 20)
    spec = DetectorSpec(id="adder")
    config = FitConfig(sources=(old,), out=tmp_path / "a", specs=(spec,), shots=4, rate=0.1)
    fit(config, host=ADDING, runtime_factory=FakeRuntime)
    known = replace(spec, artefact=tmp_path / "a" / "artefacts" / "adder")
    again = replace(config, out=tmp_path / "b", specs=(known,))
    fit(again, host=ADDING, runtime_factory=FakeRuntime)
    assert rows_of(tmp_path / "b") == 4
