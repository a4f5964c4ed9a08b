"""The artefact: what is written, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import ArtefactMissing, Context, RecipeError, UsageError
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.clipn import Clipn
from clipvet.plugins.clipn._no_tower import FILES, NoTower
from clipvet.plugins.clipn._tower_files import write_no_tower

FACTS = {"origin": "a copy", "prompt_kind": "learned"}
PROMPTS = ["a photo of a bolt.", "no", "An X-ray of 3 cats, & a dog's toy! " * 9]


@pytest.fixture(scope="module")
def written(bundle: Bundle, tmp_path_factory: Any) -> Path:
    """The bundle's own text tower as a "no" tower."""
    folder = Path(tmp_path_factory.mktemp("tower"))
    write_no_tower(folder, bundle, bundle.weights("text"), precision="fp16", facts=FACTS)
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def cosines(first: Any, second: Any) -> Any:
    return (first * second).sum(axis=1) / (
        np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    )


@pytest.mark.parametrize("stored", ["fp32", "fp16"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_bundles_own_weights_give_its_embeddings(
    stored: Any, precision: Any, tiny: Any, tmp_path: Path
) -> None:
    bundle = tiny.tiny_bundle(tmp_path / "b", precision=stored, tokenizer=tiny.openai_tokenizer())
    out = tmp_path / "no"
    out.mkdir()
    tower = write_no_tower(out, bundle, bundle.weights("text"), precision=precision, facts=FACTS)
    with Runtime(bundle, needs=(), device="cpu") as runtime:
        expected = runtime.encode_text(PROMPTS)
    got = tower.encode_text(PROMPTS)
    assert cosines(got, expected).min() > (0.999 if precision == "int8" else 0.999999)
    if precision == "fp32":
        np.testing.assert_allclose(got, expected, atol=1e-5)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)


def test_size_halves_with_the_precision(bundle: Bundle, tmp_path: Path) -> None:
    sizes = []
    for precision in ("fp32", "fp16", "int8"):
        out = tmp_path / precision
        out.mkdir()
        weights = bundle.weights("text")
        write_no_tower(out, bundle, weights, precision=precision, facts=FACTS)
        sizes.append((out / "artefact.safetensors").stat().st_size)
    assert sizes[0] / sizes[1] == pytest.approx(2, rel=0.02)
    assert sizes[1] / sizes[2] == pytest.approx(2, rel=0.1)


def test_a_weight_that_half_precision_cannot_hold(bundle: Bundle, tmp_path: Path) -> None:
    weights = bundle.weights("text")
    weights["text_projection"][0, 0] = 1e6
    with pytest.raises(UsageError, match="text_projection of the no-tower is not finite in fp16"):
        write_no_tower(tmp_path, bundle, weights, precision="fp16", facts=FACTS)


def test_the_same_weights_give_the_same_files(
    bundle: Bundle, written: Path, tmp_path: Path
) -> None:
    write_no_tower(tmp_path, bundle, bundle.weights("text"), precision="fp16", facts=FACTS)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes(), name


def test_save_copies_all_of_it(copy: Path, tmp_path: Path, bundle: Bundle) -> None:
    detector = Clipn()
    detector.load(copy)
    out = tmp_path / "recipe"
    out.mkdir()
    detector.save(out)
    shutil.rmtree(copy)
    again = NoTower.load(out)
    again.check(bundle.info, embed_dim=64)
    assert np.isfinite(again.encode_text(["a bolt"])).all()
    Clipn().save(tmp_path)  # learned nothing, writes nothing
    assert [path.name for path in tmp_path.iterdir()] == ["recipe"]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises((ArtefactMissing, RecipeError), match="again"):
        NoTower.load(copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncated", "other bytes"])
def test_a_damaged_file(name: str, damage: str, copy: Path) -> None:
    content = (copy / name).read_bytes()
    half = len(content) // 2
    changed = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    if name == "artefact.json" and damage == "other bytes":
        changed = content.replace(b'"detector": "clipn"', b'"detector": "winclip"')
    if name == "manifest.json" and damage == "other bytes":
        changed = content.replace(b'"bytes"', b'"Bytes"', 1)
    (copy / name).write_bytes(content[:half] if damage == "truncated" else changed)
    with pytest.raises(RecipeError) as caught:
        NoTower.load(copy)
    assert "again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_artefact(bundle: Bundle, copy: Path, tmp_path: Path) -> None:
    """Both headers are whole, but they are not of the same weights."""
    other = tmp_path / "other"
    other.mkdir()
    weights = bundle.weights("text")
    weights["text_projection"] = -weights["text_projection"]
    write_no_tower(other, bundle, weights, precision="fp16", facts=FACTS)
    for name in ("artefact.json", "artefact.safetensors"):
        shutil.copy(other / name, copy / name)
    with pytest.raises(RecipeError, match="damaged"):
        NoTower.load(copy)


def test_a_header_that_does_not_say_what_it_is(copy: Path) -> None:
    header = json.loads((copy / "artefact.json").read_text())
    for facts in ({}, {"origin": "x"}, {"origin": "x", "prompt_kind": "loud"}):
        (copy / "artefact.json").write_text(json.dumps({**header, "facts": facts}))
        with pytest.raises(RecipeError, match="damaged"):
            NoTower.load(copy)


def test_another_bundle_or_preprocessing(copy: Path, bundle: Bundle) -> None:
    info = bundle.info
    for changes, message in (
        ({"sha256": "0" * 64}, "learned on bundle tiny-gelu"),
        ({"preprocessing_sha256": "0" * 64}, "another preprocessing"),
        ({"embed_dim": 32}, "vectors are 64 wide, those of bundle tiny-gelu 32"),
    ):
        detector = Clipn()
        detector.load(copy)
        changed: Any = changes
        context = Context(bundle=replace(info, **changed), encode_text=lambda _: np.ones((1, 64)))  # type: ignore[arg-type, return-value]
        with pytest.raises(RecipeError, match=message):
            detector.prepare(context)


def test_numbers_that_are_none(bundle: Bundle, tmp_path: Path) -> None:
    weights = bundle.weights("text")
    weights["ln_final.weight"] = weights["ln_final.weight"] * np.float32(1e38)
    weights["text_projection"] = weights["text_projection"] * np.float32(1e30)
    tower = write_no_tower(tmp_path, bundle, weights, precision="fp32", facts=FACTS)
    with pytest.raises(RecipeError, match="not finite"):
        tower.encode_text(["a bolt"])
