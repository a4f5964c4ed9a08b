"""Products with int8 weights in integer arithmetic, each row of activations with its own scale.

A row's scale follows from the row alone, so a view's numbers do not depend on what is encoded
together with it; scales of whole tensors would.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
from onnx import helper

from clipvet.detectors.clip._graph_edit import GraphEdit, has_scaled_columns

__all__ = ["int8_is_exact", "multiply_in_int8"]

_ZERO, _STEPS = 128, 127
_LEAST_OF_GELU = 0.17  # no value of GELU, nor of x sigmoid(1.702 x), is below -0.17


def multiply_in_int8(edit: GraphEdit) -> None:
    """Replace x @ dequantised(w) by row_scale * (quantised(x) @ w * column_scale).

    On a processor whose integer products saturate, the weights are dequantised instead.
    """
    nodes = [node for node in edit.nodes if node.op_type == "MatMul"]
    weights = {id(node): edit.producer(node.input[1]) for node in nodes}
    # Scales of rows cannot be taken out of the sum.
    found = [n for n in nodes if (made := weights[id(n)]) is not None and has_scaled_columns(made)]
    if not found or not int8_is_exact():
        return
    for node in found:
        weight = weights[id(node)]
        assert weight is not None
        rows = _quantise_rows(edit, node, node.input[0])
        one = edit.constant("int8/one", np.array(1, np.float32))
        zero = edit.constant("int8/zero", np.array(_ZERO, np.uint8))
        y = node.output[0]
        product = helper.make_node(
            "MatMulIntegerToFloat",
            [f"{rows}/q", weight.input[0], one, weight.input[1], zero],
            [f"{y}/product"],
            domain="com.microsoft",
        )
        edit.replace(node, product, helper.make_node("Mul", [product.output[0], f"{rows}/s"], [y]))
    for gone in [n for n in edit.nodes if n.op_type == "DequantizeLinear"]:
        if not edit.readers(gone.output[0]):
            edit.remove(gone)


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
def int8_is_exact() -> bool:
    """Whether this processor sums products of uint8 and int8 in 32 bits.

    Without VNNI instructions ONNX Runtime adds pairs of them in 16, which saturates.
    """
    import onnxruntime

    size = 64
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, [size, size])],
        [onnx.numpy_helper.from_array(np.full((size, size), 127, np.int8), "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"a": np.full((size, size), 255, np.uint8)})
    return bool((np.asarray(y) == 255 * 127 * size).all())
