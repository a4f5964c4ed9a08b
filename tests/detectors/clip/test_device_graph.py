"""The graph that an accelerator gets computes what the bundle's own graph computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from clipvet.detectors._features import VIT_FEATURES
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip._cuda import UNWANTED, BoundSession
from clipvet.detectors.clip._device_graph import device_graph
from clipvet.detectors.clip._preprocess import squares
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import PixelBatch, inference_session, session_options

Views = list[NDArray[np.uint8]]
ROWS = 6


def made_over(
    bundle: Bundle, needs: Collection[str], *, fuse: bool, rows: int = ROWS
) -> onnx.ModelProto:
    batch = PixelBatch(rows=rows, preprocessing=bundle.manifest.preprocessing, weights="")
    graph = pruned_graph(bundle.folder / "vision.onnx", needs)
    return onnx.load_from_string(device_graph(graph, batch, fuse=fuse))


def run(bundle: Bundle, model: onnx.ModelProto, views: Views) -> dict[str, NDArray[np.float32]]:
    inner = inference_session(
        model.SerializeToString(),
        session_options(bundle.folder, 2),
        ["CPUExecutionProvider"],
        without=UNWANTED,
    )
    session = BoundSession(inner, worker=ThreadPoolExecutor(1), device="cpu")
    return session.run({"pixel_values": squares(views, bundle.manifest.preprocessing)})


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("fuse", [False, True])
def test_every_feature_in_float32(
    bundles: Callable[..., Bundle], images: Views, quick_gelu: bool, fuse: bool
) -> None:
    bundle = bundles(quick_gelu=quick_gelu)
    with Runtime(bundle, needs=VIT_FEATURES, device="cpu", batch_size=ROWS) as runtime:
        wanted = runtime.encode_views(images)
    got = run(bundle, made_over(bundle, list(VIT_FEATURES), fuse=fuse), images)
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        near = 5e-6 * np.abs(values).max()
        np.testing.assert_allclose(got[name], values, atol=near, err_msg=name)


def test_normalisation_in_the_graph_is_that_of_numpy_bit_for_bit(
    gelu: Bundle, images: Views
) -> None:
    model = made_over(gelu, ["cls_embed"], fuse=False)
    with Runtime(gelu, needs=["cls_embed"], device="cpu", batch_size=ROWS) as runtime:
        wanted = runtime.encode_views(images)["cls_embed"]
    np.testing.assert_array_equal(run(gelu, model, images)["cls_embed"], wanted)


@pytest.mark.parametrize("fuse", [False, True])
def test_halves_stay_near_float32(
    bundles: Callable[..., Bundle], images: Views, fuse: bool
) -> None:
    bundle = bundles(precision="fp16")
    model = made_over(bundle, list(VIT_FEATURES), fuse=fuse)
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    # One of the pixels, one to halves, one for each output: no weight is cast up.
    assert len(casts) == 2 + len(VIT_FEATURES)
    with Runtime(bundle, needs=VIT_FEATURES, device="cpu", batch_size=ROWS) as runtime:
        wanted = runtime.encode_views(images)
    got = run(bundle, model, images)
    for name, values in wanted.items():
        assert got[name].dtype == np.float32
        products = (got[name] * values).sum(axis=-1)
        lengths = np.linalg.norm(got[name], axis=-1) * np.linalg.norm(values, axis=-1)
        assert (products / lengths).min() > 0.9999, name
        assert np.abs(got[name] - values).max() > 0  # halves did compute it


def test_a_float32_bundle_is_not_rounded(gelu: Bundle) -> None:
    model = made_over(gelu, ["cls_embed"], fuse=True)
    types = {one.data_type for one in model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in types
    assert operators(model)["Cast"] == 1  # of the pixels


def test_an_unknown_operator_keeps_float32(bundles: Callable[..., Bundle], images: Views) -> None:
    # Kernels for other types (int8, say) are not ours to judge: such a graph is cast up as ever.
    bundle = bundles(precision="fp16")
    graph = onnx.load_from_string(pruned_graph(bundle.folder / "vision.onnx", ["cls_embed"]))
    graph.graph.node[-1].op_type = "Abs"
    batch = PixelBatch(rows=ROWS, preprocessing=bundle.manifest.preprocessing, weights="")
    made = onnx.load_from_string(device_graph(graph.SerializeToString(), batch, fuse=True))
    assert operators(made)["Cast"] > 10
    assert (run(bundle, made, images)["cls_embed"] >= 0).all()


def test_what_is_fused(gelu: Bundle) -> None:
    before = operators(made_over(gelu, ["patch_embed", "win2_embed"], fuse=False))
    after = operators(made_over(gelu, ["patch_embed", "win2_embed"], fuse=True))
    # Six blocks of the tower and six over windows; ln_pre and the first norm of each have no sum.
    assert before["Softmax"] == after["MultiHeadAttention"] == 12
    assert after["Softmax"] == 0
    assert after["SkipLayerNormalization"] == before["LayerNormalization"] - 2
    assert after["LayerNormalization"] == 2
    assert before["Gelu"] == after["Gelu"]
    model = made_over(gelu, ["cls_embed"], fuse=True)
    assert {node.domain for node in model.graph.node if node.op_type == "Gelu"} == {"com.microsoft"}


def test_masked_attention_is_left_alone(gelu: Bundle) -> None:
    from clipvet.detectors.clip._fusions import fuse_nodes

    model = onnx.load_from_string(pruned_graph(gelu.folder / "text.onnx", ["text_embed"]))
    softmaxes = operators(model)["Softmax"]
    fuse_nodes(model)
    assert operators(model)["Softmax"] == softmaxes > 0


@pytest.mark.parametrize("fuse", [False, True])
def test_no_node_computes_shapes(gelu: Bundle, fuse: bool) -> None:
    # They would run on the CPU, and a CUDA graph could not be captured around a copy.
    inner: Any = inference_session(
        made_over(gelu, list(VIT_FEATURES), fuse=fuse).SerializeToString(),
        session_options(gelu.folder, 2),
        ["CPUExecutionProvider"],
    )
    placement = BoundSession(inner, worker=ThreadPoolExecutor(1), device="cpu").placement
    if placement is None:
        pytest.skip("this onnxruntime does not tell which nodes it runs")
    assert not {"Shape", "Expand", "ConstantOfShape"} & set(placement["CPUExecutionProvider"])
