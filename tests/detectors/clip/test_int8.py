"""Bundles in int8: near the ones in fp32, and as free of batch mates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from clipvet.detectors._features import VIT_FEATURES
from clipvet.detectors.clip import Bundle, Runtime, _int8_graph
from clipvet.detectors.clip._cpu_graph import cpu_graph
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip.export import RandomWeights, load_model
from clipvet.detectors.errors import UsageError

NEEDS = ["cls_embed", "patch_embed", "win2_embed", "win3_embed", "vv_local_embed", "hidden_4"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    """The same random weights in fp32 and in int8, at the width of a real model."""
    folder = tmp_path_factory.mktemp("int8")
    config = {
        "embed_dim": 256,
        "vision_cfg": {"image_size": 224, "layers": 4, "width": 512, "patch_size": 32},
        "text_cfg": {"width": 64, "heads": 2, "layers": 1},
    }
    loaded = load_model("wide", RandomWeights(seed=0), config=config)
    return loaded.export(folder / "fp32"), loaded.export(folder / "int8", precision="int8")


@pytest.fixture(scope="module")
def views() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    noise = list(rng.integers(0, 256, (6, 224, 224, 3), dtype=np.uint8))
    # Dull and glaring mates: whatever shared a scale with them would move.
    return [*noise, np.zeros((224, 224, 3), np.uint8), np.full((224, 224, 3), 255, np.uint8)]


def encode(
    bundle: Bundle, views: Any, needs: Sequence[str] = NEEDS, **options: Any
) -> Mapping[str, NDArray[np.float32]]:
    with Runtime(bundle, needs=needs, device="cpu", **options) as runtime:
        return runtime.encode_views(views)


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 2), (2, 1), (3, 1), (5, 1), (8, 1)])
def test_a_view_does_not_feel_its_batch_mates(
    pair: Any, views: Any, batch_size: int, threads: int
) -> None:
    _fp32, int8 = pair
    wanted = encode(int8, views, batch_size=1, threads=1)
    got = encode(int8, views, batch_size=batch_size, threads=threads)
    backwards = encode(int8, views[::-1], batch_size=batch_size, threads=threads)
    for name, values in wanted.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)
        np.testing.assert_array_equal(backwards[name][::-1], values, err_msg=name)


def test_embeddings_stay_near(pair: Any, views: Any) -> None:
    fp32, int8 = (encode(bundle, views) for bundle in pair)
    for name, values in fp32.items():
        product = (values * int8[name]).sum(-1)
        lengths = np.linalg.norm(values, axis=-1) * np.linalg.norm(int8[name], axis=-1)
        cosines = product / lengths
        assert cosines.min() > 0.998, name
        assert not (cosines == 1).all(), name  # integers did the work


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_both_kinds_of_gelu_stay_near(quick_gelu: bool, views: Any, tmp_path: Path) -> None:
    """What follows them is not searched for its least value, which is known."""
    config = {
        "embed_dim": 64,
        "quick_gelu": quick_gelu,
        "vision_cfg": {"image_size": 224, "layers": 2, "width": 128, "patch_size": 32},
        "text_cfg": {"width": 64, "heads": 2, "layers": 1},
    }
    loaded = load_model("narrow", RandomWeights(seed=0), config=config)
    loaded.export(tmp_path / "fp32")
    loaded.export(tmp_path / "int8", precision="int8")
    fp32, int8 = (
        encode(Bundle.open(tmp_path / name), views, ["patch_tokens"])["patch_tokens"]
        for name in ("fp32", "int8")
    )
    cosines = (fp32 * int8).sum(-1) / np.linalg.norm(fp32, axis=-1) / np.linalg.norm(int8, axis=-1)
    assert cosines.min() > 0.998
    graph = pruned_graph(tmp_path / "int8" / "vision.onnx", ["cls_embed"])
    made = [node.op_type for node in onnx.load_from_string(cpu_graph(graph)).graph.node]
    assert made.count("ReduceMax") - made.count("ReduceMin") == 2


def test_without_exact_integers_the_weights_are_dequantised(
    pair: Any, views: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fp32, int8 = pair
    wanted = encode(int8, views[:2])
    monkeypatch.setattr(_int8_graph, "int8_is_exact", lambda: False)
    got = encode(int8, views[:2])
    for name, values in wanted.items():
        assert np.abs(got[name] - values).max() / np.abs(values).max() < 0.1, name
        assert (got[name] != values).any(), name


def test_every_feature_comes_out(tmp_path: Path, views: Any) -> None:
    config = {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 56, "layers": 5, "width": 80, "head_width": 16,
                       "patch_size": 14},
        "text_cfg": {"width": 48, "heads": 3, "layers": 2},
    }  # fmt: skip
    loaded = load_model("s", RandomWeights(seed=3), config=config, activation="quickgelu")
    bundle = loaded.export(tmp_path / "s", precision="int8")
    with Runtime(bundle, needs=VIT_FEATURES) as runtime:
        assert all(np.isfinite(v).all() for v in runtime.encode_views(views).values())


def test_size_and_weights(pair: Any) -> None:
    fp32, int8 = pair
    names = [f"visual.transformer.resblocks.{k}.mlp.c_fc.weight_t" for k in range(4)]
    stored = int8.weights("vision", names)
    assert sorted(stored) == names
    for name, values in fp32.weights("vision", names).items():
        step = np.abs(values).max(axis=0) / 127
        assert (np.abs(stored[name] - values) <= step * 0.51).all()
    whole, part = fp32.weights("vision"), int8.weights("vision")
    assert set(whole) == set(part)
    assert int8.manifest.precision == "int8"
    blocks = sum(v.nbytes for name, v in whole.items() if name.endswith("weight_t"))
    saved = [(b.folder / "weights.bin").stat().st_size for b in pair]
    assert saved[0] - saved[1] > 0.7 * blocks


def test_a_damaged_weight_is_named(tmp_path: Path) -> None:
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8,
                       "patch_size": 16},
        "text_cfg": {"width": 16, "heads": 2, "layers": 1},
    }  # fmt: skip
    loaded = load_model("s", RandomWeights(seed=3), config=config)
    name = "visual.transformer.resblocks.0.mlp.c_fc.weight"
    loaded.state[name][0, 0] = np.nan
    with pytest.raises(UsageError, match=r"resblocks\.0\.mlp\.c_fc.* is not finite"):
        loaded.export(tmp_path / "bad", precision="int8")
