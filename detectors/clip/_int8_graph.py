"""Products with int8 weights in integer arithmetic, each row of activations with its own scale.

A row's scale follows from the row alone, so a view's numbers do not depend on what is encoded
together with it; scales of whole tensors would.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Literal

import numpy as np
import onnx
from onnx import helper

from clipvet.detectors.clip._graph_edit import GraphEdit, has_scaled_columns

__all__ = ["Int8Products", "int8_note", "int8_products", "multiply_in_int8"]

Int8Products = Literal["plain", "wide", "inexact"]
"""How products of uint8 and int8 come out on a processor.

``plain``: exact, as ONNX Runtime computes them by itself (AVX-512 VNNI, AVX-VNNI, AMX, ARM).
``wide``: exact only if the weights are uint8, too. Without VNNI instructions ONNX Runtime adds
pairs of products of uint8 and int8 in 16 bits, which saturates; factors that are both uint8 it
widens to 16 bits and adds in 32, at about two thirds of the speed.
``inexact``: neither.
"""

_ZERO, _STEPS = 128, 127
_LEAST_OF_GELU = 0.17  # no value of GELU, nor of x sigmoid(1.702 x), is below -0.17


def multiply_in_int8(edit: GraphEdit) -> None:
    """Replace x @ dequantised(w) by row_scale * (quantised(x) @ w * column_scale).

    On a processor whose integer products are ``inexact`` the weights are dequantised instead.
    """
    nodes = [node for node in edit.nodes if node.op_type == "MatMul"]
    weights = {id(node): edit.producer(node.input[1]) for node in nodes}
    # Scales of rows cannot be taken out of the sum.
    found = [n for n in nodes if (made := weights[id(n)]) is not None and has_scaled_columns(made)]
    if not found or int8_products() == "inexact":
        return
    for node in found:
        weight = weights[id(node)]
        assert weight is not None
        rows = _quantise_rows(edit, node, node.input[0])
        one = edit.constant("int8/one", np.array(1, np.float32))
        zero = edit.constant("int8/zero", np.array(_ZERO, np.uint8))
        columns, scales = weight.input[:2]
        of_columns: list[str] = []
        if int8_products() == "wide":
            columns, of_columns = _unsigned(edit, node, columns), [zero]
        y = node.output[0]
        product = helper.make_node(
            "MatMulIntegerToFloat",
            [f"{rows}/q", columns, one, scales, zero, *of_columns],
            [f"{y}/product"],
            domain="com.microsoft",
        )
        edit.replace(node, product, helper.make_node("Mul", [product.output[0], f"{rows}/s"], [y]))
    for gone in [n for n in edit.nodes if n.op_type == "DequantizeLinear"]:
        if not edit.readers(gone.output[0]):
            edit.remove(gone)


def _unsigned(edit: GraphEdit, before: onnx.NodeProto, weight: str) -> str:
    """int8 weights as uint8 with zero point 128; ONNX Runtime folds this when it loads them."""
    made = f"{weight}/uint8"
    if edit.producer(made) is None:
        zero = edit.constant("int8/wide_zero", np.array(_ZERO, np.int32))
        edit.insert(
            before,
            helper.make_node("Cast", [weight], [f"{made}/wide"], to=onnx.TensorProto.INT32),
            helper.make_node("Add", [f"{made}/wide", zero], [f"{made}/raised"]),
            helper.make_node("Cast", [f"{made}/raised"], [made], to=onnx.TensorProto.UINT8),
        )
    return made


def _quantise_rows(edit: GraphEdit, before: onnx.NodeProto, x: str) -> str:
    """``<result>/q`` uint8 = round(x / s) + 128 and ``<result>/s``, [.., 1]: max |x| / 127."""
    stem = f"{x}/int8"
    if edit.producer(f"{stem}/q") is not None:
        return stem
    step = edit.constant("int8/step", np.array(1 / _STEPS, np.float32))
    zero = edit.constant("int8/zero", np.array(_ZERO, np.uint8))
    flat = edit.constant("int8/flat", np.array([-1], np.int64))
    edit.insert(
        before,
        *_largest_of_rows(edit, x, f"{stem}/largest"),
        helper.make_node("Mul", [f"{stem}/largest", step], [f"{stem}/s"]),
        # All rows in one dimension: then QuantizeLinear divides each by its own scale.
        helper.make_node("Flatten", [x], [f"{stem}/rows"], axis=-1),
        helper.make_node("Reshape", [f"{stem}/s", flat], [f"{stem}/scales"]),
        helper.make_node("Shape", [f"{stem}/scales"], [f"{stem}/count"]),
        helper.make_node("Expand", [zero, f"{stem}/count"], [f"{stem}/zeros"]),
        helper.make_node(
            "QuantizeLinear",
            [f"{stem}/rows", f"{stem}/scales", f"{stem}/zeros"],
            [f"{stem}/steps"],
            axis=0,
        ),
        helper.make_node("Shape", [x], [f"{stem}/shape"]),
        helper.make_node("Reshape", [f"{stem}/steps", f"{stem}/shape"], [f"{stem}/q"]),
    )
    return stem


def _largest_of_rows(edit: GraphEdit, x: str, name: str) -> list[onnx.NodeProto]:
    """Nodes that make max |x| of each row, [.., 1]."""
    last = edit.constant("int8/last", np.array([-1], np.int64))
    most = helper.make_node("ReduceMax", [x, last], [f"{name}/max"], keepdims=1)
    if _is_gelu(edit, edit.producer(x)):
        below = edit.constant("int8/gelu", np.array(_LEAST_OF_GELU, np.float32))
        return [most, helper.make_node("Max", [*most.output, below], [name])]
    least = edit.constant("int8/least", np.array(1e-20, np.float32))  # a row of zeros
    return [
        most,
        # Two readings are cheaper than a copy of absolute values.
        helper.make_node("ReduceMin", [x, last], [f"{name}/min"], keepdims=1),
        helper.make_node("Neg", [f"{name}/min"], [f"{name}/below"]),
        helper.make_node("Max", [*most.output, f"{name}/below", least], [name]),
    ]


def _is_gelu(edit: GraphEdit, node: onnx.NodeProto | None) -> bool:
    if node is None or node.op_type != "Mul":
        return node is not None and node.op_type in {"Gelu", "BiasGelu"}
    gate = edit.producer(node.input[1])
    return gate is not None and gate.op_type == "Sigmoid"


@cache
def int8_products() -> Int8Products:
    """What this processor's integer products need to be exact; asked of ONNX Runtime itself."""
    if _is_exact(wide=False):
        return "plain"
    return "wide" if _is_exact(wide=True) else "inexact"


