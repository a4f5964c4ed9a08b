from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Artefact, ArtefactMissing, Context, RecipeError
from clipvet.plugins.anomalyclip import AnomalyClip


def no_text(_: Sequence[str]) -> NDArray[np.float32]:
    return np.zeros((0, 64), np.float32)


def prepare(folder: Path, bundle: Any) -> AnomalyClip:
    detector = AnomalyClip()
    detector.load(folder)
    detector.prepare(Context(bundle=bundle, encode_text=no_text))
    return detector


def test_saved_and_loaded_scores_are_identical(
    make_learned: Any, make_detector: Any, make_batch: Any, make_bundle_info: Any, tmp_path: Path
) -> None:
    first = make_detector()
    first.save(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["artefact.json", "artefact.safetensors"]
    loaded = prepare(tmp_path, make_bundle_info())
    for one, other in zip(
        first.score(make_batch(range(6))), loaded.score(make_batch(range(6))), strict=True
    ):
        assert one[0].value == other[0].value
        np.testing.assert_array_equal(one[0].heatmap, other[0].heatmap)
        assert one[0].details == other[0].details
    assert loaded.learned_ is not None
    assert loaded.learned_.facts == {"source": "golden"}


def test_variants_that_learn_nothing_write_nothing(make_detector: Any, tmp_path: Path) -> None:
    make_detector(variant="sdp").save(tmp_path)
    assert not any(tmp_path.iterdir())


def test_another_bundle_is_refused(
    make_learned: Any, make_bundle_info: Any, tmp_path: Path
) -> None:
    make_learned().save(tmp_path)
    with pytest.raises(RecipeError, match=r"^anomalyclip: the artefact was learned on bundle tiny"):
        prepare(tmp_path, make_bundle_info(sha256="b" * 64))
    with pytest.raises(RecipeError, match="another preprocessing"):
        prepare(tmp_path, make_bundle_info(preprocessing_sha256="b" * 64))
    with pytest.raises(RecipeError, match=r"projection is \[64, 64\], bundle .* has \[96, 64\]"):
        prepare(tmp_path, make_bundle_info(vision_width=96))


@pytest.mark.parametrize("name", ["artefact.json", "artefact.safetensors"])
def test_missing_and_damaged_files(make_learned: Any, tmp_path: Path, name: str) -> None:
    make_learned().save(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    for damaged in (b"", whole[:-20], b"[]", whole[:50] + b"\xff" + whole[51:]):
        path.write_bytes(damaged)
        with pytest.raises(RecipeError, match=r"^anomalyclip: the artefact .* is damaged"):
            AnomalyClip().load(tmp_path)
    path.unlink()
    with pytest.raises(ArtefactMissing, match=f"{name} is missing"):
        AnomalyClip().load(tmp_path)


def test_another_detector_s_artefact(make_learned: Any, tmp_path: Path) -> None:
    made = make_learned()
    tensors = {"prototypes": made.prototypes}
    Artefact(detector="winclip", bundle=made.bundle, facts={}, tensors=tensors).save(tmp_path)
    with pytest.raises(RecipeError, match="it belongs to 'winclip'"):
        AnomalyClip().load(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "facts", "what"),
    [
        ({"projection": None}, {}, "projection"),
        ({"prototypes": np.ones((3, 64), np.float32)}, {}, r"\[3, 64\]"),
        ({"prototypes": np.ones((2, 64), np.float32)}, {}, "unit length"),
        ({"projection": np.full((64, 64), np.nan, np.float32)}, {}, "not finite"),
        ({"projection": np.eye(64)}, {}, "not finite float32"),
        ({}, {"temperature": "warm"}, "warm"),
        ({}, {"temperature": 0}, "temperature is 0"),
        ({}, {"temperature": None}, "temperature|float"),
        ({}, {"origin": None}, "origin"),
    ],
)
def test_content_that_does_not_fit_together(
    make_learned: Any, tmp_path: Path, tensors: Any, facts: Any, what: str
) -> None:
    made = make_learned()
    arrays = {"prototypes": made.prototypes, "projection": made.projection, **tensors}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    told = {"temperature": 0.07, "origin": "x", **facts}
    told = {name: value for name, value in told.items() if value is not None}
    Artefact(detector="anomalyclip", bundle=made.bundle, facts=told, tensors=arrays).save(tmp_path)
    with pytest.raises(RecipeError, match=f"damaged .*{what}.*train or import it again"):
        AnomalyClip().load(tmp_path)
    assert "\n" not in json.dumps(told)
