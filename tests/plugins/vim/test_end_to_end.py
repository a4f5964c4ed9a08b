"""Fitted, saved, loaded and merged on the embedded bundle, by the library and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import (
    Artefact,
    DetectorSpec,
    FitConfig,
    Host,
    Inspector,
    Query,
    RecipeError,
    UsageError,
    fit,
)
from clipvet.detectors.testing import textures
from clipvet.plugins.vim._merge import merge
from clipvet.plugins.vim._statistics import Statistics

CLASSES = Query(classes=("gear", "bottle", "wood"))
GOOD = textures(8, seed=3)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("vim")
    (folder / "good").mkdir()
    for number, pixels in enumerate(textures(30, seed=5)):
        Image.fromarray(pixels).save(folder / "good" / f"{number:02}.png")
    config = FitConfig(
        sources=(folder / "good",),
        out=folder / "recipe",
        specs=(DetectorSpec(id="vim"),),
        query=CLASSES,
    )
    return fit(config, host=Host.load()).out


def test_a_recipe_keeps_what_was_learned(recipe: Path) -> None:
    with Inspector.load(recipe) as inspector:
        record = inspector(textures(1, seed=9)[0])
    (found,) = record.detections
    assert found.status == "ok", found.error
    assert found.details["method"].startswith("ViM (D=")
    assert found.details["alpha"] > 0
    assert found.threshold is not None
    assert json.loads((recipe / "artefacts/vim/artefact.json").read_text())["detector"] == "vim"


def test_class_names_are_enough_for_energy_and_none_for_residual() -> None:
    pixels = textures(1, seed=9)[0]
    for options, query, method in (
        ({"method": "energy"}, CLASSES, "energy"),
        ({"method": "residual"}, Query(), "residual (D=1 for lack of images)"),
    ):
        references = () if method == "energy" else GOOD
        spec = DetectorSpec(id="vim", options=options)
        with Inspector([spec], query=query, references=references) as inspector:
            found = inspector(pixels).detections[0]
        assert found.details["method"] == method, found.error


def test_what_is_missing_is_said() -> None:
    pixels = textures(1, seed=9)[0]
    with Inspector(["vim"], query=CLASSES) as inspector:
        found = inspector(pixels).detections[0]
    assert found.status == "error"
    assert "ViM needs good images: fit a recipe" in (found.error or "")
    with Inspector([DetectorSpec(id="vim", options={"method": "msp"})]) as inspector:
        found = inspector(pixels).detections[0]
    assert found.status == "not_applicable"
    assert found.error == "vim: MSP needs at least 2 classes: give --classes"


def learned(rows: np.ndarray[Any, Any], info: Any) -> Artefact:
    seen = Statistics(rows.shape[1])
    seen.update(rows)
    return seen.artefact(info)


@pytest.fixture(scope="module")
def info() -> Any:
    with Inspector([DetectorSpec(id="vim", options={"method": "knn"})]) as inspector:
        return next(iter(inspector.engine.infos.values()))


def test_artefacts_merge_as_one_pass(info: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(2).standard_normal((60, info.embed_dim))
    for name, part in (("a", rows[:25]), ("b", rows[25:]), ("whole", rows)):
        (tmp_path / name).mkdir()
        learned(part, info).save(tmp_path / name)
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    both, whole = (
        Statistics.of(Artefact.load(tmp_path / name, detector="vim")) for name in ("both", "whole")
    )
    np.testing.assert_allclose(both.moments.scatter, whole.moments.scatter, rtol=1e-12)
    np.testing.assert_array_equal(both.reservoir.rows, whole.reservoir.rows)
    with pytest.raises(UsageError, match="two or more"):
        merge([tmp_path / "a"], tmp_path / "other")
    with pytest.raises(UsageError, match="not an empty folder"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")


def test_a_foreign_or_damaged_artefact_is_refused(info: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(2).standard_normal((60, info.embed_dim))
    made = learned(rows, info)
    for name, artefact, said in (
        ("other", replace(made, bundle=replace(info, sha256="0" * 64)), "learned on bundle mini"),
        ("detector", replace(made, detector="winclip"), "belongs to 'winclip'"),
        (
            "scatter",
            replace(made, tensors={**made.tensors, "scatter": np.eye(3)}),
            "the artefact is damaged",
        ),
        (
            "nan",
            replace(made, tensors={**made.tensors, "mean": made.tensors["mean"] * np.nan}),
            "not finite",
        ),
    ):
        (tmp_path / name).mkdir()
        artefact.save(tmp_path / name)
        spec = DetectorSpec(id="vim", artefact=tmp_path / name)
        with pytest.raises(RecipeError, match=said):
            Inspector([spec], query=CLASSES)
