"""The graph as it runs on a CPU: the same bits as the graph of the bundle, with less work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from clipvet.detectors._features import VIT_FEATURES
from clipvet.detectors.clip import Bundle, Runtime, _window_scan
from clipvet.detectors.clip._cpu_graph import cpu_graph, read_rows_model
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip.export import RandomWeights, load_model

WINDOWS = ["cls_embed", "win2_embed", "win3_embed", "hidden_4"]
NEEDS = (["cls_embed"], ["cls_raw"], ["cls_embed", "cls_raw"], ["cls_embed", "win2_embed"],
         WINDOWS, ["local_embed"], sorted(VIT_FEATURES))  # fmt: skip


def run(graph: bytes, folder: Path, views: int = 3) -> list[NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder)
    )
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    side = session.get_inputs()[0].shape[2]
    pixels = np.random.default_rng(0).standard_normal((views, 3, side, side), dtype=np.float32)
    return list(session.run(None, {"pixel_values": pixels}))


def shapes(graph: bytes) -> dict[str, list[int]]:
    """Of every value whose sizes follow from one view."""
    model = onnx.load_from_string(graph)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in model.graph.value_info}  # fmt: skip


def product_shapes(graph: bytes, weight: str) -> list[list[int]]:
    """Shapes of the products with the weight of this name, once unread rows are cut out."""
    model = read_rows_model(graph)
    known = shapes(model.SerializeToString())
    return [
        known[node.output[0]]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1].partition("/")[0] == weight
    ]


@pytest.mark.parametrize("needs", NEEDS, ids=lambda names: f"{len(names)}-{names[0]}")
@pytest.mark.parametrize("quick_gelu", [False, True])
def test_no_bit_changes(bundles: Any, needs: list[str], quick_gelu: bool) -> None:
    bundle = bundles(quick_gelu=quick_gelu)
    plain = pruned_graph(bundle.folder / "vision.onnx", needs)
    fast = cpu_graph(plain)
    for got, wanted in zip(run(fast, bundle.folder), run(plain, bundle.folder), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_last_block_works_for_the_rows_that_are_read(gelu: Bundle) -> None:
    path, last = gelu.folder / "vision.onnx", "visual.transformer.resblocks.5.{}.weight_t"
    alone = pruned_graph(path, ["cls_embed"])
    tokens = 1 + gelu.manifest.vision.grid**2
    for name in ("mlp.c_fc", "mlp.c_proj", "attn.out_proj"):
        assert [s[1] for s in product_shapes(alone, last.format(name))] == [2]
    # Keys and values are those of all tokens, and so is every block before.
    qkv = product_shapes(alone, last.format("attn.in_proj"))
    assert [shape[1] for shape in qkv] == [2, tokens, tokens]
    assert product_shapes(alone, last.format("mlp.c_fc").replace("5.", "4."))[0][1] == tokens
    with_patches = pruned_graph(path, ["cls_embed", "patch_embed"])
    assert product_shapes(with_patches, last.format("mlp.c_fc"))[0][1] == tokens


def test_an_uneven_split_stays(gelu: Bundle) -> None:
    """A bundle's graph may hold what the exporters do not write."""
    model = onnx.load_from_string(pruned_graph(gelu.folder / "vision.onnx", ["cls_embed"]))
    splits = [node for node in model.graph.node if node.op_type == "Split"]
    assert splits
    for split in splits:
        size = gelu.manifest.vision.width
        sizes = np.array([size, size, size], np.int64)
        model.graph.initializer.append(onnx.numpy_helper.from_array(sizes, f"{split.name}/sizes"))
        split.input.append(f"{split.name}/sizes")
        del split.attribute[:]
        split.attribute.append(onnx.helper.make_attribute("axis", -1))
    plain = model.SerializeToString()
    fast = cpu_graph(plain)
    kept = [node.op_type for node in onnx.load_from_string(fast).graph.node]
    assert kept.count("Split") == len(splits)
    for got, wanted in zip(run(fast, gelu.folder), run(plain, gelu.folder), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("cache", "scanned"),
    [
        ("512K", ["window_2", "window_3"]),
        ("odd", ["window_2"]),
        (None, ["window_2"]),
        ("2048K", []),
    ],
)
def test_windows_run_in_portions(
    tmp_path: Path, cache: str | None, scanned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Portions follow the cache of the processor, numbers do not. What fits whole is no Scan.
    size = tmp_path / "size"
    if cache is not None:
        size.write_text(f"{cache}\n")
    monkeypatch.setattr(_window_scan, "_CACHE", size)
    _window_scan._rows.cache_clear()
    monkeypatch.setattr(_window_scan, "_rows", _window_scan._rows.__wrapped__)
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 240, "layers": 2, "width": 32, "head_width": 16,
                       "patch_size": 16},
        "text_cfg": {"width": 32, "heads": 2, "layers": 1},
    }  # fmt: skip
    bundle = load_model("w", RandomWeights(seed=0), config=config).export(tmp_path / "w")
    plain = pruned_graph(bundle.folder / "vision.onnx", ["win2_embed", "win3_embed"])
    fast = cpu_graph(plain)
    nodes = onnx.load_from_string(fast).graph.node
    scans = [node for node in nodes if node.op_type == "Scan"]
    assert [scan.input[0].removesuffix("_tokens") for scan in scans] == scanned
    for scan in scans:
        assert "BiasGelu" in {node.op_type for node in scan.attribute[0].g.node}
    for views in (1, 3):
        wanted = run(plain, bundle.folder, views)
        for got, values in zip(run(fast, bundle.folder, views), wanted, strict=True):
            np.testing.assert_array_equal(got, values)


def test_other_needs_do_not_change_a_bit_at_the_width_of_a_real_model(tmp_path: Path) -> None:
    config = {
        "embed_dim": 512,
        "vision_cfg": {"image_size": 224, "layers": 3, "width": 768, "patch_size": 16},
        "text_cfg": {"width": 64, "heads": 2, "layers": 1},
    }
    bundle = load_model("wide", RandomWeights(seed=0), config=config).export(tmp_path / "wide")
    views = list(np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8))
    found = []
    for needs, threads in ((["cls_embed"], 1), (["cls_embed"], 2), (["cls_embed", "cls_raw"], 2),
                           (["cls_embed", "patch_tokens"], 2)):  # fmt: skip
        with Runtime(bundle, needs=needs, threads=threads) as runtime:
            found.append(runtime.encode_views(views)["cls_embed"])
            found.append(np.concatenate([runtime.encode_views([v])["cls_embed"] for v in views]))
    for values in found[1:]:
        np.testing.assert_array_equal(values, found[0])
