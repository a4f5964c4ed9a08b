"""Bursts of one part: they stay together, and count once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    Audit,
    Batch,
    Calibration,
    DetectorSpec,
    Engine,
    FitConfig,
    FitSummary,
    GroupBy,
    GroupCounts,
    KnownImage,
    Photograph,
    Query,
    Recipe,
    Score,
    fit,
    judge,
    read_frame,
)
from clipvet.detectors.errors import RecipeError, UsageError
from clipvet.detectors.recipes._audit import audited
from clipvet.detectors.recipes._grouping import in_groups, in_turns
from clipvet.detectors.testing import FakeRuntime
from tests.runs import Energy, host, picture

VIEWS = 10


class Nearest(Energy):
    """Distance to the nearest image that it has learned from: it knows a part by heart."""

    id: ClassVar[str] = "nearest"
    learns = True

    def fit(self, batches: Iterable[Batch]) -> None:
        self.bank_ = np.concatenate([b.features["cls_embed"] for b in batches])

    def save(self, folder: Path) -> None:
        np.save(folder / "bank.npy", self.bank_)

    def load(self, folder: Path) -> None:
        self.bank_ = np.load(folder / "bank.npy")

    def score(self, batch: Batch) -> list[list[Score]]:
        offsets = batch.features["cls_embed"][:, None] - self.bank_
        return [[Score(value=float(d))] for d in np.abs(offsets).max(axis=2).min(axis=1)]


HOST = host(Energy, Nearest)


def burst(folder: Path, parts: Iterable[int], views: int = VIEWS) -> Path:
    """``views`` nearly identical pictures of each part."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        seen = picture(part).astype(int)
        for view in range(views):
            noise = np.random.default_rng([part, view]).integers(-1, 2, seen.shape)
            pixels = np.clip(seen + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"part{part:03d}_{view}.png")
    return folder


def fitted(good: Path, out: Path, name: str = "energy", **options: Any) -> FitSummary:
    config = FitConfig(sources=(good,), out=out, specs=(DetectorSpec(id=name),), **options)
    return fit(config, host=HOST, runtime_factory=FakeRuntime)


def flagged(recipe: Recipe, folder: Path) -> dict[str, list[bool]]:
    """Part -> whether each of its views is flagged."""
    found: dict[str, list[bool]] = {}
    with Engine(recipe.specs, host=HOST, runtime_factory=FakeRuntime, batch_size=8) as engine:
        for path in sorted(folder.glob("*.png")):
            (results,) = engine.score([read_frame(path)], [(Query(),)])
            verdict = judge(results, recipe).verdict
            found.setdefault(path.name.partition("_")[0], []).append(verdict == "flag")
    return found


@pytest.fixture(scope="module")
def bursts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return burst(tmp_path_factory.mktemp("bursts") / "good", range(30))


def test_the_pattern_names_a_group() -> None:
    by = GroupBy(r"part(\d+)_")
    assert by.of("good/part012_3.png") == "012"
    assert by.of("good/other.png") == ""
    assert GroupBy(r"part\d+").of("good/part012_3.png") == "part012"
    assert GroupBy(r"(x)?y").of("good/y.png") == ""  # the first group took no part
    assert GroupBy("z*").of("good/part") == ""  # an empty match would put all into one group
    assert GroupBy("a(b)(c)").of("abc") == "b"
    for wrong in ("part(", "[", "(?P<1>x)", "*"):
        with pytest.raises(UsageError, match="not a regular expression"):
            GroupBy(wrong)


def test_the_order_is_a_hash_in_which_the_size_of_a_group_has_no_say() -> None:
    def image(name: str, group: str = "") -> KnownImage:
        return KnownImage(id=name, sha256=hashlib.sha256(name.encode()).hexdigest(), group=group)

    alone = [image(f"{i}") for i in range(9)]
    assert in_groups(alone) == [[one] for one in sorted(alone, key=lambda one: one.sha256)]
    two = [image("x", "g"), image("y", "g")]
    ten = two + [image(f"view {i}", "g") for i in range(8)]

    def place(group: list[KnownImage]) -> int:
        return [members[0].unit for members in in_groups([*alone, *group])].index("g")

    assert place(two) == place(ten) == place(two[:1])
    assert in_groups(reversed([*alone, *ten])) == in_groups([*alone, *ten])
    assert in_turns([[1, 2, 3], [4], [5, 6]]) == [1, 4, 5, 2, 6, 3]  # type: ignore[type-var]


def test_a_burst_is_on_one_side_and_counts_once(bursts: Path, tmp_path: Path) -> None:
    summary = fitted(bursts, tmp_path / "r", "nearest", group_by=GroupBy(r"part(\d+)"))
    assert (summary.references, summary.held_out) == (7 * VIEWS, 23 * VIEWS)
    assert summary.groups == GroupCounts(learned=7, held_out=23, unmatched=0)
    assert summary.recipe.rate == 0.05  # of 23 parts, not of 230 images
    calibration = summary.recipe.calibrations["nearest"]
    assert calibration.n == 23
    assert isinstance(calibration.audit, Audit)
    assert {one.group for one in calibration.audit.learned}.isdisjoint(calibration.images)
    learned = [one.group for one in calibration.audit.learned[:7]]
    assert len(set(learned)) == 7  # the first of each part come first
    for unit, score in zip(calibration.images, calibration.scores, strict=True):
        members = [one for one in calibration.audit.held_out if one.group == unit]
        assert len(members) == VIEWS
        assert score == max(one.score for one in members)
    threshold = summary.recipe.thresholds["nearest"]
    assert threshold.n == 23
    assert "23 held-out groups of good images" in threshold.origin


