"""A bundle that somebody made to do harm is refused before its weights are touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import clipvet.plugins.clipn
from clipvet.detectors import BundleError
from clipvet.detectors.clip import Bundle, Runtime
from tests.hostile_bundles import copy_of_mini, edit_graph, edit_manifest, seal, use

GRAPH = onnx.ModelProto


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return copy_of_mini(tmp_path / "bundle")


def refused(folder: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        use(folder)
    assert "\n" not in str(caught.value)


def external(model: GRAPH) -> TensorProto:
    """A weight that the class token needs."""
    found: TensorProto = next(t for t in model.graph.initializer if t.name == "visual.proj")
    return found


def place(tensor: TensorProto, **entries: object) -> None:
    for entry in [e for e in tensor.external_data if e.key in entries]:
        tensor.external_data.remove(entry)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))


def first_node(model: GRAPH) -> onnx.NodeProto:
    node: onnx.NodeProto = model.graph.node[0]
    return node


def a_branch(op: str, domain: str = "") -> onnx.GraphProto:
    node = helper.make_node(op, [], ["hidden"], domain=domain)
    value = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, None)
    return helper.make_graph([node], "branch", [], [value])


def an_if(model: GRAPH) -> None:
    branch = a_branch("Open", "com.evil")
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["hidden"], then_branch=branch, else_branch=branch)
    )


def a_function(model: GRAPH) -> None:
    inner = helper.make_node("Read", ["x"], ["y"], domain="com.evil")
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.evil", 1)]
    model.functions.append(helper.make_function("", "MatMul", ["x"], ["y"], [inner], opsets))


def a_constant_elsewhere(model: GRAPH) -> None:
    tensor = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[4],
                         data_location=TensorProto.EXTERNAL)  # fmt: skip
    place(tensor, location="/etc/passwd", offset=0, length=16)
    model.graph.node.append(helper.make_node("Constant", [], ["secret"], value=tensor))


def a_context(model: GRAPH) -> None:
    model.graph.node.append(
        helper.make_node(
            "EPContext",
            [],
            ["hidden"],
            domain="com.microsoft",
            embed_mode=0,
            ep_cache_context="/etc/passwd",
        )
    )


def dims(model: GRAPH, *sides: int) -> None:
    del external(model).dims[:]
    external(model).dims.extend(sides)


def inline(model: GRAPH, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


HOSTILE_GRAPHS: dict[str, tuple[Callable[[GRAPH], object], str]] = {
    "an operator of somebody's own": (
        lambda m: setattr(first_node(m), "domain", "com.evil"), "com.evil"),
    "a domain without a node": (
        lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1)),
        r"ai\.onnx\.contrib"),
    "an operator that no exporter writes": (
        lambda m: setattr(first_node(m), "op_type", "RandomNormal"), "RandomNormal"),
    "a branch": (an_if, "If"),
    "a function that is called as an operator": (a_function, "function"),
    "a tensor in an attribute": (a_constant_elsewhere, "Constant"),
    "a graph in an attribute of a plain operator": (
        lambda m: first_node(m).attribute.append(
            helper.make_attribute("body", a_branch("Open", "com.evil"))), "body"),
    "a compiled graph in a file": (a_context, "EPContext"),
    "weights at an absolute path": (
        lambda m: place(external(m), location="/etc/passwd"), "/etc/passwd"),
    "weights above the folder": (
        lambda m: place(external(m), location="../secret.bin"), r"\.\./secret\.bin"),
    "weights below the folder": (
        lambda m: place(external(m), location="sub/../../secret.bin"), "secret"),
    "weights in a file that nobody verified": (
        lambda m: place(external(m), location="planted.bin"), r"planted\.bin"),
    "weights at a negative place": (lambda m: place(external(m), offset=-64), "visual.proj"),
    "weights behind the end": (lambda m: place(external(m), offset=1 << 40), "visual.proj"),
    "a place that is no number": (lambda m: place(external(m), offset="0x40"), "visual.proj"),
    "another base path": (lambda m: place(external(m), basepath="/etc"), "basepath"),
    "weights without a place": (
        lambda m: external(m).ClearField("external_data"), "visual.proj"),
    "more numbers than there are": (lambda m: dims(m, 1 << 30, 1 << 30), "visual.proj"),
    "a size that overflows": (lambda m: dims(m, 1 << 32, 1 << 32), "visual.proj"),
    "a negative side": (lambda m: dims(m, -1, -1), "visual.proj"),
    "more numbers than bytes, inside": (
        lambda m: inline(m, TensorProto(name="big", data_type=1, dims=[1 << 40])), "big"),
    "numbers of another kind, inside": (
        lambda m: inline(m, TensorProto(name="text", data_type=TensorProto.STRING, dims=[1],
                                        string_data=[b"x"])), "text"),
    "a sparse tensor": (
        lambda m: m.graph.sparse_initializer.append(
            onnx.SparseTensorProto(dims=[1 << 40])), "sparse"),
    "a training graph": (
        lambda m: m.training_info.append(onnx.TrainingInfoProto()), "training"),
    "an output of another shape than the manifest says": (
        lambda m: setattr(next(o for o in m.graph.output if o.name == "cls_embed")
                          .type.tensor_type.shape.dim[1], "dim_value", 7), "cls_embed"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE_GRAPHS)
def test_a_hostile_graph_is_refused(bundle: Path, what: str) -> None:
    change, message = HOSTILE_GRAPHS[what]
    shutil.copy(bundle / "weights.bin", bundle / "planted.dat")
    (bundle / "planted.dat").rename(bundle / "planted.bin")
    edit_graph(bundle, change)
    edit_manifest(bundle, lambda m: m["files"].pop("planted.bin"))
    refused(bundle, message)


def test_a_graph_that_nests_without_end_is_refused(bundle: Path) -> None:
    inner = onnx.GraphProto(name="x")
    data = inner.SerializeToString()
    for _ in range(3000):
        attribute = b"\x32" + _varint(len(data)) + data  # AttributeProto.g
        node = b"\x2a" + _varint(len(attribute)) + attribute  # NodeProto.attribute
        data = b"\x0a" + _varint(len(node)) + node  # GraphProto.node
    (bundle / "vision.onnx").write_bytes(b"\x3a" + _varint(len(data)) + data)
    seal(bundle)
    refused(bundle, r"vision\.onnx")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def deep(manifest: dict[str, Any]) -> None:
    value: Any = 1
    for _ in range(900):
        value = {"a": value}
    manifest["options"] = {"winclip": {"a": value}}


HOSTILE_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "features larger than memory": (
        lambda m: m["features"].update(cls_embed=[1 << 40]), r"features\.cls_embed"),
    "features that nobody knows the end of": (
        lambda m: m["features"].update(cls_embed=[1] * 40), "cls_embed has shape"),
    "a negative feature": (lambda m: m["features"].update(cls_embed=[-4]), r"features\.cls_embed"),
    "a context longer than memory": (
        lambda m: m["text"].update(context_length=1 << 40), r"text\.context_length"),
    "an endless joint space": (lambda m: m.update(embed_dim=1 << 50), "embed_dim"),
    "an endless grid": (lambda m: m["vision"].update(grid=1 << 40), r"vision\.grid"),
    "a mean that is no number": (
        lambda m: m["preprocessing"].update(mean=[float("nan"), 0, 0]), "NaN"),
    "a scale beyond all numbers": (
        lambda m: m.update(logit_scale=float("inf")), "Infinity"),
    "a deviation of zero": (
        lambda m: m["preprocessing"].update(std=[0, 1, 1]), r"preprocessing\.std"),
    "a depth without end": (deep, "nested"),
    "a hash that is none": (
        lambda m: m["files"]["weights.bin"].update(sha256="*"), r"files\.weights\.bin"),
    "no word of the tokenizer": (
        lambda m: m["files"].pop("tokenizer.json"), "tokenizer"),
    "no word of the graph": (lambda m: m["files"].pop("vision.onnx"), r"vision\.onnx"),
    "a file above the folder": (
        lambda m: m["files"].update({"../x": m["files"]["weights.bin"]}), "outside"),
    "a file at an absolute path": (
        lambda m: m["files"].update({"/etc/passwd": m["files"]["weights.bin"]}), "outside"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE_MANIFESTS)
def test_a_hostile_manifest_is_refused(bundle: Path, what: str) -> None:
    change, message = HOSTILE_MANIFESTS[what]
    edit_manifest(bundle, change)
    refused(bundle, message)


LONG = "9" * 5000
HOSTILE_TEXTS = {
    "1e999": ('"logit_scale": ', '"logit_scale": 1e999, "x": ', "inf"),
    "5,000 digits": ('"logit_scale": ', f'"logit_scale": {LONG}, "x": ', "4300 digits"),
    "a key twice": ('"name": ', '"name": "other", "name": ', "name.* twice"),
}


@pytest.mark.parametrize("what", HOSTILE_TEXTS)
def test_a_hostile_text_is_refused(bundle: Path, what: str) -> None:
    old, new, message = HOSTILE_TEXTS[what]
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace(old, new, 1))
    refused(bundle, message)


def test_a_manifest_that_is_a_pipe_or_endless_is_refused(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.unlink()
    os.mkfifo(path)
    refused(bundle, r"manifest\.json")
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room, and reads as a terabyte
    refused(bundle, r"manifest\.json")


def test_a_link_out_of_the_folder_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "weights.bin").rename(tmp_path / "elsewhere.bin")
    (bundle / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    refused(bundle, r"weights\.bin.* link")


def test_a_folder_of_links_to_one_place_is_a_bundle(bundle: Path, tmp_path: Path) -> None:
    """As uv and Bazel install packages, and as somebody may link a whole bundle."""
    farm = tmp_path / "farm"
    farm.mkdir()
    for path in bundle.iterdir():
        (farm / path.name).symlink_to(path)
    (tmp_path / "link").symlink_to(farm)
    np.testing.assert_array_equal(use(tmp_path / "link"), use(bundle))


def test_one_changed_weight_is_refused_before_it_is_used(bundle: Path) -> None:
    flip(bundle / "weights.bin", 12345)
    refused(bundle, r"weights\.bin is not the file that its manifest describes")


def test_a_weight_file_that_is_swapped_after_it_was_verified(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    shutil.copy2(bundle / "weights.bin", other)
    flip(other, 12345)
    os.utime(other, ns=(0, (bundle / "weights.bin").stat().st_mtime_ns))
    opened = Bundle.open(bundle)
    other.replace(bundle / "weights.bin")  # same size, same time of modification
    with (
        pytest.raises(BundleError, match="not the file that its manifest describes"),
        Runtime(opened, needs={"cls_embed"}, device="cpu") as runtime,
    ):
        runtime.encode_views([np.zeros((8, 8, 3), np.uint8)])


def test_verified_files_are_remembered_until_they_change(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipvet.detectors import _hashing
    from clipvet.detectors.clip import _bundle, _verified

    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return real(path)

    real = _hashing.sha256_of
    monkeypatch.setattr(_verified, "sha256_of", counted)
    monkeypatch.setattr(_bundle, "sha256_of", counted)
    monkeypatch.setattr(_verified, "_SETTLED_NS", 0)
    Bundle.open(bundle)
    assert "weights.bin" in hashed
    hashed.clear()
    opened = Bundle.open(bundle)
    assert "weights.bin" not in hashed, "large files are hashed once"
    assert "vision.onnx" in hashed, "small ones at every start"
    hashed.clear()
    opened.verify()
    assert "weights.bin" in hashed, "bundles verify trusts no memory"
    hashed.clear()
    flip(bundle / "weights.bin", 99)
    os.utime(bundle / "weights.bin", ns=(0, 0))
    with pytest.raises(BundleError, match="sha256"):
        Bundle.open(bundle)
    flip(bundle / "weights.bin", 99)
    (tmp_path / "cache").chmod(0o500)
    Bundle.open(bundle)


def test_a_file_that_was_just_written_is_not_remembered(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second write within one tick of the clock would leave the same times."""
    from clipvet.detectors.clip import _verified

    (bundle / "weights.bin").touch()
    Bundle.open(bundle)
    assert not list(_verified.memory_folder().glob("*"))


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 1]))


def test_what_our_own_exporters_write_is_taken(bundle: Path) -> None:
    no_tower = Path(clipvet.plugins.clipn.__file__).parent / "mini"
    for folder, names in [(bundle, ("vision", "text", "text_embeds")), (no_tower, ("text",))]:
        opened = Bundle.open(folder)
        for name in names:
            assert opened.graph(name).graph.node


def test_weights_are_not_read_from_elsewhere(bundle: Path) -> None:
    edit_graph(bundle, lambda m: place(external(m), location="/etc/passwd"))
    with pytest.raises(BundleError, match=re.escape("/etc/passwd")):
        Bundle.open(bundle).weights("vision", ["visual.proj"])
