"""The convolutional trunk of the embedded bundle: its shapes, its bits, and its graph alone."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from clipvet.detectors import Host
from clipvet.detectors._features import FEATURES, TRUNK_FEATURES, VIT_FEATURES
from clipvet.detectors.clip import Bundle, Device, Runtime, find_bundle
from clipvet.detectors.clip._cpu_graph import cpu_graph
from clipvet.detectors.clip._cuda import UNWANTED, BoundSession
from clipvet.detectors.clip._device_graph import device_graph
from clipvet.detectors.clip._manifest import Manifest
from clipvet.detectors.clip._preprocess import squares
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import PixelBatch, inference_session, session_options
from clipvet.detectors.errors import UsageError

Views = list[NDArray[np.uint8]]

# Of `mini` as it was before it had a trunk: all ViT features, and the weights that they use.
VIT_GRAPH = "16866ef4ad32af680b08ad5aefdd890a4db9a54e0416f3360442899fec20a8ef"
VIT_WEIGHTS = "1867eab34e32a776d7a4dd269d2d567f0cf052c2a6dd32608fb53dbfdeb16c1d"


@pytest.fixture(scope="module")
def mini() -> Bundle:
    return find_bundle(None, Host.load(select="").bundles)


@pytest.fixture(scope="module")
def views() -> Views:
    """Noise, extremes and odd shapes: eleven, so that no batch size divides them."""
    rng = np.random.default_rng(0)
    sides = [(192, 192), (40, 90), (200, 96), (1, 1), (300, 10)]
    noise = [rng.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
    flat = [np.full((192, 192, 3), value, np.uint8) for value in (0, 127, 255)]
    striped = np.zeros((192, 192, 3), np.uint8)
    striped[::2] = 255
    return [*noise, *flat, striped, striped.swapaxes(0, 1).copy(), 255 - noise[0]]


def encode(
    bundle: Bundle,
    views: Views,
    needs: Collection[str] = tuple(TRUNK_FEATURES),
    device: Device = "cpu",
    **settings: Any,
) -> dict[str, NDArray[np.float32]]:
    with Runtime(bundle, needs=needs, device=device, **settings) as runtime:
        return runtime.encode_views(views)


def nodes(bundle: Bundle, needs: Collection[str]) -> list[onnx.NodeProto]:
    graph = pruned_graph(bundle.folder / "vision.onnx", needs)
    return list(onnx.load_from_string(graph).graph.node)


def test_it_gives_finite_standardised_cells_of_the_shapes_that_are_declared(
    mini: Bundle, views: Views
) -> None:
    found = encode(mini, views)
    assert {name: values.shape[1:] for name, values in found.items()} == {
        name: mini.manifest.features[name] for name in TRUNK_FEATURES
    }
    for name, values in found.items():
        rows, columns = mini.info.feature_grid(name)
        assert values.shape[1] == rows * columns
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert np.abs(values).max() < 100, name
        assert 0.2 < values.std() < 5, name
    assert mini.info.feature_grid("trunk_8")[0] >= 28


def test_rows_and_columns_lie_as_in_the_picture(mini: Bundle) -> None:
    grey = np.full((192, 192, 3), 127, np.uint8)
    marked = grey.copy()
    marked[32:48, 120:136] = 255  # its centre at 5/24 of the height, 16/24 of the width
    plain, other = encode(mini, [grey, marked])["trunk_8"]
    rows, columns = mini.info.feature_grid("trunk_8")
    changed = np.abs(plain - other).sum(axis=1).reshape(rows, columns)
    weights = changed / changed.sum()
    assert (weights.sum(axis=1) @ (np.arange(rows) + 0.5)) / rows == pytest.approx(5 / 24, abs=0.02)
    assert (weights.sum(axis=0) @ (np.arange(columns) + 0.5)) / columns == pytest.approx(
        16 / 24, abs=0.02
    )


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_bits_do_not_depend_on_batch_mates_threads_or_order(
    mini: Bundle, views: Views, device: Device
) -> None:
    if device == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed")
    wanted = encode(mini, views, device=device, threads=1)
    order = np.random.default_rng(1).permutation(len(views))
    for batch_size, threads in itertools.product((1, 3, 8), (1, 2)):
        settings = {"batch_size": batch_size, "threads": threads}
        mixed = encode(mini, [views[i] for i in order], TRUNK_FEATURES, device, **settings)
        for name, values in wanted.items():
            np.testing.assert_array_equal(mixed[name], values[order], err_msg=f"{settings}")


def test_bits_do_not_depend_on_what_else_is_asked_for(mini: Bundle, views: Views) -> None:
    both = encode(mini, views[:3], ["hidden_4", "cls_embed", *TRUNK_FEATURES])
    apart = encode(mini, views[:3]) | encode(mini, views[:3], ["hidden_4", "cls_embed"])
    for name, values in both.items():
        np.testing.assert_array_equal(values, apart[name], err_msg=name)


def test_the_trunk_alone_computes_nothing_of_the_vit_and_the_other_way_round(mini: Bundle) -> None:
    trunk, vit = nodes(mini, TRUNK_FEATURES), nodes(mini, VIT_FEATURES)
    named = {node.name for node in trunk}
    assert {node.op_type for node in trunk} == {
        "Add", "Cast", "Clip", "Conv", "Identity", "Mul", "Reshape", "Resize", "Transpose"
    }  # fmt: skip
    assert not named & {node.name for node in vit}
    assert len(nodes(mini, FEATURES)) == len(trunk) + len(vit)
    assert len(nodes(mini, ["trunk_8"])) < len(trunk)


def test_the_vit_is_that_of_before_byte_for_byte(mini: Bundle) -> None:
    graph = pruned_graph(mini.folder / "vision.onnx", VIT_FEATURES)
    assert hashlib.sha256(graph).hexdigest() == VIT_GRAPH
    assert mini.manifest.files["weights.bin"].sha256 == VIT_WEIGHTS


def test_onnxruntime_fuses_every_relu6_into_its_convolution(mini: Bundle, tmp_path: Path) -> None:
    graph = cpu_graph(pruned_graph(mini.folder / "vision.onnx", TRUNK_FEATURES))
    options = session_options(mini.folder, 1)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    inference_session(graph, options, ["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx").graph.node
    found = Counter((node.domain, node.op_type) for node in optimised)
    assert found["", "Clip"] == found["", "Conv"] == 0
    assert found["com.microsoft.nchwc", "Conv"] == 33


@pytest.mark.parametrize("fuse", [False, True])
def test_the_graph_for_accelerators_computes_the_same_in_halves(
    mini: Bundle, views: Views, fuse: bool
) -> None:
    rows = len(views)
    batch = PixelBatch(rows=rows, preprocessing=mini.manifest.preprocessing, weights="")
    graph = pruned_graph(mini.folder / "vision.onnx", TRUNK_FEATURES)
    model = device_graph(graph, batch, fuse=fuse)
    kinds = {node.op_type for node in onnx.load_from_string(model).graph.node}
    assert "Cast" in kinds
    inner = inference_session(
        model, session_options(mini.folder, 1), ["CPUExecutionProvider"], without=UNWANTED
    )
    session = BoundSession(inner, worker=ThreadPoolExecutor(1), device="cpu")
    found = session.run({"pixel_values": squares(views, mini.manifest.preprocessing)})
    for name, values in encode(mini, views).items():
        error = np.sqrt(np.mean((found[name] - values) ** 2))
        assert error < 0.02 * values.std(), name


def test_openvino_gives_the_same_numbers(mini: Bundle, views: Views) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    wanted, found = encode(mini, views), encode(mini, views, device="openvino")
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


def test_the_table_says_where_a_class_token_stands(mini: Bundle) -> None:
    grid = mini.info.grid[0] * mini.info.grid[1]
    for name, shape in mini.manifest.features.items():
        tokens = FEATURES[name].tokens
        assert (len(shape) == 1) == (tokens == "class"), name
        if tokens in {"grid", "class+grid"}:
            rows, columns = mini.info.feature_grid(name)
            assert shape[0] == rows * columns + (tokens == "class+grid"), name
        else:
            with pytest.raises(UsageError, match=f"feature {name} has no grid"):
                mini.info.feature_grid(name)
    assert mini.info.feature_grid("hidden_4") == mini.info.grid
    assert mini.manifest.features["patch_embed"][0] == grid


def test_a_manifest_without_a_trunk_is_read_and_written_as_before(gelu: Bundle) -> None:
    text = (gelu.folder / "manifest.json").read_text("utf-8")
    assert '"trunk"' not in text
    assert Manifest.model_validate_json(text).trunk is None
    assert gelu.info.trunk_grids == {}


@pytest.mark.parametrize(
    "strides", [{"trunk_8": 16}, {"nose": 8}, {"hidden_4": 8}, {"trunk_8": 900}]
)
def test_a_trunk_that_contradicts_the_features_is_refused(
    mini: Bundle, strides: dict[str, int]
) -> None:
    content = mini.manifest.model_dump(by_alias=True)
    content["trunk"]["strides"] = strides
    with pytest.raises(ValidationError, match="its trunk has"):
        Manifest.model_validate(content)
