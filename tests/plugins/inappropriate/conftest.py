from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Query, View
from clipvet.detectors.clip import BundleInfo
from clipvet.plugins.inappropriate import Inappropriate, InappropriateOptions
from clipvet.plugins.inappropriate._prompts import PAIRS
from clipvet.plugins.inappropriate._released import read_vector_file
from clipvet.plugins.inappropriate._rule import write_vectors

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = ("vit_b_16", "vit_b_32", "vit_l_14")
Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="session")
def golden() -> Arrays:
    with np.load(GOLDEN / "q16.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def prompts() -> Arrays:
    """The released vectors: half precision, row 0 not inappropriate, row 1 inappropriate."""
    with np.load(GOLDEN / "q16_prompts.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def released(prompts: Arrays) -> dict[str, bytes]:
    """The prompts.p files of the Q16 repository, byte for byte: see test_released."""
    return {model: pickled(prompts[model].astype("<f2")) for model in MODELS}


def pickled(array: NDArray[Any]) -> bytes:
    """What ``pickle.dump(array, file, protocol=3)`` wrote under numpy 1."""
    payload = array.tobytes()
    return (
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02"
        b"C\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02M" + struct.pack("<H", array.shape[1]) + b"\x86q\x06"
        b"cnumpy\ndtype\nq\x07X\x02\x00\x00\x00" + array.dtype.str[1:].encode() + b"q\x08\x89\x88"
        b"\x87q\tRq\n(K\x03X\x01\x00\x00\x00<q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb"
        b"\x89B" + struct.pack("<I", len(payload)) + payload + b"q\rtq\x0eb."
    )


def text_tower(pair: NDArray[Any]) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Gives the sentences that Q16 starts from these rows, and every other text its own one."""
    known = dict(zip(PAIRS["pair"][0], pair, strict=True))

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [
            known[text]
            if text in known
            else np.random.default_rng(list(text.encode())).standard_normal(pair.shape[1])
            for text in texts
        ]
        return np.array(rows, dtype=np.float32).reshape(len(texts), pair.shape[1])

    return encode


@pytest.fixture
def make_context() -> Callable[..., Context]:
    def make(pair: NDArray[Any], **facts: Any) -> Context:
        given: dict[str, Any] = {
            "id": "clip-of-the-test",
            "sha256": "a" * 64,
            "embed_dim": pair.shape[1],
            "vision_width": 8,
            "image_size": 8,
            "grid": (2, 2),
            "logit_scale": 100.0,
            "features": frozenset({"cls_embed"}),
            "vocabulary": "open",
            "preprocessing_sha256": "c" * 64,
            "resize": "shortest",
            "licence": "Apache-2.0",
            "description": "",
        }
        return Context(bundle=BundleInfo(**(given | facts)), encode_text=text_tower(pair))

    return make


@pytest.fixture
def make_detector(
    make_context: Callable[..., Context], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Inappropriate]:
    """A prepared detector: with class vectors (an array, or a file to import), or without."""

    def make(
        pair: NDArray[Any], vectors: Any = None, resize: str = "shortest", **options: Any
    ) -> Inappropriate:
        context = make_context(pair, resize=resize)
        detector = Inappropriate(InappropriateOptions(**options))
        if vectors is not None:
            folder = tmp_path_factory.mktemp("artefact")
            facts: dict[str, Any] = {"appropriate": 12, "inappropriate": 34}
            if isinstance(vectors, Path):
                file = read_vector_file(vectors)
                facts = {"imported": vectors.name, "file_sha256": file.sha256}
                vectors = file.vectors
            write_vectors(vectors, folder, bundle=context.bundle, facts=facts)
            detector.load(folder)
        detector.prepare(context)
        return detector

    return make


def batch_of(embeddings: NDArray[Any]) -> Batch:
    rows = embeddings.astype(np.float32)
    rows.flags.writeable = False
    pixels = np.zeros((8, 8, 3), np.uint8)
    return Batch(
        features={"cls_embed": rows},
        views=[View(pixels=pixels, box=(0, 0, 8, 8)) for _ in rows],
        queries=[[Query()] for _ in rows],
    )


def values(detector: Inappropriate, embeddings: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([scores[0].value for scores in detector.score(batch_of(embeddings))])