def int8_note() -> str:
    """What a user of an int8 bundle should know of this processor; "" if nothing.

    Exporting needs no onnxruntime: where there is none, nothing can be said.
    """
    if find_spec("onnxruntime") is None:
        return ""
    return {
        "plain": "",
        "wide": "this processor has no VNNI instructions: int8 runs 1.1 to 1.3 times as fast as "
        "float32 here, with the same numbers as elsewhere (docs/speed.md)",
        "inexact": "integer products are not exact on this processor: int8 weights are multiplied "
        "as float32, which saves disk space and no time (docs/speed.md)",
    }[int8_products()]


def _is_exact(*, wide: bool) -> bool:
    """Whether ONNX Runtime sums the largest products of uint8 and int8 (uint8) without loss."""
    import onnxruntime

    size, most = 64, 127
    of_weights = _ZERO if wide else 0
    kind: type[np.integer] = np.uint8 if wide else np.int8
    constants = {
        "weights": np.full((size, size), most + of_weights, kind),
        "one": np.array(1, np.float32),
        "scale": np.ones(size, np.float32),
        "zero": np.array(_ZERO, np.uint8),
        "zero_of_weights": np.array(of_weights, kind),
    }
    product = helper.make_node(
        "MatMulIntegerToFloat", ["rows", *constants], ["sums"], domain="com.microsoft"
    )
    graph = helper.make_graph(
        [product],
        "probe",
        [helper.make_tensor_value_info("rows", onnx.TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("sums", onnx.TensorProto.FLOAT, [size, size])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (sums,) = session.run(None, {"rows": np.full((size, size), 255, np.uint8)})
    return bool((np.asarray(sums) == (255 - _ZERO) * most * size).all())
