"""Rewrite a pruned graph for ONNX Runtime on a CPU: less work, the same result.

The bundle stays what it is, for every provider. What is done here rests on how this package
writes its graphs (``export/``) and leaves alone what it does not know.
"""

from __future__ import annotations

import onnx

from clipvet.detectors.clip._graph_edit import GraphEdit
from clipvet.detectors.clip._int8_graph import multiply_in_int8
from clipvet.detectors.clip._window_scan import scan_windows

__all__ = ["cpu_graph", "keep_rows", "read_rows_model"]

_MICROSOFT = "com.microsoft"


def cpu_graph(graph: bytes) -> bytes:
    """Rewrite a serialised model.

    Args:
        graph: as :func:`pruned_graph` gives it: weights external, nodes in order.

    Returns:
        A serialised model with the same inputs and outputs, for the CPU provider alone. Where
        the weights are not int8, its outputs are those of ``graph`` bit for bit.
    """
    model = onnx.load_from_string(graph)
    edit = GraphEdit(model.graph)
    _split_weights(edit)
    keep_rows(edit)
    _fuse_biased_gelus(edit)
    multiply_in_int8(edit)
    edit.finish()
    scan_windows(model.graph)
    if all(entry.domain != _MICROSOFT for entry in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(_MICROSOFT, 1))
    return bytes(model.SerializeToString())


def read_rows_model(graph: bytes) -> onnx.ModelProto:
    """A serialised model with q, k, v apart and no rows that nothing reads; standard operators."""
    model = onnx.load_from_string(graph)
    edit = GraphEdit(model.graph)
    _split_weights(edit)
    keep_rows(edit)
    edit.finish()
    return model


def _split_weights(edit: GraphEdit) -> None:
    """Products for q, k and v apart, instead of one product whose parts are copied.

    And each for itself: the last block needs q for few rows, k and v for all.
    """
    for split in [node for node in edit.nodes if node.op_type == "Split"]:
        biased = edit.only_producer(split.input[0], "Add")
        product = edit.only_producer(biased.input[0], "MatMul") if biased is not None else None
        if biased is None or product is None or not _is_even(split):
            continue
        bias = biased.input[1]
        columns = edit.columns(bias)
        if columns is None or columns != edit.columns(product.input[1]):
            continue
        if columns % len(split.output):
            continue
        width = columns // len(split.output)
        for number, part in enumerate(split.output):
            span = (number * width, (number + 1) * width)
            weight = edit.insert_columns(split, product.input[1], *span)
            added = edit.insert_columns(split, bias, *span)
            edit.insert(
                split,
                onnx.helper.make_node("MatMul", [product.input[0], weight], [f"{part}/product"]),
                onnx.helper.make_node("Add", [f"{part}/product", added], [part]),
            )
        for gone in (split, biased, product):
            edit.remove(gone)


def _is_even(split: onnx.NodeProto) -> bool:
    """Whether it cuts the last axis into equal parts."""
    facts = {one.name: one.i for one in split.attribute}
    return len(split.input) == 1 and facts == {"axis": -1, "num_outputs": len(split.output)}


def keep_rows(edit: GraphEdit) -> None:
    """Cut out the rows that are read before they are computed, not afterwards.

    With nothing but the image embedding asked for, the last block works for two rows a view.
    """
    waiting = [node.input[0] for node in edit.nodes if edit.row_slice(node)]
    while waiting:
        value = waiting.pop()
        producer, readers = edit.producer(value), edit.readers(value)
        cuts = [cut for node in readers if (cut := edit.row_slice(node))]
        if producer is None or not cuts or len(cuts) < len(readers):
            continue
        axis, end = max(cuts)
        # One row alone would go to the matrix-vector kernel, whose rounding differs.
        if end < 2 or any(other != axis for other, _end in cuts):
            continue
        inputs = _rows_come_from(edit, producer, axis)
        for position, of_input in inputs.items():
            whole = producer.input[position]
            producer.input[position] = edit.insert_slice(producer, whole, of_input, end)
            waiting.append(whole)
        if inputs:
            for reader, (_axis, read) in zip(readers, cuts, strict=True):
                if read == end:
                    edit.bypass(reader)


def _rows_come_from(edit: GraphEdit, node: onnx.NodeProto, axis: int) -> dict[int, int]:
    """Inputs of which a slice of the output along ``axis`` needs the same slice: input -> axis."""
    match node.op_type:
        case "Gelu" | "Sigmoid" | "Softmax" | "LayerNormalization" | "MatMul":
            return {0: axis}
        case "Add" | "Mul":
            return {i: axis for i, name in enumerate(node.input) if not edit.is_constant(name)}
        case "Transpose":
            return {0: onnx.helper.get_node_attr_value(node, "perm")[axis]}
        case "Reshape":
            shape = edit.integers(node.input[1])
            return {0: axis} if shape is not None and not any(shape[: axis + 1]) else {}
        case _:
            return {}


def _fuse_biased_gelus(edit: GraphEdit) -> None:
    """Bias and GELU in one node; ONNX Runtime's own fusion does not look into a Scan."""
    for gelu in [node for node in edit.nodes if node.op_type == "Gelu"]:
        biased = edit.producer(gelu.input[0])
        if biased is not None and biased.op_type == "Add" and edit.is_constant(biased.input[1]):
            fused = onnx.helper.make_node(
                "BiasGelu", list(biased.input), list(gelu.output), domain=_MICROSOFT
            )
            edit.replace(gelu, fused)
            edit.remove(biased)