def test_the_promise_holds_for_parts_where_images_alone_deceive(
    bursts: Path, tmp_path: Path
) -> None:
    new = burst(tmp_path / "new", range(500, 560), views=3)
    by = GroupBy(r"part(\d+)")
    grouped = fitted(bursts, tmp_path / "a", "nearest", group_by=by, shots=15, rate=0.1)
    alone = fitted(bursts, tmp_path / "b", "nearest", shots=15 * VIEWS, rate=0.1)
    assert grouped.references == alone.references == 150
    assert grouped.recipe.thresholds["nearest"].n == 15
    assert alone.recipe.thresholds["nearest"].n == 150  # a number to be proud of, of 30 parts
    by_part = {
        name: np.mean([any(views) for views in flagged(one.recipe, new).values()])
        for name, one in (("grouped", grouped), ("alone", alone))
    }
    # What one calibration on 15 parts does in the long run follows Beta(1, 15): 0.06 on average,
    # below 0.18 in 95 of 100. Without groups other views of the same parts were learned from.
    assert by_part["grouped"] <= 0.18
    assert by_part["alone"] > 0.9


@pytest.mark.parametrize("sizes", [(10, 11), (1, 20)])
def test_over_many_draws_a_new_part_is_flagged_at_most_as_often_as_promised(
    sizes: tuple[int, int],
) -> None:
    """The detector has learned from none of them; parts differ more than views of one part."""
    rng = np.random.default_rng(7)
    rate, parts, new, draws = 0.1, 19, 50, 200

    def scores(count: int) -> list[list[float]]:
        return [
            (rng.normal() + 0.3 * rng.normal(size=rng.integers(*sizes))).tolist()
            for _ in range(count)
        ]

    def calibrated(drawn: list[list[float]], *, grouped: bool) -> Calibration:
        return audited(
            (
                Photograph(
                    id=f"{part}/{view}",
                    sha256=rng.bytes(32).hex(),
                    group=f"{part}" if grouped else "",
                    score=score,
                )
                for part, views in enumerate(drawn)
                for view, score in enumerate(views)
            ),
            provider="",
            group_by="part" if grouped else "",
        )

    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(draws):
        drawn, later = scores(parts), scores(new)
        for grouped, found in rates.items():
            threshold = calibrated(drawn, grouped=grouped).threshold(rate)
            found.append(float(np.mean([max(views) > threshold for views in later])))
    mean = np.mean(rates[True])
    error = np.std(rates[True]) / np.sqrt(draws)
    assert mean <= rate + 3 * error
    assert mean >= rate - 1 / (parts + 1) - 3 * error  # and not because nothing is ever flagged
    assert np.mean(rates[False]) > rate + 5 * error


def test_the_file_says_which_image_was_in_which_group(bursts: Path, tmp_path: Path) -> None:
    with_one_more = tmp_path / "good"
    with_one_more.symlink_to(bursts)
    summary = fitted(bursts, tmp_path / "r", "nearest", group_by=GroupBy("part0(?:0.|1[0-8])"))
    assert summary.groups is not None
    assert summary.groups.unmatched == 11 * VIEWS
    table = json.loads((tmp_path / "r" / "calibrations" / "nearest.json").read_text())
    assert table["group_by"] == "part0(?:0.|1[0-8])"
    columns = ("images", "sha256", "groups", "scores")
    assert {len(table[column]) for column in columns} == {summary.held_out}
    for name, group, digest in zip(table["images"], table["groups"], table["sha256"], strict=True):
        assert group == ("" if name[9:12] > "018" else name[5:12])
        assert hashlib.sha256((bursts.parent / name).read_bytes()).hexdigest() == digest
    assert len(table["fitted_on_groups"]) == summary.references
    back = Recipe.load(tmp_path / "r").calibrations["nearest"]
    assert back.audit == summary.recipe.calibrations["nearest"].audit
    assert "groups of good images" in table["origin"]


@pytest.mark.parametrize("column", ["groups", "sha256", "scores", "map_maxima", "fitted_on_groups"])
def test_columns_of_unequal_length_are_refused(bursts: Path, tmp_path: Path, column: str) -> None:
    from clipvet.detectors.recipes._files import read_calibration

    fitted(bursts, tmp_path / "r", "energy", group_by=GroupBy(r"part(\d+)"))
    path = tmp_path / "r" / "calibrations" / "energy.json"
    table = json.loads(path.read_text())
    table[column] = [*table[column][:-1]] if table[column] else ["x"]
    path.write_text(json.dumps(table))
    with pytest.raises(RecipeError, match="not all of length 300"):
        read_calibration(path, "energy")


def test_what_groups_cannot_be(bursts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="matches none of the images, for instance good/part"):
        fitted(bursts, tmp_path / "r", group_by=GroupBy("nothing"))
    with pytest.raises(UsageError, match=r"too few good groups of images \(3\)"):
        fitted(bursts, tmp_path / "r", group_by=GroupBy(r"part(0[012])"))
    assert not (tmp_path / "r").exists()


def test_a_group_with_an_unreadable_image_keeps_the_others(tmp_path: Path) -> None:
    good = burst(tmp_path / "good", range(12), views=2)
    (good / "part003_1.png").write_bytes((good / "part003_1.png").read_bytes()[:200])
    summary = fitted(good, tmp_path / "r", "nearest", group_by=GroupBy(r"part(\d+)"))
    assert [one.id for one in summary.left_out] == ["good/part003_1.png"]
    assert summary.groups is not None
    assert summary.groups.learned + summary.groups.held_out == 12
    assert summary.references + summary.held_out == 23
