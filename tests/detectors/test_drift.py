"""A run says when the line has moved since calibration, and keeps still when it has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors import (
    Calibration,
    DetectionRecord,
    DetectorSpec,
    Drift,
    FitConfig,
    LineWatch,
    Recipe,
    Record,
    RunConfig,
    fit,
    run,
)
from clipvet.detectors.records._records import ImageFacts
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, picture, save_pictures


def recipe_of(scores: NDArray[np.float64]) -> Recipe:
    images = tuple(str(i) for i in range(len(scores)))
    return Recipe(
        specs=(DetectorSpec(id="a"),),
        bundles=(),
        calibrations={"a": Calibration(images=images, scores=scores)},
        rate=0.1,
    )


def record(number: int, score: float, verdict: Any = "pass") -> Record:
    one = DetectionRecord(detector="a", version="1", task="anomaly", score=score)
    return Record(image=ImageFacts(id=f"in/{number}"), verdict=verdict, detections=(one,))


def watch(recipe: Recipe, scores: NDArray[np.float64]) -> LineWatch:
    """What a run over images of these scores makes of it."""
    line = LineWatch(recipe)
    limit = recipe.thresholds["a"].value
    for number, score in enumerate(scores):
        line.see(record(number, score, "pass" if score <= limit else "flag"))
    return line


def test_a_line_that_has_not_moved_is_left_alone() -> None:
    """Asked: at most 1 % of runs, however long. 120 runs of 1,000 images."""
    rng = np.random.default_rng(0)
    warned = sum(
        bool(watch(recipe_of(rng.normal(size=60)), rng.normal(size=1000)).drifts)
        for _ in range(120)
    )
    assert warned / 120 <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 120)


@pytest.mark.parametrize(
    ("shift", "scale", "moved"), [(1.5, 1.0, "higher"), (-1.5, 1.0, "lower"), (0.0, 0.05, "apart")]
)
def test_a_line_that_has_moved_is_told_in_one_window(
    shift: float, scale: float, moved: str
) -> None:
    rng = np.random.default_rng(1)
    line = watch(recipe_of(rng.normal(size=200)), shift + scale * rng.normal(size=500))
    first = line.drifts[0]
    assert isinstance(first, Drift)
    assert (first.images, first.moved) == (100, moved)
    assert "the line has moved since calibration: 100 passed images from in/" in first.sentence
    assert len(line.drifts) <= 2


def test_images_that_did_not_pass_say_nothing() -> None:
    line = LineWatch(recipe_of(np.random.default_rng(2).normal(size=60)))
    for number in range(500):
        line.see(record(number, 9.0, "flag"))
        line.see(record(number, 9.0, "abstain"))
        line.see(Record(image=ImageFacts(id="x"), verdict="pass"))
    assert line.drifts == []


@pytest.mark.parametrize("combination", ["any", "all", "weighted"])
def test_what_passed_is_what_the_combination_lets_pass(combination: Any) -> None:
    rng = np.random.default_rng(4)
    images = tuple(str(i) for i in range(120))
    scores = {"a": rng.normal(size=120), "b": rng.normal(size=120), "gate": rng.normal(size=120)}
    recipe = Recipe(
        specs=tuple(DetectorSpec(id=name) for name in scores),
        bundles=(),
        calibrations={k: Calibration(images=images, scores=v) for k, v in scores.items()},
        rate=0.1,
        gates=("gate",),
        combination=combination,
    )

    rows = [
        dict(zip(scores, row, strict=True))
        for row in zip(*(values.tolist() for values in scores.values()), strict=True)
    ]
    joint, limit = recipe.flagging, recipe.thresholds["gate"].value
    passed = [joint.statistic.of(row) <= joint.cut and row["gate"] <= limit for row in rows]
    assert [recipe.verdict(row) == "pass" for row in rows] == passed
    assert {recipe.verdict(row) for row in rows if row["gate"] > limit} == {"abstain"}
    assert {recipe.verdict(row) for row in rows} == {"pass", "flag", "abstain"}
    assert 0.7 < np.mean(passed) < 0.98
    line = LineWatch(recipe)
    assert all(len(kept) == sum(passed) for kept in line._calibrated.values())


def test_a_run_warns_and_writes_it_down(tmp_path: Path) -> None:
    """Good images with texture; then a line on which every picture is the same flat grey."""
    config = FitConfig(
        sources=(save_pictures(tmp_path / "good", 40),),
        out=tmp_path / "line3",
        specs=(DetectorSpec(id="energy"),),
        rate=0.05,
    )
    recipe = fit(config, host=EVERYTHING, runtime_factory=FakeRuntime).recipe
    low = int(np.argmin(recipe.calibrations["energy"].scores))
    quiet = picture(int(Path(recipe.calibrations["energy"].images[low]).stem))
    folder = tmp_path / "line"
    folder.mkdir()
    for number in range(220):
        Image.fromarray(quiet).save(folder / f"{number:03d}.png")
    settings = RunConfig(sources=[folder], out=tmp_path / "out", recipe=tmp_path / "line3")
    first = run(settings, host=EVERYTHING, runtime_factory=FakeRuntime)
    again = run(settings, host=EVERYTHING, runtime_factory=FakeRuntime)
    assert again.resumed == 220
    for summary in (first, again):
        assert sum("the line has moved" in warning for warning in summary.warnings) == 2
    state = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [one["first"] for one in state["drift"]] == ["line/000.png", "line/100.png"]
    assert {one["detector"] for one in state["drift"]} == {"energy"}
