"""What is fuzzed: readers of files that others wrote. Only ``ClipvetError`` may come out of one.

Each target takes the bytes of one file and lets the reader loose on them. A reader that accepts
them must also be able to use what it read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from clipvet.detectors import (
    Artefact,
    BundleError,
    ClipvetError,
    DecodePolicy,
    FrameError,
    Record,
    RecordWriter,
    read_frame,
    read_records,
)
from clipvet.detectors.clip._bundle import Bundle
from clipvet.detectors.clip._gate import GATE_FILE, DomainGate
from clipvet.detectors.clip._manifest import Manifest
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.sources._archive import Archive
from clipvet.plugins.anomalyclip._learned import Learned
from clipvet.plugins.fooling._classifier import Classifier
from clipvet.plugins.fooling._genuine import Genuine
from clipvet.plugins.quality._scale import Scale
from clipvet.plugins.unanswerable._fallback import ImageBank
from clipvet.plugins.vim._statistics import Statistics
from tests.fuzz import seeds

__all__ = ["SEPARATOR", "TARGETS", "Target", "check"]

SEPARATOR = seeds.SEPARATOR
Form = Literal["bytes", "json", "jsonl", "toml", "artefact"]

# Small enough for thousands a second; the rules are those of a run.
_POLICIES = tuple(
    DecodePolicy(max_pixels=1 << 18, max_side=4096, high_bit=rule)
    for rule in (None, "full-range", "percentile")
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One reader.

    Attributes:
        run: reads a file with these bytes; raises :class:`ClipvetError` for a bad one.
        seeds: good files to start from.
        form: how a file is taken apart and put together again by a mutation.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    form: Form = "bytes"


def check(target: Target, data: bytes) -> str | None:
    """Read bytes; the sentence of the refusal, or None. Anything else is a finding."""
    try:
        target.run(data)
    except ClipvetError as error:
        sentence = str(error)
        assert sentence, "a refusal without a word"
        assert "\n" not in sentence, f"a refusal of several lines: {sentence!r}"
        assert len(sentence) < 4000, f"a refusal of {len(sentence)} characters"
        return sentence
    return None


def _frame(data: bytes) -> None:
    frame = read_frame(data, policy=_POLICIES[len(data) % 3])
    assert frame.pixels.shape == (frame.height, frame.width, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.width * frame.height <= 1 << 18
    assert "\n" not in "".join(frame.notes)


def _archive(data: bytes) -> None:
    path = _place("archive") / "batch.zip"
    path.write_bytes(data)
    reader = FileReader({}, _POLICIES[0])
    for found in Archive(path=path, all_files=len(data) % 2 == 0):
        assert found.id.isprintable()
        assert ".." not in found.id.split("/")
        with contextlib.suppress(FrameError):
            found.read(reader)


def _records(data: bytes) -> None:
    path = _place("records") / "records.jsonl"
    path.write_bytes(data)
    first = list(read_records(path))
    for record in first:
        assert Record.from_json(record.to_json()) == record
    with RecordWriter(path) as writer:
        writer.write(seeds.RECORD)
    again = list(read_records(path))
    assert again[-1] == seeds.RECORD
    assert again[:-1] == first[: len(again) - 1]


def _manifest(data: bytes) -> None:
    folder = _place("manifest")
    (folder / "manifest.json").write_bytes(data)
    for name in seeds.FILES:
        (folder / name).write_bytes(seeds.CONTENT)
    manifest = Manifest.read(folder)
    assert len(manifest.preprocessing.sha256) == 64
    with contextlib.suppress(BundleError):
        Bundle.open(folder).verify()
    assert Bundle(folder, manifest).info.id == manifest.name


def _gate(data: bytes) -> None:
    folder = _place("gate")
    (folder / GATE_FILE).write_bytes(data)
    DomainGate.read(folder)


def _recipe(data: bytes) -> None:
    folder = _recipe_folder("recipe.toml")
    (folder / "recipe.toml").write_bytes(data)
    _use(Recipe.load(folder))


def _calibration(data: bytes) -> None:
    _use(Recipe.load(_recipe_with(seeds.CALIBRATION, data)))


def _validation(data: bytes) -> None:
    _use(Recipe.load(_recipe_with("validation.json", data)))


def _use(recipe: Recipe) -> None:
    ids = [spec.id for spec in recipe.specs]
    assert recipe.verdict(dict.fromkeys(ids, 0.5)) in {"pass", "flag", "abstain"}
    for name in ids:
        recipe.map_threshold(name)
        recipe.heatmap_range(name)


def _artefact(data: bytes) -> None:
    header, _, tensors = data.partition(SEPARATOR)
    with contextlib.suppress(Exception):  # whoever swaps the tensors can write their hash, too
        facts = json.loads(header)
        facts["tensors_sha256"] = hashlib.sha256(tensors).hexdigest()
        header = json.dumps(facts).encode()
    folder = _place("artefact")
    (folder / "artefact.json").write_bytes(header)
    (folder / "artefact.safetensors").write_bytes(tensors)
    for detector, understand in _UNDERSTAND.items():
        if b'"%s"' % detector.encode() in header:
            understand(Artefact.load(folder, detector=detector))


_UNDERSTAND: dict[str, Callable[[Artefact], object]] = {
    "anomalyclip": Learned._of,
    "fooling": lambda stored: (
        Genuine.of(stored, embed_dim=4) if len(stored.tensors) == 2
        else Classifier.of(stored, width=4)
    ),
    "quality": Scale.of,
    "unanswerable": lambda stored: ImageBank.of(stored, 4),
    "vim": Statistics.of,
}  # fmt: skip


@cache
def _place(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"clipvet-fuzz-{name}-"))


@cache
def _recipe_folder(changed: str) -> Path:
    """A recipe of which a target changes one file."""
    folder = _place(f"recipe-{Path(changed).stem}") / "line3"
    seeds.recipe().save(folder)
    return folder


@cache
def _sound(name: str) -> bytes:
    return (_recipe_folder("none") / name).read_bytes()


def _recipe_with(name: str, data: bytes) -> Path:
    """A recipe in which one file was replaced by somebody who can compute a hash."""
    toml, before = _sound("recipe.toml"), hashlib.sha256(_sound(name)).hexdigest().encode()
    folder = _recipe_folder(name)
    (folder / name).write_bytes(data)
    after = hashlib.sha256(data).hexdigest().encode()
    (folder / "recipe.toml").write_bytes(toml.replace(before, after))
    return folder


def _files(name: str) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([_sound(name)])


TARGETS = {
    "frame": Target(run=_frame, seeds=seeds.pictures),
    "archive": Target(run=_archive, seeds=seeds.archives),
    "records": Target(run=_records, seeds=seeds.records, form="jsonl"),
    "manifest": Target(run=_manifest, seeds=seeds.manifests, form="json"),
    "gate": Target(run=_gate, seeds=seeds.gates),
    "recipe": Target(run=_recipe, seeds=_files("recipe.toml"), form="toml"),
    "calibration": Target(run=_calibration, seeds=_files(seeds.CALIBRATION), form="json"),
    "validation": Target(run=_validation, seeds=_files("validation.json"), form="json"),
    "artefact": Target(run=_artefact, seeds=seeds.artefacts, form="artefact"),
}
