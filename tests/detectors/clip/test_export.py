"""Exports against live open_clip and against an independent forward pass, same random weights."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors._features import VIT_FEATURES
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip.export import LoadedModel, RandomWeights, load_model
from tests.detectors.clip.reference import reference_features

PARITY = Path(__file__).parents[3] / "docs" / "parity.md"
PROMPTS = ["a photo of a bottle.", "a flawless metal nut", "", "x " * 100]
SMALL = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 56, "layers": 5, "width": 80, "head_width": 16, "patch_size": 14,
                   "mlp_ratio": 3.0},
    "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 48, "heads": 3, "layers": 2},
}  # fmt: skip


@dataclass(frozen=True)
class Parity:
    """Largest differences of one model."""

    model: str
    unit_image: float
    unit_text: float
    raw_image: float
    raw_text: float
    worst: tuple[float, str]
    weights_ratio: float
    half_cosine: float | None

    def check(self) -> None:
        assert self.unit_image <= 1e-4
        assert self.unit_text <= 1e-4
        assert self.raw_image <= 1e-5
        assert self.raw_text <= 1e-5
        assert self.worst[0] <= 1e-5, self.worst
        assert self.weights_ratio <= 1.02
        assert self.half_cosine is None or self.half_cosine >= 0.999


def compare(loaded: LoadedModel, torch_model: Any, folder: Path, *, half: bool) -> Parity:
    """Export, run both, and measure; ``torch_model`` gets the same parameters, strictly."""
    state = {name: torch.from_numpy(value) for name, value in loaded.state.items()}
    torch_model.load_state_dict(state, strict=True)
    torch_model.eval()
    size = loaded.image_size
    view = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    view = np.asarray(Image.fromarray(view).resize((7, 7)).resize((size, size)))
    context = loaded.config.text.context_length
    tokens = open_clip.tokenizer.SimpleTokenizer(context_length=context)(PROMPTS)

    bundle = loaded.export(folder / "fp32")
    features, text = encode(bundle, view, list(VIT_FEATURES))
    pixels = torch.from_numpy(preprocessed(view, bundle))
    with torch.inference_mode():
        image_ref = torch_model.encode_image(pixels).numpy()
        text_ref = torch_model.encode_text(tokens).numpy()
        start = bundle.manifest.vision.vv_start
        named = reference_features(loaded.config, state, pixels, start)
    assert set(named) == set(features) == set(VIT_FEATURES)
    differences = [(relative(features[n], value.numpy()), n) for n, value in named.items()]
    parameters = sum(value.size for value in loaded.state.values())
    ratio = (bundle.folder / "weights.bin").stat().st_size / (4 * parameters)
    shutil.rmtree(bundle.folder)
    cosine = None
    if half:
        bundle = loaded.export(folder / "fp16", precision="fp16")
        half_features, half_text = encode(bundle, view, ["cls_embed"])
        shutil.rmtree(bundle.folder)
        pairs = ((half_features["cls_embed"], image_ref), (half_text, text_ref))
        cosine = min(float((unit(a) * unit(b)).sum(-1).min()) for a, b in pairs)
    return Parity(
        model=loaded.name,
        unit_image=float(np.abs(unit(features["cls_embed"]) - unit(image_ref)).max()),
        unit_text=float(np.abs(unit(text) - unit(text_ref)).max()),
        raw_image=relative(features["cls_embed"], image_ref),
        raw_text=relative(text, text_ref),
        worst=max(differences),
        weights_ratio=ratio,
        half_cosine=cosine,
    )


def encode(
    bundle: Bundle, view: NDArray[np.uint8], needs: list[str]
) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.float32]]:
    with Runtime(bundle, needs=needs, batch_size=1) as runtime:
        return runtime.encode_views([view]), runtime.encode_text(PROMPTS)


def preprocessed(view: NDArray[np.uint8], bundle: Bundle) -> NDArray[np.float32]:
    settings = bundle.manifest.preprocessing
    mean, std = np.asarray(settings.mean, np.float32), np.asarray(settings.std, np.float32)
    x = (view.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None], dtype=np.float32)


def unit(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def relative(got: NDArray[Any], wanted: NDArray[Any]) -> float:
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_a_model_of_odd_sizes(tmp_path: Path, quick_gelu: bool) -> None:
    config = {**SMALL, "quick_gelu": quick_gelu}
    loaded = load_model("small", RandomWeights(seed=3), config=config)
    model = open_clip.model.CLIP(**config)
    compare(loaded, model, tmp_path, half=True).check()


def test_vit_b_32(tmp_path: Path) -> None:
    loaded = load_model("ViT-B-32", RandomWeights(seed=0))
    compare(loaded, open_clip.create_model("ViT-B-32"), tmp_path, half=False).check()


def test_the_check_sees_a_wrong_activation(tmp_path: Path) -> None:
    loaded = load_model("small", RandomWeights(seed=3), config=SMALL, activation="quickgelu")
    parity = compare(loaded, open_clip.model.CLIP(**SMALL), tmp_path, half=False)
    assert parity.raw_image > 1e-3
    assert parity.raw_text > 1e-3


def test_a_shallow_model_offers_only_what_it_has(tmp_path: Path) -> None:
    vision = {**SMALL["vision_cfg"], "layers": 2, "image_size": 28}  # type: ignore[dict-item]
    loaded = load_model("s", RandomWeights(seed=3), config={**SMALL, "vision_cfg": vision})
    bundle = loaded.export(tmp_path / "s")
    staged = {name for name in VIT_FEATURES if name.startswith(("hidden", "mid", "vv_stage"))}
    assert bundle.info.features == set(VIT_FEATURES) - staged - {"win3_embed"}
    view = np.zeros((28, 28, 3), np.uint8)
    features, _text = encode(bundle, view, sorted(bundle.info.features))
    assert all(np.isfinite(values).all() for values in features.values())


def test_weights_are_stored_once_and_files_are_listed(tmp_path: Path) -> None:
    loaded = load_model("small", RandomWeights(seed=3), config=SMALL)
    bundle = loaded.export(tmp_path / "small")
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"vision.onnx", "text.onnx", "text_embeds.onnx", "weights.bin",
                     "tokenizer.json", "manifest.json"}  # fmt: skip
    assert set(bundle.manifest.files) == names - {"manifest.json"}
    graphs = sum((bundle.folder / name).stat().st_size for name in names if name.endswith("onnx"))
    assert graphs < 0.5e6
    bundle.verify()


def test_the_same_export_twice_is_the_same_bundle(tmp_path: Path) -> None:
    loaded = load_model("small", RandomWeights(seed=3), config=SMALL)
    first = loaded.export(tmp_path / "a", name="small")
    second = loaded.export(tmp_path / "b", name="small")
    assert first.info.sha256 == second.info.sha256


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16", "ViT-B-16-quickgelu", "ViT-B-16-plus-240",
     "ViT-L-14", "ViT-L-14-quickgelu", "ViT-L-14-336", "ViT-L-14-336-quickgelu"],
)  # fmt: skip
def test_parity_of_the_usual_models(tmp_path: Path, name: str) -> None:
    loaded = load_model(name, RandomWeights(seed=0))
    parity = compare(loaded, open_clip.create_model(name), tmp_path, half=True)
    write_table(parity)
    parity.check()


def write_table(parity: Parity) -> None:
    """Put the row into docs/parity.md, in place of an earlier one of the same model."""
    head = [
        "# Parity with open_clip",
        "",
        "Written by `make test-slow`: each model with random weights, one image and four prompts,",
        "ONNX Runtime on the CPU against torch on the CPU, both float32. The worst feature is over",
        "all named outputs, against an independent pass in `tests/detectors/clip/reference.py`.",
        "Raw differences are max|d| / max|x|; unit ones are max|d| of unit-length embeddings;",
        "cosines are of the fp16 bundle's embeddings with torch's fp32 ones, the smallest.",
        "Promised: unit <= 1e-4, raw <= 1e-5, cosine >= 0.999, weights <= 1.02 x parameters.",
        "",
        "| model | unit image | unit text | raw image | raw text | worst feature | fp16 cosine | weights / parameters | date | with |",  # noqa: E501
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    with_ = (
        f"open_clip {version('open_clip_torch')}, torch {version('torch')}, "
        f"onnxruntime {version('onnxruntime')}, {platform.machine()}, {os.cpu_count()} cores"
    )
    row = (
        f"| {parity.model} | {parity.unit_image:.1e} | {parity.unit_text:.1e} "
        f"| {parity.raw_image:.1e} | {parity.raw_text:.1e} "
        f"| {parity.worst[0]:.1e} {parity.worst[1]} | {parity.half_cosine:.6f} "
        f"| {parity.weights_ratio:.4f} | {dt.datetime.now(dt.UTC).date()} | {with_} |"
    )
    old = PARITY.read_text("utf-8").splitlines() if PARITY.is_file() else []
    rows = {line.split("|")[1].strip(): line for line in old if line.startswith("| ViT")}
    rows[parity.model] = row
    PARITY.parent.mkdir(exist_ok=True)
    PARITY.write_text("\n".join([*head, *(rows[key] for key in sorted(rows))]) + "\n", "utf-8")
