from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Query, View
from clipvet.detectors.clip import Bundle, BundleInfo, Runtime
from clipvet.detectors.testing import FakeRuntime
from clipvet.plugins.anomalyclip import AnomalyClip, AnomalyClipOptions
from clipvet.plugins.anomalyclip._learned import Learned

TESTS = Path(__file__).parents[2]
Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="session")
def golden() -> Arrays:
    with np.load(TESTS / "golden" / "anomalyclip.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def images() -> NDArray[np.uint8]:
    with np.load(TESTS / "golden" / "images.npz") as arrays:
        pixels: NDArray[np.uint8] = arrays["images"]
    return pixels


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny", TESTS / "tiny.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bundle(tiny: ModuleType, tmp_path_factory: Any) -> Bundle:
    """The tiny CLIP with the local path where the golden reference has it: blocks 2 to 5."""
    folder = tmp_path_factory.mktemp("anomalyclip") / "tiny"
    made: Bundle = tiny.tiny_bundle(
        folder, quick_gelu=True, vv_start=2, tokenizer=tiny.openai_tokenizer()
    )
    return made


@pytest.fixture(scope="session")
def runtime(bundle: Bundle, tmp_path_factory: Any) -> Iterator[Runtime]:
    needs = {
        *("cls_raw", "cls_embed", "vv_local_embed", "mid_1", "mid_2", "mid_3"),
        *(f"vv_stage_{k}_embed" for k in range(1, 5)),
    }
    with Runtime(
        bundle,
        needs=needs,
        device="cpu",
        batch_size=4,
        threads=1,
        cache_folder=tmp_path_factory.mktemp("cache"),
    ) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def make_bundle_info(bundle: Bundle) -> Callable[..., BundleInfo]:
    def make(**changes: Any) -> BundleInfo:
        return replace(bundle.info, **{"vision_width": 64, **changes})

    return make


@pytest.fixture
def make_learned(golden: Arrays, make_bundle_info: Any) -> Callable[..., Learned]:
    """Golden prototypes; the projection is the identity, so image features stand for tokens."""

    def make(**changes: Any) -> Learned:
        facts: dict[str, Any] = {
            "bundle": make_bundle_info(),
            "prototypes": golden["text_features"],
            "projection": np.eye(64, dtype=np.float32),
            "temperature": 0.07,
            "origin": "golden prompts",
            "facts": {"source": "golden"},
        }
        return Learned(**{**facts, **changes})

    return make


@pytest.fixture(scope="session")
def golden_features(golden: Arrays) -> Arrays:
    rng = np.random.default_rng(0)
    local = golden["patch_features"][2]
    features = {
        "cls_raw": golden["image_features_raw"].copy(),
        "cls_embed": golden["image_features_raw"].copy(),
        "vv_local_embed": local.copy(),
        **{
            f"vv_stage_{k}_embed": (local + rng.standard_normal(local.shape)).astype(np.float32)
            for k in range(1, 5)
        },
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
def make_detector(make_learned: Any, make_bundle_info: Any) -> Callable[..., AnomalyClip]:
    def make(**options: Any) -> AnomalyClip:
        detector = AnomalyClip(AnomalyClipOptions(**options))
        if detector.options.variant == "anomalyclip":
            detector.learned_ = make_learned()
        detector.prepare(Context(bundle=make_bundle_info(), encode_text=encode_text))
        return detector

    return make


def encode_text(prompts: Sequence[str]) -> NDArray[np.float32]:
    """64 numbers for each prompt, from its words."""
    half = FakeRuntime().encode_text(prompts)
    return np.concatenate([half, np.roll(half, 1, axis=1) ** 2], axis=1)


@pytest.fixture
def checkpoint_content(golden: Arrays, tiny: ModuleType) -> dict[str, Any]:
    """What the original saves, from the golden prompts."""
    import torch

    tokens = golden["tokens"]
    table = tiny.tiny_state(tiny.tiny_config(quick_gelu=True))["token_embedding.weight"][tokens]
    state = {}
    for row, side in enumerate(("pos", "neg")):
        state[f"ctx_{side}"] = golden[f"learned_ctx_{side}"]
        state[f"token_prefix_{side}"] = table[None, row : row + 1, :1]
        state[f"token_suffix_{side}"] = table[None, row : row + 1, 13:]
        state[f"tokenized_prompts_{side}"] = tokens[None, row : row + 1].astype(np.int32)
    for index in (0, 1):
        state[f"compound_prompts_text.{index}"] = golden[f"learned_compound_prompts_text_{index}"]
        state[f"compound_prompt_projections.{index}.weight"] = np.ones((96, 64), np.float32)
        state[f"compound_prompt_projections.{index}.bias"] = np.ones(96, np.float32)
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


@pytest.fixture
def checkpoint(checkpoint_content: dict[str, Any], tmp_path: Path) -> Path:
    import torch

    path = tmp_path / "epoch_15.pth"
    torch.save({"prompt_learner": checkpoint_content}, path)
    return path
