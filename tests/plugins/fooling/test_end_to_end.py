"""Fitted, trained, saved and loaded on the embedded bundle, by the library and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from clipvet.detectors import (
    Artefact,
    DetectorSpec,
    FitConfig,
    Host,
    Inspector,
    RecipeError,
    fit,
)
from clipvet.detectors.testing import textures
from clipvet.plugins.fooling._detector import EMBEDDED
from clipvet.plugins.fooling._train import train

NOISE = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)


def inspected(pixels: Any, artefact: Path | None = None, **options: Any) -> Any:
    spec = DetectorSpec(id="fooling", options=options, artefact=artefact)
    with Inspector([spec]) as inspector:
        return inspector(pixels).detections[0]


def written(folder: Path, pictures: Any) -> Path:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fooling")
    rng = np.random.default_rng(3)
    good = written(folder / "good", textures(40, seed=5))
    (good / "broken.png").write_bytes(b"no picture")
    prints = rng.integers(0, 256, (16, 64, 64, 3)).astype(np.uint8)
    app = Typer()
    app.command()(train)
    arguments = ["--good", str(good), "--prints", str(written(folder / "prints", prints))]
    done = CliRunner().invoke(app, [*arguments, "--out", str(folder / "out"), "--device", "cpu"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "left out: " in done.output
    assert "20 genuine, 16 print; 20 more genuine images as reference" in done.output
    return folder / "out"


def test_a_trained_classifier_knows_what_it_was_shown(artefact: Path) -> None:
    bad = inspected(NOISE, artefact)
    good = inspected(textures(1, seed=77)[0], artefact)
    assert bad.score > 0.9
    assert good.score < 0.5
    assert bad.details["method"] == "trained classifier (20 genuine, 16 print)"
    assert np.isclose(bad.details["genuine"] + bad.details["print"], 1)


def test_the_packaged_artefact_is_used_on_mini_alone() -> None:
    found = inspected(NOISE)
    assert found.details["method"].startswith("trained classifier (300 genuine, 120 print")
    assert sum(file.stat().st_size for file in EMBEDDED.iterdir()) < 1_000_000


@pytest.mark.parametrize("method", ["statistics", "pixels", "trained"])
def test_every_method_runs_and_says_so(method: str) -> None:
    found = inspected(NOISE, method=method)
    assert found.status == "ok"
    assert found.score == pytest.approx(found.score)
    name = {"statistics": "embedding statistics", "pixels": "pixel statistics"}
    assert found.details["method"].startswith(name.get(method, "trained classifier"))
    one = inspected(NOISE, method="statistics", statistics=["hubness"])
    assert one.score == pytest.approx(one.details["hubness"])
    assert "statistics=hubness" in one.details["method"]


def test_a_recipe_learns_the_users_good_images(tmp_path: Path) -> None:
    good = written(tmp_path / "good", textures(30, seed=5))
    spec = DetectorSpec(id="fooling", options={"method": "statistics"})
    config = FitConfig(sources=(good,), out=tmp_path / "recipe", specs=(spec,))
    recipe = fit(config, host=Host.load()).out
    with Inspector.load(recipe) as inspector:
        found = inspector(textures(1, seed=9)[0]).detections[0]
    assert found.status == "ok", found.error
    assert found.details["method"].endswith("genuine images)")
    assert found.threshold is not None


def test_own_names(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("bolt\n" * 3)
    with pytest.raises(Exception, match="holds 1 name: write 10 or more"):
        inspected(NOISE, method="statistics", prompts=str(names))
    words = "bolt bottle gear key lamp leather nut pill screw tile washer wood"
    names.write_text("\n".join(words.split()))
    found = inspected(NOISE, method="statistics", prompts=str(names))
    assert found.status == "ok"


def test_a_foreign_or_damaged_artefact_is_refused(artefact: Path, tmp_path: Path) -> None:
    made = Artefact.load(artefact, detector="fooling")
    tensors = dict(made.tensors)
    few = {name: x[:3] if "genuine" in name else x for name, x in tensors.items()}
    unsound = tensors["genuine.embeddings"] * np.nan
    for name, changed, said in (
        ("other", replace(made, bundle=replace(made.bundle, sha256="0" * 64)), "bundle mini"),  # type: ignore[type-var]
        ("detector", replace(made, detector="winclip"), "belongs to 'winclip'"),
        (
            "narrow",
            replace(made, tensors={**tensors, "classifier.bias": np.zeros(5)}),
            "does not fit the features",
        ),
        (
            "nan",
            replace(
                made,
                tensors={
                    **tensors,
                    "genuine.embeddings": unsound,
                },
            ),
            "not finite",
        ),
        (
            "few",
            replace(made, tensors=few),
            "too few",
        ),
        ("settings", replace(made, facts={**made.facts, "settings": ["top_k=3"]}), "top_k=3"),
        ("lacks", replace(made, tensors={}), "genuine.embeddings"),
    ):
        (tmp_path / name).mkdir()
        changed.save(tmp_path / name)
        with pytest.raises(RecipeError, match=said):
            inspected(NOISE, tmp_path / name)
