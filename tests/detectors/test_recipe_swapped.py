"""Files of a recipe that are swapped between its verification and their use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clipvet.detectors import Inspector, Recipe, RecipeError

RECIPE = Path(__file__).parents[2] / "sample_data" / "recipe"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(RECIPE, tmp_path / "line")


def test_an_artefact_that_is_swapped_while_it_is_loaded_is_refused(folder: Path) -> None:
    recipe = Recipe.load(folder)
    tensors = next((folder / "artefacts").rglob("artefact.safetensors"))
    other = tensors.with_suffix(".new")
    shutil.copyfile(tensors, other)  # the same bytes, in another file
    other.rename(tensors)
    with pytest.raises(RecipeError, match=r"artefact\.safetensors was replaced while"):
        Inspector(recipe=recipe)


def test_a_file_that_is_gone_is_refused(folder: Path) -> None:
    recipe = Recipe.load(folder)
    next((folder / "calibrations").iterdir()).unlink()
    with pytest.raises(RecipeError, match="was replaced while the recipe was loaded"):
        Inspector(recipe=recipe)


def test_a_recipe_that_nobody_touches_loads(folder: Path) -> None:
    with Inspector.load(folder) as inspector:
        assert inspector.recipe is not None


def test_no_detector_id_leads_out_of_the_artefacts(tmp_path: Path) -> None:
    from clipvet.detectors.recipes._tables import artefact_path, calibration_path

    for name in (".", "..", "../x", "a/../..", "dist:id", "/etc", "..."):
        for path, parent in (
            (artefact_path(tmp_path, name), tmp_path / "artefacts"),
            (calibration_path(tmp_path, name), tmp_path / "calibrations"),
        ):
            assert path.resolve().parent == parent.resolve(), name
