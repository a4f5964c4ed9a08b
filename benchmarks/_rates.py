"""What a graph asks of the machine, and what the machine can do: FLOPs and rates of products."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["GEMM", "gemm_model", "gemm_operands", "gemm_rate", "graph_flops", "int8_gemm_model"]

GEMM = 2048


def graph_flops(path: Path, outputs: frozenset[str]) -> int:
    """2 x multiply-adds of the matrix products and convolutions that run for one view."""
    import onnx

    from clipvet.detectors.clip._cpu_graph import read_rows_model
    from clipvet.detectors.clip._pruning import pruned_graph

    model = read_rows_model(pruned_graph(path, outputs))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = [dim.dim_value for dim in dims]
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            summed = int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in {"MatMul", "Gemm"}:
            summed = shapes[node.input[0]][-1]
        else:
            continue
        total += 2 * int(np.prod(shapes[node.output[0]])) * summed
    return total


def gemm_operands() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((GEMM, GEMM), dtype=np.float32) for _ in range(2))
    return left, right


def gemm_model(right: Any) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    shape = [GEMM, GEMM]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "gemm",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(right, "right")],
    )
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def gemm_rate(call: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 2 * GEMM**3 / statistics.median(seconds[1:]) / 1e9


def int8_gemm_model() -> bytes:
    """A product of uint8 and int8 in 32-bit integers, with one scale: ``left`` to ``product``."""
    from onnx import TensorProto, helper, numpy_helper

    shape = [GEMM, GEMM]
    weights = np.random.default_rng(0).integers(-127, 128, shape, dtype=np.int8)
    constants: dict[str, Any] = {
        "right": weights,
        "one": np.array(1, np.float32),
        "scale": np.full(GEMM, 1, np.float32),
        "zero": np.array(128, np.uint8),
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "MatMulIntegerToFloat",
                ["left", "right", "one", "scale", "zero"],
                ["product"],
                domain="com.microsoft",
            )
        ],
        "gemm",
        [helper.make_tensor_value_info("left", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
