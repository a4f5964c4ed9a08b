from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Query, View
from clipvet.detectors.clip import BundleInfo
from clipvet.plugins.unanswerable import Unanswerable, UnanswerableOptions
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, KINDS
from clipvet.plugins.unanswerable._learned import Learned
from clipvet.plugins.unanswerable._rows import Row
from clipvet.plugins.unanswerable._samples import Sample
from clipvet.plugins.unanswerable._vectors import encode

WIDTH = 16
WORDS = ("red", "blue", "green", "black")
THINGS = ("car", "dog", "cup", "tree")


def encode_text(texts: Sequence[str]) -> NDArray[np.float32]:
    """A sum of one fixed vector for each word, and one for the text, of any length."""
    rows = [
        sum((_word(word) for word in text.split()), 0.3 * _word(f"all of {text}")) for text in texts
    ]
    return np.array(rows, dtype=np.float32).reshape(len(texts), WIDTH)


def _word(word: str) -> NDArray[np.float64]:
    return np.random.default_rng(list(word.encode()) or [0]).standard_normal(WIDTH)


def picture(thing: str, colour: str, seed: int = 0) -> NDArray[np.float64]:
    """The embedding of a picture of one thing: near texts that name it and its colour."""
    noise = np.random.default_rng(seed).standard_normal(WIDTH)
    return 2 * _word(thing) + 2 * _word(f"{colour}") + 0.3 * noise


def bundle_info(**facts: Any) -> BundleInfo:
    given: dict[str, Any] = {
        "id": "clip-of-the-test",
        "sha256": "a" * 64,
        "embed_dim": WIDTH,
        "vision_width": 8,
        "image_size": 8,
        "grid": (2, 2),
        "logit_scale": 100.0,
        "features": frozenset({"cls_embed"}),
        "vocabulary": "open",
        "preprocessing_sha256": "c" * 64,
        "resize": "squash",
        "licence": "Apache-2.0",
        "description": "",
    }
    return BundleInfo(**(given | facts))


def context(warn: Callable[[str], None] = lambda _message: None, **facts: Any) -> Context:
    return Context(bundle=bundle_info(**facts), encode_text=encode_text, warn=warn)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def rows_about(count: int, seed: int = 0) -> list[tuple[Row, NDArray[np.float64]]]:
    """Questions of all kinds about pictures of one coloured thing."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        thing, other = rng.permutation(THINGS)[:2]
        colours = [str(c) for c in rng.permutation(WORDS)]
        image = unit(picture(thing, colours[0], seed=1000 * seed + index))
        question = f"what colour is the {thing}"
        offered = [str(c) for c in rng.permutation(colours[:3])]
        absent = [colours[3] if c == colours[0] else c for c in offered]
        things = [str(t) for t in rng.permutation(THINGS)[:3]]
        for text, choices, kind in (
            (question, offered, ANSWERABLE),
            (question, absent, KINDS[0]),
            (question, things, KINDS[1]),
            (f"what colour is the {other}", offered, KINDS[2]),
        ):
            row = Row(image=f"{index}.png", question=text, choices=tuple(choices), kind=kind)
            found.append((row, image))
    return found


def samples(count: int, seed: int = 0) -> list[Sample]:
    return [
        Sample(row, image, encode(row.question, row.choices, encode_text))
        for row, image in rows_about(count, seed)
    ]


@pytest.fixture(scope="session")
def learned() -> Learned:
    from clipvet.plugins.unanswerable._training import TrainConfig, train_heads

    config = TrainConfig(epochs=15, hidden=32, token_width=8)
    return train_heads(samples(250), bundle_info(), config)


@pytest.fixture(scope="session")
def artefact(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    learned.save(folder)
    return folder


@pytest.fixture
def make_detector(artefact: Path) -> Callable[..., Unanswerable]:
    """A prepared detector; with the trained artefact unless the head is zero-training."""

    def make(head: str = "pooled", folder: Path | None = artefact) -> Unanswerable:
        detector = Unanswerable(UnanswerableOptions.model_validate({"head": head}))
        if folder is not None and not (head == "zero-training" and folder == artefact):
            detector.load(folder)
        detector.prepare(context())
        return detector

    return make


def batch_of(embeddings: Any, queries: Sequence[Sequence[Query]]) -> Batch:
    rows = np.array(embeddings, dtype=np.float32)
    rows.flags.writeable = False
    pixels = np.zeros((8, 8, 3), np.uint8)
    return Batch(
        features={"cls_embed": rows},
        views=[View(pixels=pixels, box=(0, 0, 8, 8)) for _ in rows],
        queries=queries,
    )


def asked(question: str, *choices: str) -> Query:
    return Query(question=question, choices=choices)


def edited(folder: Path, out: Path, **changes: Any) -> Path:
    """The artefact with other tensors or facts; None takes one away."""
    from safetensors.numpy import load

    from clipvet.detectors import Artefact

    header = json.loads((folder / "artefact.json").read_text("utf-8"))
    tensors: dict[str, Any] = dict(load((folder / "artefact.safetensors").read_bytes()))
    facts = dict(header["facts"])
    for name, value in changes.items():
        target = tensors if name.replace("__", ".") in tensors else facts
        key = name.replace("__", ".")
        if value is None:
            target.pop(key)
        else:
            target[key] = value
    made = Artefact(detector="unanswerable", bundle=bundle_info(), facts=facts, tensors=tensors)
    made.save(out)
    return out
