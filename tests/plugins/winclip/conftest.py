from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Query, View
from clipvet.detectors.clip import BundleInfo
from clipvet.plugins.winclip import WinClip, WinClipOptions
from clipvet.plugins.winclip._prompts import ensemble

GOLDEN = Path(__file__).parents[2] / "golden"
Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="session")
def golden() -> Arrays:
    with np.load(GOLDEN / "winclip.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def golden_features(golden: Arrays) -> Arrays:
    patches = golden["patch_embeddings"]
    features = {
        "cls_embed": golden["image_embeddings"],
        "win2_embed": golden["window_embeddings_scale2"],
        "win3_embed": golden["window_embeddings_scale3"],
        "patch_tokens": patches,
        # A class token that must not be compared: far from every patch.
        "hidden_4": np.concatenate([np.full_like(patches[:, :1], 50.0), patches], axis=1),
    }
    for array in features.values():
        array.flags.writeable = False
    return features


@pytest.fixture
def make_batch(golden_features: Arrays) -> Callable[..., Batch]:
    def make(
        images: Sequence[int], name: str | None = None, features: Arrays = golden_features
    ) -> Batch:
        pixels = np.zeros((96, 96, 3), np.uint8)
        return Batch(
            features={key: array[list(images)] for key, array in features.items()},
            views=[View(pixels=pixels, box=(0, 0, 96, 96)) for _ in images],
            queries=[[Query(object=name)] for _ in images],
        )

    return make


@pytest.fixture
def encode_text(golden: Arrays) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Gives each prompt of a golden class that class's golden mean: its mean is that again."""
    known: dict[str, NDArray[np.float32]] = {}
    for name, pair in zip(golden["class_names"], golden["text_embeddings"], strict=True):
        for templates in (22, 21):
            for prompts, embedding in zip(ensemble(str(name), templates), pair, strict=True):
                known |= dict.fromkeys(prompts, embedding)

    def encode(prompts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([known[prompt] for prompt in prompts])

    return encode


@pytest.fixture
def make_context(encode_text: Any) -> Callable[..., Context]:
    def make(grid: tuple[int, int] = (6, 6), sha256: str = "a" * 64, **given: Any) -> Context:
        bundle = BundleInfo(
            id="tiny-test",
            sha256=sha256,
            embed_dim=64,
            vision_width=96,
            image_size=96,
            grid=grid,
            logit_scale=100.0,
            features=WinClip.needs,
            vocabulary="open",
            preprocessing_sha256="c" * 64,
            resize="squash",
            licence="Apache-2.0",
            description="",
        )
        return Context(bundle=bundle, **{"encode_text": encode_text, **given})

    return make


@pytest.fixture
def make_detector(make_context: Callable[..., Context]) -> Callable[..., WinClip]:
    def make(**options: Any) -> WinClip:
        detector = WinClip(WinClipOptions(**options))
        detector.prepare(make_context())
        return detector

    return make
