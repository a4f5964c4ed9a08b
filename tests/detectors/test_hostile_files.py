"""Artefacts, gates, recipes and JSON that somebody made to do harm: one sentence each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Artefact, BundleError, RecipeError, UsageError
from clipvet.detectors.clip import DomainGate
from clipvet.detectors.clip._manifest import Manifest
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._recipe import BoundBundle, Recipe
from clipvet.detectors.reports._facts import RunFacts
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._questions import Questions
from clipvet.detectors.testing._fake_runtime import FAKE_BUNDLE
from tests.hostile_bundles import HOSTILE_SAFETENSORS, MINI, safetensors

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    folder = tmp_path / "artefact"
    folder.mkdir()
    tensors = {"a": np.zeros(1, np.float32)}
    Artefact(detector="vim", bundle=FAKE_BUNDLE, facts={"n": 3}, tensors=tensors).save(folder)
    return folder


def refused(folder: Path, message: str = "is damaged") -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Artefact.load(folder, detector="vim")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", HOSTILE_SAFETENSORS)
def test_hostile_tensors_are_refused(artefact: Path, what: str) -> None:
    content = HOSTILE_SAFETENSORS[what]
    (artefact / "artefact.safetensors").write_bytes(content)
    header = json.loads((artefact / "artefact.json").read_text())
    digest = hashlib.sha256(content).hexdigest()
    header |= {"tensors_sha256": digest, "tensors": {"a": [1]}}
    (artefact / "artefact.json").write_text(json.dumps(header))
    refused(artefact)


@pytest.mark.parametrize(
    "header",
    [
        '{"schema": ' + DEEP + "}",
        '{"facts": {"n": NaN}}',
        '{"facts": {"n": 1e999}}',
        '{"facts": {"n": ' + "9" * 5000 + "}}",
        '{"detector": "clipn", "detector": "vim"}',
        '{"facts": {"n": "\ud800"}}'.encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
    ids=["deep", "NaN", "1e999", "5000 digits", "a key twice", "no UTF-8"],
)  # fmt: skip
def test_a_hostile_header_is_refused(artefact: Path, header: str) -> None:
    whole = (artefact / "artefact.json").read_text().rstrip()[:-1]
    own = header.removeprefix("{")
    (artefact / "artefact.json").write_text(f"{whole}, {own}", "latin-1")
    refused(artefact)


def test_pipes_and_endless_files_are_refused(artefact: Path) -> None:
    path = artefact / "artefact.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: no room on the disk, a terabyte to whoever reads it
    refused(artefact, "above 4294967296")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Exception, match="is missing"):
        Artefact.load(artefact, detector="vim")


@pytest.mark.parametrize("what", HOSTILE_SAFETENSORS)
def test_a_hostile_gate_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "gate.safetensors").write_bytes(HOSTILE_SAFETENSORS[what])
    with pytest.raises(BundleError, match="is not a domain gate"):
        DomainGate.read(tmp_path)


def test_a_gate_of_integers_of_the_future_is_refused(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"schema": "clipvet.gate/1", "features": "cls_embed"},
        "mean": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]},
    }
    (tmp_path / "gate.safetensors").write_bytes(safetensors(header, b"\0\0"))
    with pytest.raises(BundleError, match="is not a domain gate"):
        DomainGate.read(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path, artefact: Path) -> Path:
    images = tuple(f"good/{i:02d}.png" for i in range(23))
    Recipe(
        specs=(DetectorSpec(id="vim", options={"x": 1.5}, artefact=artefact),),
        bundles=(
            BoundBundle(
                name="mini", id="mini", sha256=FAKE_BUNDLE.sha256,
                preprocessing_sha256=FAKE_BUNDLE.preprocessing_sha256,
            ),
        ),
        calibrations={
            "vim": Calibration(images=images, scores=np.arange(23.0), provider="CPU")
        },
        rate=0.1,
    ).save(tmp_path / "recipe")  # fmt: skip
    assert Recipe.load(tmp_path / "recipe").rate == 0.1
    return tmp_path / "recipe"


def refuses(recipe: Path, message: str) -> None:
    start = time.process_time()
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe.load(recipe)
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x = " + DEEP, "nested"),
        ("x = " + "9" * 5000, "cannot be read"),
        ("x = nan", "nan"),
        ("x = 1e999", "inf"),
        ("x = 1\nx = 2", "cannot be read"),
        ("a." * 30_000 + "x = 1", "dots"),
        ('"a" . ' * 30_000 + "x = 1", "dots"),
        ('x = "\udcff"', "cannot be read"),
    ],
    ids=["deep", "5000 digits", "nan", "1e999", "a key twice", "dots", "quoted dots", "UTF-8"],
)
def test_hostile_toml_is_refused_at_once(recipe: Path, line: str, message: str) -> None:
    toml = recipe / "recipe.toml"
    text = toml.read_text().replace("x = 1.5", line, 1)
    toml.write_bytes(text.encode("utf-8", "surrogateescape"))
    refuses(recipe, message)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "artefacts/../../secret"])
def test_a_recipe_that_lists_files_outside_is_refused(recipe: Path, name: str) -> None:
    with (recipe / "recipe.toml").open("a") as file:
        file.write(f'\n"{name}" = "{"0" * 64}"\n')
    refuses(recipe, "which lies outside")


def test_links_out_of_a_recipe_are_refused(recipe: Path, tmp_path: Path) -> None:
    listed = recipe / "artefacts" / "vim" / "artefact.json"
    listed.rename(tmp_path / "elsewhere.json")
    listed.symlink_to(tmp_path / "elsewhere.json")
    refuses(recipe, "is a link to outside")


@pytest.mark.parametrize("place", ["artefacts", "artefacts/vim", "calibrations"])
def test_a_folder_that_is_not_verified_cannot_be_linked_in(
    recipe: Path, tmp_path: Path, place: str
) -> None:
    """Nothing of it is listed; a walk that does not follow links would not see it either."""
    shutil.move(recipe / place, tmp_path / "elsewhere")
    (recipe / place).symlink_to(tmp_path / "elsewhere")
    toml = recipe / "recipe.toml"
    lines = toml.read_text().splitlines()
    toml.write_text("\n".join(line for line in lines if not line.startswith(f'"{place}')) + "\n")
    refuses(recipe, "is a link to a folder")


def test_a_swapped_artefact_is_refused(recipe: Path) -> None:
    path = recipe / "artefacts" / "vim" / "artefact.safetensors"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    refuses(recipe, r"artefact\.safetensors has changed")


def test_a_calibration_without_end_is_refused(recipe: Path) -> None:
    """Its hash may be right: whoever makes a recipe writes its hashes."""
    path = recipe / "calibrations" / "vim.json"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(path.read_text().replace('"schema"', f'"x": {DEEP}, "schema"', 1))
    toml = recipe / "recipe.toml"
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    toml.write_text(toml.read_text().replace(old, new))
    refuses(recipe, "nested")


@pytest.mark.parametrize("text", [DEEP, '{"schema": NaN}', '{"schema": 1, "schema": 2}', "1e999"])
def test_run_folders_and_questions_that_nest_without_end(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    for read in (RunFacts.read, lambda folder: RunFolder.open(folder, {})):
        with pytest.raises(UsageError, match="run folder"):
            read(tmp_path)
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(UsageError, match="line 1"):
        Questions.read(tmp_path / "q.jsonl")


def nested(depth: int) -> Any:
    value: Any = 1.5
    for level in range(depth):
        value = [value] if level % 2 else {"key": value}
    return value


def test_what_is_honest_is_read_as_it_was(recipe: Path) -> None:
    from clipvet.detectors._parsing import parse_json, parse_toml

    value = {"a": [1, 2.5, "ü", None, True, {"b": []}], "deep": nested(60), "tiny": 5e-324}
    assert parse_json(json.dumps(value)) == value
    text = (recipe / "recipe.toml").read_bytes()
    assert parse_toml(text)["schema"] == "clipvet.recipe/1"
    for depth in (66, 900, 5000):
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            parse_json(re.sub("x", "1", "[" * depth + "]" * depth))


LONG = "x" * 100_000


@pytest.mark.parametrize("content", [{LONG: 1}, {"files": {LONG: 1}}, {"files": {"/" + LONG: {}}}])
def test_a_name_of_any_length_makes_no_long_refusal(
    tmp_path: Path, recipe: Path, content: dict[str, Any]
) -> None:
    whole = json.loads((MINI / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**whole, **content}))
    with pytest.raises(BundleError, match=r"x \.\.\. x") as caught:
        Manifest.read(tmp_path)
    assert len(str(caught.value)) < 900
    toml = recipe / "recipe.toml"
    toml.write_text(f"{LONG} = 1\n" + toml.read_text())
    with pytest.raises(RecipeError, match=r"x \.\.\. x") as refusal:
        Recipe.load(recipe)
    assert len(str(refusal.value)) < 900


def test_a_key_twice_among_many_is_found_at_once() -> None:
    from clipvet.detectors._parsing import parse_json

    keys = ", ".join(f'"{number}": 1' for number in [*range(200_000), 199_999])
    start = time.process_time()
    with pytest.raises(ValueError, match="'199999' stands twice"):
        parse_json(f"{{{keys}}}")
    assert time.process_time() - start < 20  # it took minutes


def test_half_a_character_is_refused(tmp_path: Path, recipe: Path) -> None:
    """JSON can write half of a surrogate pair, which no UTF-8 text can hold."""
    whole = json.loads((MINI / "manifest.json").read_text())
    whole["features"]["\udc80"] = [1, 19, 19]
    (tmp_path / "manifest.json").write_text(json.dumps(whole))
    with pytest.raises(BundleError, match=r"udc80 is half of a character"):
        Manifest.read(tmp_path)
    path = recipe / "calibrations" / "vim.json"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(path.read_text().replace('"schema"', '"\\udc80": 1, "schema"', 1))
    toml = recipe / "recipe.toml"
    toml.write_text(toml.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
    refuses(recipe, "calibrations.vim.json: ")
