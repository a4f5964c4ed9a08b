"""Windows in portions that stay in the caches of a core, instead of all of them at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["scan_windows"]

# Rows of tokens of one portion for each MiB of second-level cache: 256 to 512 were the fastest on
# an AMD EPYC, 1024 to 2048 on an Intel Xeon with 2 MiB (benchmarks/NOTES.md).
_ROWS_OF_MIB = 512
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")  # for example "2048K"


def scan_windows(graph: onnx.GraphProto) -> None:
    """Turn each branch from tokens of windows to ``win<side>_embed`` into a Scan over portions.

    The same nodes on fewer rows at a time: no number changes, and less memory is in use.
    """
    for index in list(graph.initializer):
        if index.name.startswith("window_") and index.name.endswith("_tokens"):
            _scan(graph, index)


def _scan(graph: onnx.GraphProto, index: TensorProto) -> None:
    table = numpy_helper.to_array(index)
    windows, length = table.shape
    portion = _portion(windows, length)
    *branch, output = _downstream(graph, index.name)
    last = branch[-1]
    if portion == windows or last.op_type != "Reshape" or output.op_type != "Identity":
        return
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    embed = int(numpy_helper.to_array(initializers[last.input[1]])[-1])
    names = {index.name: f"{index.name}/portion", last.output[0]: f"{last.output[0]}/portion"}
    shape = numpy_helper.from_array(np.array([-1, portion, embed]), f"{last.output[0]}/shape")
    body = []
    for node in branch:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        body.append(copy)
    body[-1].input[1] = shape.name
    portion_in, portion_out = names.values()
    inner = helper.make_graph(
        body,
        f"{index.name}/body",
        [helper.make_tensor_value_info(portion_in, TensorProto.INT64, [portion, length])],
        [helper.make_tensor_value_info(portion_out, TensorProto.FLOAT, ["V", portion, embed])],
        [shape],
    )
    scan = helper.make_node(
        "Scan",
        [index.name],
        [f"{index.name}/portions"],
        name=f"{index.name}/scan",
        body=inner,
        num_scan_inputs=1,
        scan_output_axes=[1],
    )
    whole = numpy_helper.from_array(np.array([0, windows, embed]), f"{index.name}/shape")
    merge = helper.make_node("Reshape", [scan.output[0], whole.name], list(output.output))
    gone = {name for node in (*branch, output) for name in node.output}
    kept = [node for node in graph.node if not gone.intersection(node.output)]
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in (*kept, scan, merge)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(whole)
    index.CopyFrom(numpy_helper.from_array(table.reshape(-1, portion, length), index.name))


def _portion(windows: int, length: int) -> int:
    """The divisor of the number of windows whose rows come nearest to what suits the cache."""
    rows = _rows()
    divisors = [d for d in range(1, windows + 1) if windows % d == 0]
    return min(divisors, key=lambda d: abs(np.log(d * length / rows)))


@cache
def _rows() -> int:
    try:
        kibibytes = int(_CACHE.read_text().strip().removesuffix("K"))
    except (OSError, ValueError):
        kibibytes = 1024
    return int(np.clip(_ROWS_OF_MIB * kibibytes // 1024, 256, 2048))


def _downstream(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """The nodes that depend on a value, in order."""
    reached, found = {name}, []
    for node in graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            found.append(node)
    return found
