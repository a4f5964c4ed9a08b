from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Query, View
from clipvet.detectors.clip import Bundle, BundleInfo, Runtime
from clipvet.plugins.clipn import Clipn, ClipnOptions

TESTS = Path(__file__).parents[2]
Arrays = Mapping[str, NDArray[Any]]


def arrays_of(name: str) -> Arrays:
    with np.load(TESTS / "golden" / name) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def golden() -> Arrays:
    return arrays_of("clipn.npz")


@pytest.fixture(scope="session")
def golden_mcm() -> Arrays:
    return arrays_of("mcm_glmcm.npz")


@pytest.fixture(scope="session")
def images() -> NDArray[np.uint8]:
    return arrays_of("images.npz")["images"]


@pytest.fixture(scope="session")
def prompts() -> list[str]:
    """What the golden text features were made from."""
    return [str(prompt) for prompt in arrays_of("open_clip_gelu.npz")["prompts"]]


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny", TESTS / "tiny.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: Any) -> Iterator[None]:
    """Text embeddings of tests have no place in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPVET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def bundle(tiny: ModuleType, tmp_path_factory: Any) -> Bundle:
    made: Bundle = tiny.tiny_bundle(
        tmp_path_factory.mktemp("clipn") / "tiny", tokenizer=tiny.openai_tokenizer()
    )
    return made


@pytest.fixture(scope="session")
def runtime(bundle: Bundle) -> Iterator[Runtime]:
    with Runtime(bundle, needs={"cls_embed", "local_embed"}, device="cpu", threads=1) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def no_state(tiny: ModuleType) -> dict[str, NDArray[np.float32]]:
    """The no-tower of the golden reference, by the rules of the golden README, section 1."""
    config = tiny.tiny_config(quick_gelu=False)
    state = {}
    for name, value in tiny.tiny_state(config).items():
        if name.startswith("visual.") or name == "logit_scale":
            continue
        stem, dot, rest = name.partition(".")
        state[f"{stem}_no{dot}{rest}"] = value.shape
    state["prompt_no"] = (16, 77, 64)
    return {name: parameter(name, shape) for name, shape in state.items()}


def parameter(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    z = np.random.default_rng(crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if name.endswith("bias"):
        factor: Any = 0.01
    elif "ln_" in name and name.endswith("weight"):
        return np.float32(1) + np.float32(0.05) * z
    elif "embedding" in name or name == "prompt_no":
        factor = 0.02
    elif name.startswith("text_projection"):
        factor = 1 / np.sqrt(shape[0])
    else:
        factor = 1 / np.sqrt(np.prod(shape[1:]))
    return z * np.float32(factor)


@pytest.fixture(scope="session")
def checkpoint_content(tiny: ModuleType, no_state: Any) -> dict[str, Any]:
    """What the original saves: both towers."""
    import torch

    state = {**tiny.tiny_state(tiny.tiny_config(quick_gelu=False)), **no_state}
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


@pytest.fixture
def checkpoint(checkpoint_content: dict[str, Any], tmp_path: Path) -> Path:
    import torch

    path = tmp_path / "epoch_10.pt"
    state = {f"module.{name}": value for name, value in checkpoint_content.items()}
    torch.save({"epoch": 10, "name": "run", "state_dict": state, "optimizer": {}}, path)
    return path


@pytest.fixture(scope="session")
def info(bundle: Bundle) -> BundleInfo:
    return replace(bundle.info, logit_scale=100.0)


@pytest.fixture(scope="session")
def table(golden: Arrays) -> Callable[[str], Callable[[Sequence[str]], NDArray[np.float32]]]:
    """Encoders that give a row of a golden table for the prompt "0", "1", ..."""

    def make(name: str) -> Callable[[Sequence[str]], NDArray[np.float32]]:
        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            return golden[name][[int(text) for text in texts]]

        return encode

    return make


class Tower:
    """Stands in for a no-tower whose embeddings are known."""

    origin = "golden no-tower"
    prompt_kind = "learned"

    def __init__(self, encode_text: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self.encode_text = encode_text

    def check(self, bundle: Any, *, embed_dim: int) -> None:
        """It fits."""


@pytest.fixture
def make_detector(info: BundleInfo, table: Any) -> Callable[..., Clipn]:
    """A detector whose classes are the rows "0" to "11" of the golden text features."""

    def make(encode: Any = None, **options: Any) -> Clipn:
        detector = Clipn(ClipnOptions(**{"templates": ("{}",), **options}))
        detector.no_tower_ = Tower(table("no_text_features"))  # type: ignore[assignment]
        detector.prepare(Context(bundle=info, encode_text=encode or table("yes_text_features")))
        return detector

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    def make(
        features: Arrays, classes: Sequence[str], images: Sequence[int] | None = None
    ) -> Batch:
        count = len(next(iter(features.values())))
        chosen = list(range(count) if images is None else images)
        arrays = {name: np.ascontiguousarray(array[chosen]) for name, array in features.items()}
        for array in arrays.values():
            array.flags.writeable = False
        pixels = np.zeros((96, 96, 3), np.uint8)
        return Batch(
            features=arrays,
            views=[View(pixels=pixels, box=(0, 0, 96, 96)) for _ in chosen],
            queries=[[Query(classes=tuple(classes))] for _ in chosen],
        )

    return make
