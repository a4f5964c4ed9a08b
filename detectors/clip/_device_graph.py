"""An image tower made over for an accelerator: one batch size, uint8 pixels in, halves inside.

All of this is done on the serialised graph when a session is opened; the bundle on disk is the
same for every device. Weights stay external data that onnxruntime reads itself.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from clipvet.detectors.clip._fusions import fuse_nodes
from clipvet.detectors.clip._session import PixelBatch

__all__ = ["device_graph"]

# Operators that compute in the type of their inputs; with another one a graph stays as it is.
_ANY_FLOAT = {
    "Add", "Clip", "Concat", "Conv", "Div", "Expand", "Gather", "Gelu", "Identity",
    "LayerNormalization", "MatMul", "Mul", "MultiHeadAttention", "QuickGelu", "Reshape",
    "Resize", "Shape", "Sigmoid", "SkipLayerNormalization", "Slice", "Softmax", "Split", "Squeeze",
    "Sub", "Sum", "Transpose",
}  # fmt: skip


def device_graph(graph: bytes, batch: PixelBatch, *, fuse: bool) -> bytes:
    """The graph of an image tower for one batch size on an accelerator.

    - The number of views is a constant: shapes are folded when the session is made, so that no
      node is left to compute them on the CPU, and a CUDA graph can be captured.
    - ``pixel_values`` is uint8 [V, S, S, 3]; scaling and normalisation are in the graph, in
      float32 and in the order of ``preprocess``: a quarter of the bytes are copied.
    - A bundle whose weights are float16 computes in float16, outputs are float32. Where halves
      would cost accuracy the kernels of CUDA sum in float32: layer norm, softmax, products.
    - With ``fuse``, what onnxruntime has fused kernels for becomes these, see ``fuse_nodes``; for
      runtimes that fuse the written-out form themselves, not.

    Args:
        graph: serialised, as ``pruned_graph`` gives it.
        batch: what each call looks like.
        fuse: use operators of the domain com.microsoft.
    """
    model = onnx.load_from_string(graph)
    if fuse:
        fuse_nodes(model)
    half = _to_half(model.graph)
    _take_squares(model.graph, batch, half=half)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch.rows
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def _take_squares(graph: onnx.GraphProto, batch: PixelBatch, *, half: bool) -> None:
    """Put (u8 / 255 - mean) / std and the change of axes before what reads ``pixel_values``."""
    settings = batch.preprocessing
    (pixels,) = graph.input
    name = pixels.name
    inner = f"{name}/normalised"
    for node in graph.node:
        node.input[:] = [inner if value == name else value for value in node.input]
    steps = [
        ("Div", np.float32(255)),
        ("Sub", np.array(settings.mean, dtype=np.float32)),
        ("Div", np.array(settings.std, dtype=np.float32)),
    ]
    nodes = [helper.make_node("Cast", [name], [f"{name}/0"], to=TensorProto.FLOAT)]
    for number, (op, value) in enumerate(steps):
        constant = f"{name}/constant_{number}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), constant))
        nodes.append(helper.make_node(op, [f"{name}/{number}", constant], [f"{name}/{number + 1}"]))
    first = f"{name}/channels_first" if half else inner
    nodes.append(helper.make_node("Transpose", [f"{name}/3"], [first], perm=[0, 3, 1, 2]))
    if half:
        nodes.append(helper.make_node("Cast", [first], [inner], to=TensorProto.FLOAT16))
    for number, node in enumerate(nodes):
        node.name = f"pixels/{number}"
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    side = settings.size
    pixels.CopyFrom(
        helper.make_tensor_value_info(name, TensorProto.UINT8, [batch.rows, side, side, 3])
    )


def _to_half(graph: onnx.GraphProto) -> bool:
    """Compute in float16 if the weights are stored so; whether that was done."""
    stored = {tensor.name: tensor.data_type for tensor in graph.initializer if _is_external(tensor)}
    weights = set(stored)
    casts = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Cast" and node.input[0] in weights
    }
    others = [node for node in graph.node if not set(node.output) & set(casts)]
    if set(stored.values()) != {TensorProto.FLOAT16} or any(
        node.op_type not in _ANY_FLOAT for node in others
    ):
        return False
    for node in others:
        node.input[:] = [casts.get(value, value) for value in node.input]
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    names = {value.name for value in graph.output}
    for node in others:
        node.output[:] = [f"{name}/half" if name in names else name for name in node.output]
        node.input[:] = [f"{name}/half" if name in names else name for name in node.input]
    del graph.node[:]
    graph.node.extend(others)
    graph.node.extend(
        helper.make_node("Cast", [f"{name}/half"], [name], f"float/{name}", to=TensorProto.FLOAT)
        for name in sorted(names)
    )
    return True


def _is_external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)
