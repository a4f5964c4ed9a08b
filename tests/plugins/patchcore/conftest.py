from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import FEATURES, Batch, Context, Query, View
from clipvet.detectors.clip import BundleInfo
from clipvet.plugins.patchcore import PatchCore, PatchCoreOptions

GOLDEN = Path(__file__).parents[2] / "golden"
PAPER = {
    "spaces": ("hidden_2+trunk_16",),
    "neighbourhood": 3,
    "distance": "l2",
    "coreset": 0.1,
    "image_score": "reweighted",
}
Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="session")
def golden() -> Arrays:
    with np.load(GOLDEN / "patchcore.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def golden_features(golden: Arrays) -> Arrays:
    """8x8 cells behind a class token that must not be compared, and 4x4 without one."""
    fine = golden["fine"]
    features = {
        "hidden_2": np.concatenate([np.full_like(fine[:, :1], 50.0), fine], axis=1),
        "trunk_16": golden["coarse"],
    }
    for array in features.values():
        array.flags.writeable = False
    return features


@pytest.fixture
def make_batch(golden_features: Arrays) -> Callable[..., Batch]:
    def make(images: Sequence[int], features: Arrays = golden_features) -> Batch:
        pixels = np.zeros((64, 64, 3), np.uint8)
        return Batch(
            features={key: array[list(images)] for key, array in features.items()},
            views=[View(pixels=pixels, box=(0, 0, 64, 64)) for _ in images],
            queries=[[Query()] for _ in images],
        )

    return make


@pytest.fixture
def make_context() -> Callable[..., Context]:
    def make(sha256: str = "a" * 64) -> Context:
        bundle = BundleInfo(
            id="tiny-test",
            sha256=sha256,
            embed_dim=64,
            vision_width=12,
            image_size=64,
            grid=(8, 8),
            logit_scale=100.0,
            features=frozenset(FEATURES),
            vocabulary="open",
            preprocessing_sha256="c" * 64,
            resize="squash",
            licence="Apache-2.0",
            description="",
            trunk_grids={"trunk_16": (4, 4)},
        )
        return Context(
            bundle=bundle, encode_text=lambda prompts: np.zeros((len(prompts), 64), np.float32)
        )

    return make


@pytest.fixture
def make_detector(make_context: Callable[..., Context]) -> Callable[..., PatchCore]:
    """A prepared detector; as in the paper unless told otherwise."""

    def make(**options: Any) -> PatchCore:
        detector = PatchCore(PatchCoreOptions(**{**PAPER, **options}))
        detector.prepare(make_context())
        return detector

    return make
