"""What detectors learn, on disk."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import Artefact, ArtefactMissing, RecipeError


@dataclass(frozen=True)
class Bundle:
    id: str = "tiny"
    sha256: str = "a" * 64
    preprocessing_sha256: str = "c" * 64


def artefact(**changed: object) -> Artefact:
    tensors = {"mean": np.arange(6, dtype=np.float64).reshape(2, 3), "count": np.array([3])}
    fields = {"detector": "vim", "bundle": Bundle(), "facts": {"n": 3}, "tensors": tensors}
    return Artefact(**{**fields, **changed})  # type: ignore[arg-type]


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    artefact().save(tmp_path)
    back = Artefact.load(tmp_path, detector="vim")
    assert back.facts == {"n": 3}
    assert back.bundle.id == "tiny"
    assert back.tensors["mean"].dtype == np.float64
    for name, values in artefact().tensors.items():
        np.testing.assert_array_equal(back.tensors[name], values)
    back.check(Bundle())


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        artefact().save(tmp_path / name)
    for file in ("artefact.json", "artefact.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            Bundle(id="big", sha256="b" * 64),
            r"learned on bundle tiny \(aaaaaaaaaaaa\), this is big",
        ),
        (Bundle(preprocessing_sha256="d" * 64), "another preprocessing of bundle tiny"),
    ],
)
def test_another_bundle_is_refused(other: Bundle, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        artefact().check(other)


def test_another_detectors_artefact_is_refused(tmp_path: Path) -> None:
    artefact().save(tmp_path)
    with pytest.raises(RecipeError, match="it belongs to 'vim'"):
        Artefact.load(tmp_path, detector="clipn")


@pytest.mark.parametrize("name", ["artefact.json", "artefact.safetensors"])
def test_missing_cut_and_hostile_files(tmp_path: Path, name: str) -> None:
    artefact().save(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    for content in (b"", whole[:-20], b"[]", b"{}", pickle.dumps({"schema": 1})):
        path.write_bytes(content)
        with pytest.raises(RecipeError, match=r"is damaged \(.*fit or train it again"):
            Artefact.load(tmp_path, detector="vim")
    path.unlink()
    with pytest.raises(ArtefactMissing, match=f"{name} is missing"):
        Artefact.load(tmp_path, detector="vim")


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "clipvet.artefact/2"},
        {"tensors": {"mean": [3, 2], "count": [1]}},
        {"facts": []},
        {"bundle": {"id": "tiny"}},
        {"bundle": []},
    ],
)
def test_a_header_that_does_not_fit(tmp_path: Path, change: dict[str, object]) -> None:
    artefact().save(tmp_path)
    path = tmp_path / "artefact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecipeError, match="is damaged"):
        Artefact.load(tmp_path, detector="vim")


def test_a_fact_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        artefact(facts={"alpha": float("nan")}).save(tmp_path)


def test_package_data_serves_only_the_bundle_that_it_was_learned_on(tmp_path: Path) -> None:
    made = artefact()
    assert Artefact.for_bundle(tmp_path, detector="vim", bundle=Bundle()) is None
    made.save(tmp_path)
    found = Artefact.for_bundle(tmp_path, detector="vim", bundle=Bundle())
    assert found is not None
    assert found.facts == made.facts
    for other in (Bundle(sha256="b" * 64), Bundle(preprocessing_sha256="d" * 64)):
        assert Artefact.for_bundle(tmp_path, detector="vim", bundle=other) is None
    (tmp_path / "artefact.safetensors").write_bytes(b"")
    with pytest.raises(RecipeError, match="damaged"):
        Artefact.for_bundle(tmp_path, detector="vim", bundle=Bundle())
