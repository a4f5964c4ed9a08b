"""Loading: names, configs, what checkpoints must hold, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from clipvet.detectors.clip import Runtime
from clipvet.detectors.clip.export import RandomWeights, WeightsFile, load_model, parse_config
from clipvet.detectors.clip.export._load import model_config, pretrained_config
from clipvet.detectors.errors import UsageError
from tests.detectors.clip.small_model import CONFIG, Tensors, as_tensors, small_model


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return as_tensors(small_model(seed=5))


def load(tensors: Tensors, tmp_path: Path, config: Mapping[str, Any] = CONFIG) -> Any:
    save_file(tensors, tmp_path / "w.safetensors")
    weights = WeightsFile(path=tmp_path / "w.safetensors", label="a test")
    return load_model("small", weights, config=config)


def test_missing_left_over_and_misshapen_parameters_are_named(
    tensors: Tensors, tmp_path: Path
) -> None:
    broken = {k: v for k, v in tensors.items() if k != "visual.proj"}
    broken["adapter.weight"] = torch.ones(1)
    broken["text_projection"] = torch.ones(16, 17)
    with pytest.raises(UsageError) as caught:
        load(broken, tmp_path)
    told = str(caught.value)
    assert "lacks visual.proj" in told
    assert "has besides adapter.weight" in told
    assert "text_projection [16, 17] instead of [16, 16]" in told


def test_a_deeper_model_is_not_cut(tensors: Tensors, tmp_path: Path) -> None:
    vision = {**CONFIG["vision_cfg"], "layers": 1}
    with pytest.raises(UsageError, match=r"has besides .*resblocks\.1.* and \d+ more"):
        load(tensors, tmp_path, {**CONFIG, "vision_cfg": vision})


def test_weights_that_are_not_finite_are_named(tensors: Tensors, tmp_path: Path) -> None:
    huge = {**tensors, "visual.proj": torch.full((32, 16), 1e6)}
    loaded = load(huge, tmp_path)
    loaded.export(tmp_path / "full")
    with pytest.raises(
        UsageError, match=r"visual\.proj is not finite in float16.*--precision fp32"
    ):
        loaded.export(tmp_path / "half", precision="fp16")
    assert not (tmp_path / "half").exists()


def test_positions_of_another_size_are_fitted_as_open_clip_does(
    tensors: Tensors, tmp_path: Path
) -> None:
    vision = {**CONFIG["vision_cfg"], "image_size": 96}
    config = {**CONFIG, "vision_cfg": vision}
    loaded = load(tensors, tmp_path, config)
    bundle = loaded.export(tmp_path / "large")
    assert bundle.info.image_size == 96
    assert bundle.manifest.vision.position_interpolation == "bicubic-antialias"
    model = open_clip.model.CLIP(**config)
    open_clip.load_checkpoint(model, str(tmp_path / "w.safetensors"))
    view = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    transform = open_clip.image_transform(96, is_train=False)
    with torch.inference_mode():
        wanted = model.eval().encode_image(transform(Image.fromarray(view))[None]).numpy()
    with Runtime(bundle, needs=["cls_embed"]) as runtime:
        got = runtime.encode_views([view])["cls_embed"]
    assert np.abs(got - wanted).max() / np.abs(wanted).max() <= 1e-5


def test_facts_of_a_checkpoint_reach_the_manifest(tensors: Tensors, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "w.safetensors")
    weights = WeightsFile(
        path=tmp_path / "w.safetensors",
        label="tag test",
        revision="abc",
        licence="mit",
        stated={"mean": [0.5] * 3, "std": 0.5, "interpolation": "bilinear",
                "resize_mode": "squash", "quick_gelu": False},
    )  # fmt: skip
    loaded = load_model("small", weights, config=CONFIG)
    assert loaded.notes == ()
    manifest = loaded.export(tmp_path / "b", resize="longest", vv_start=1).manifest
    assert manifest.preprocessing.mean == manifest.preprocessing.std == (0.5, 0.5, 0.5)
    assert manifest.preprocessing.interpolation == "bilinear"
    assert manifest.preprocessing.resize == "longest"
    assert manifest.source.native_resize == "squash"
    assert manifest.source.weights == "tag test"
    assert manifest.source.revision == "abc"
    assert manifest.source.sha256 is not None
    assert len(manifest.source.sha256) == 64
    assert manifest.licence == "mit"
    assert manifest.vision.vv_start == 1
    assert str(tmp_path) not in manifest.model_dump_json()


def test_activation_and_its_mismatch(tensors: Tensors, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "w.safetensors")
    weights = WeightsFile(path=tmp_path / "w.safetensors", label="tag openai",
                          stated={"quick_gelu": True})  # fmt: skip
    followed = load_model("small", weights, config=CONFIG)
    assert followed.config.activation == "gelu"
    assert "activation mismatch: small is exported with gelu" in followed.notes[0]
    assert "--activation quickgelu" in followed.notes[0]
    chosen = load_model("small", weights, config=CONFIG, activation="quickgelu")
    assert chosen.config.activation == "quickgelu"
    assert chosen.notes == ()
    assert chosen.export(tmp_path / "q").manifest.activation == "quickgelu"


@pytest.mark.parametrize(
    ("name", "width", "layers", "size", "quick"),
    [
        ("ViT-B-32", 768, 12, 224, False), ("ViT-B-32-quickgelu", 768, 12, 224, True),
        ("ViT-B-16", 768, 12, 224, False), ("ViT-B-16-quickgelu", 768, 12, 224, True),
        ("ViT-B-16-plus-240", 896, 12, 240, False), ("ViT-L-14", 1024, 24, 224, False),
        ("ViT-L-14-quickgelu", 1024, 24, 224, True), ("ViT-L-14-336", 1024, 24, 336, False),
        ("ViT-L-14-336-quickgelu", 1024, 24, 336, True), ("ViT-B/16", 768, 12, 224, False),
    ],
)  # fmt: skip
def test_the_usual_models_are_known(
    name: str, width: int, layers: int, size: int, quick: bool
) -> None:
    config = parse_config(model_config(name))
    assert (config.vision.width, config.vision.layers, config.vision.image_size) == (
        width, layers, size,
    )  # fmt: skip
    assert config.quick_gelu is quick


def test_an_unknown_model_and_tag_name_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"knows no model 'ViT-B-33'; near: .*ViT-B-32"):
        model_config("ViT-B-33")
    with pytest.raises(UsageError, match="tags: laion400m_e31, laion400m_e32"):
        pretrained_config("ViT-B-16-plus-240", "openai")
    assert pretrained_config("ViT-B-32", "openai")["quick_gelu"] is True
    assert pretrained_config("ViT-B-16", "laion400m_e31")["quick_gelu"] is False


@pytest.mark.parametrize(
    "name",
    ["RN50", "convnext_base", "ViT-B-16-SigLIP", "coca_ViT-B-32", "EVA02-B-16", "MobileCLIP-B",
     "ViT-H-14-CLIPA", "ViT-L-14-worldwide", "xlm-roberta-base-ViT-B-32", "PE-Core-B-16"],
)  # fmt: skip
def test_other_architectures_are_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} "):
        load_model(name, RandomWeights(seed=0))


@pytest.mark.parametrize(
    "change",
    [
        {"vision_cfg": {**CONFIG["vision_cfg"], "norm_kwargs": {"eps": 1e-6}}},
        {"vision_cfg": {**CONFIG["vision_cfg"], "act_kwargs": {"approximate": "tanh"}}},
        {"text_cfg": {**CONFIG["text_cfg"], "no_causal_mask": True}},
        {"text_cfg": {**CONFIG["text_cfg"], "hf_tokenizer_name": "x/y"}},
        {"text_cfg": {**CONFIG["text_cfg"], "vocab_size": 1000}},
    ],
)
def test_settings_that_would_change_numbers_silently_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"not a plain ViT CLIP|its tokenizer is another one"):
        load_model("small", RandomWeights(seed=0), config={**CONFIG, **change})


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"vision_cfg": 3, "text_cfg": {}}', json.dumps(
        {"vision_cfg": {"layers": "two"}, "text_cfg": {}, "embed_dim": 4})],
)  # fmt: skip
def test_a_file_that_is_no_config(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(UsageError, match=r"c\.json") as caught:
        load_model("x", RandomWeights(seed=0), config=tmp_path / "c.json")
    assert "\n" not in str(caught.value)


def test_without_torch_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['open_clip'] = None\n"
        "from clipvet.detectors.clip.export import RandomWeights, load_model, read_checkpoint\n"
        "from clipvet.detectors.errors import MissingDependency\n"
        "from pathlib import Path\n"
        "for call in (lambda: load_model('ViT-B-32', RandomWeights(seed=0)),\n"
        "             lambda: read_checkpoint(Path('x.pt'))):\n"
        "    try:\n"
        "        call()\n"
        "    except MissingDependency as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("exporting a bundle needs torch and open_clip_torch, which is not")
    assert second.startswith("reading weights needs torch and open_clip_torch")
    assert "pip install 'clipvet[export]'" in first
