"""Every target reads its seeds, refuses what fuzzing found, and survives small changes."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import pytest

from clipvet.detectors import DecodePolicy, FrameUnreadable
from clipvet.detectors.errors import ClipvetError
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.sources._archive import Archive
from tests.fuzz import seeds
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, check

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of absurd numbers


def replaced(name: str, old: bytes, new: bytes) -> bytes:
    data = next(TARGETS[name].seeds())
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_good_files(name: str) -> None:
    for seed in TARGETS[name].seeds():
        assert check(TARGETS[name], seed) is None


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    rng = random.Random(5)
    for number, seed in enumerate(list(target.seeds())[:20] * 3):
        data = bytearray(seed)
        for _ in range(3):
            data[rng.randrange(len(data))] = rng.randrange(256)
        check(target, bytes(data))
        check(target, bytes(data[: rng.randrange(len(data))]))
        check(target, mutated(seed, target.form, number) or b"")


@pytest.mark.parametrize("name", ["records", "manifest", "calibration", "validation", "artefact"])
def test_json_that_is_nested_too_deeply_is_refused(name: str) -> None:
    begin = b'{"detector": "vim", "facts": ' if name == "artefact" else b""
    assert check(TARGETS[name], begin + b"[" * 100_000 + b"\n")


@pytest.mark.parametrize("value", [b"[" * 100_000, b"9" * 5000], ids=["nested", "long"])
def test_toml_that_breaks_its_parser_is_refused(value: bytes) -> None:
    assert check(TARGETS["recipe"], b"a = " + value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("share", [b"1e-99999999", b"1e99999999"])
def test_a_recall_of_a_hundred_million_digits_is_refused_at_once(share: bytes) -> None:
    data = replaced("recipe", b'"max-f1"', b'"recall=' + share + b'"')
    assert "there is no threshold" in str(check(TARGETS["recipe"], data))


def test_file_names_longer_than_the_system_takes_are_absent_files() -> None:
    long = b"x" * 300
    data = replaced("recipe", b"validation.json", long)
    assert "lacks xxx" in str(check(TARGETS["recipe"], data))
    assert check(TARGETS["manifest"], replaced("manifest", b"weights.bin", long)) is None


def test_a_refusal_does_not_quote_a_whole_file() -> None:
    header, separator, tensors = next(seeds.artefacts()).partition(seeds.SEPARATOR)
    data = json.dumps({**json.loads(header), "schema": "x" * 9000}).encode()
    sentence = check(TARGETS["artefact"], data + separator + tensors)
    assert sentence is not None
    assert len(sentence) < 600


def test_a_bad_image_without_a_score_is_refused() -> None:
    data = json.loads(next(TARGETS["validation"].seeds()))
    del data["images"][0]["scores"]["dist:bank"]
    assert "lacks a score" in str(check(TARGETS["validation"], json.dumps(data).encode()))


@pytest.mark.parametrize("name", ["manifest", "validation"])
def test_a_refusal_is_one_line_whatever_it_quotes(name: str) -> None:
    data = json.loads(next(TARGETS[name].seeds()))
    sentence = check(TARGETS[name], json.dumps({**data, "a\n\x1b[31mb": 1}).encode())
    assert sentence is not None
    assert "a\\n\\x1b[31mb" in sentence


def test_an_error_says_what_cannot_be_printed_in_escapes() -> None:
    assert str(ClipvetError("a\nb\udc80\x07 ü")) == "a\\nb\\udc80\\x07 ü"


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400, 2**63])
def test_an_artefact_with_a_number_that_nobody_can_compute_with_is_refused(number: float) -> None:
    refused = 0
    for seed in seeds.artefacts():
        header, separator, tensors = seed.partition(seeds.SEPARATOR)
        facts = json.loads(header)
        for name, value in facts["facts"].items():
            if isinstance(value, int | float):
                changed = {**facts, "facts": {**facts["facts"], name: number}}
                data = json.dumps(changed).encode() + separator + tensors
                assert check(TARGETS["artefact"], data)
                refused += 1
    assert refused >= 6


def test_a_member_without_a_name_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "batch.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("b.png", b"x")
        file.writestr("a.png", b"y")
    path.write_bytes(path.read_bytes().replace(b"b.png", b"\0.png"))  # names end at a NUL
    archive = Archive(path=path, all_files=True)
    assert [found.id.rpartition("/")[2] for found in archive if found is not None] == ["a.png"]
    assert archive.ignored == {"without a name": 1}


def test_a_damaged_lzma_member_costs_itself(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.png", bytes(range(256)) * 8)
    data = bytearray(buffer.getvalue())
    data[60:90] = bytes(30)
    path = tmp_path / "batch.zip"
    path.write_bytes(data)
    (found,) = Archive(path=path)
    assert found is not None
    with pytest.raises(FrameUnreadable, match="damaged in the archive"):
        found.read(FileReader({}, DecodePolicy()))
