from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from clipvet.detectors.clip import Bundle, open_session
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.errors import BundleError


def nodes(graph: bytes) -> int:
    return len(onnx.load_from_string(graph).graph.node)


def test_fewer_outputs_make_a_smaller_graph(gelu: Bundle) -> None:
    path = gelu.folder / "vision.onnx"
    everything = pruned_graph(path, gelu.info.features)
    with_windows = pruned_graph(path, ["cls_embed", "win2_embed"])
    plain = pruned_graph(path, ["cls_embed"])
    early = pruned_graph(path, ["hidden_1"])
    assert nodes(everything) == len(onnx.load(path, load_external_data=False).graph.node)
    assert nodes(early) < nodes(plain) < nodes(with_windows) < nodes(everything)
    kept = {tensor.name for tensor in onnx.load_from_string(early).graph.initializer}
    assert not [name for name in kept if "resblocks.5" in name or name == "visual.proj"]


def test_a_pruned_graph_is_valid_and_gives_the_same_bits(gelu: Bundle, tmp_path: Path) -> None:
    shutil.copy(gelu.folder / "weights.bin", tmp_path)
    path = gelu.folder / "vision.onnx"
    pixels = np.random.default_rng(0).standard_normal((2, 3, 96, 96), dtype=np.float32)
    whole = open_session(pruned_graph(path, gelu.info.features), gelu.folder)
    reference = whole.run({"pixel_values": pixels})
    for name in ("cls_embed", "vv_local", "win3_embed", "mid_2"):
        part = pruned_graph(path, [name])
        (tmp_path / "part.onnx").write_bytes(part)
        onnx.checker.check_model(str(tmp_path / "part.onnx"), full_check=True)
        out = open_session(part, gelu.folder).run({"pixel_values": pixels})
        assert list(out) == [name]
        np.testing.assert_array_equal(out[name], reference[name])


def test_order_of_the_wanted_outputs_does_not_matter(gelu: Bundle) -> None:
    path = gelu.folder / "vision.onnx"
    assert pruned_graph(path, ["cls_raw", "mid_1"]) == pruned_graph(path, ["mid_1", "cls_raw"])


def test_an_unknown_output_is_named(gelu: Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no output nose, toes"):
        pruned_graph(gelu.folder / "vision.onnx", ["toes", "cls_raw", "nose"])


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "vision.onnx"
    path.write_bytes(b"\xff\xff not an onnx file")
    with pytest.raises(BundleError, match="is not a readable ONNX model"):
        pruned_graph(path, ["cls_raw"])
