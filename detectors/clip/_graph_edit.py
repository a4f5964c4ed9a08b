"""Look around in an ONNX graph, and change it node by node."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["GraphEdit", "has_scaled_columns"]


def has_scaled_columns(node: onnx.NodeProto) -> bool:
    """Whether a node makes a matrix from int8 with a scale for each column.

    An artefact may hold matrices with scales of rows.
    """
    scales = node.op_type == "DequantizeLinear"
    return scales and any(one.name == "axis" and one.i == 1 for one in node.attribute)


class GraphEdit:
    """The nodes of one graph, in order; :meth:`finish` writes them back.

    Attributes:
        nodes: all that are left, each before its readers.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes = list(graph.node)
        self._look()

    def producer(self, value: str) -> onnx.NodeProto | None:
        """The node that computes a value; None for inputs and weights."""
        return self._producers.get(value)

    def only_producer(self, value: str, operator: str) -> onnx.NodeProto | None:
        """The node of this kind that computes a value for one reader alone; None otherwise."""
        node = self.producer(value)
        known = node is not None and node.op_type == operator and len(self.readers(value)) == 1
        return node if known else None

    def readers(self, value: str) -> list[onnx.NodeProto]:
        """The nodes that read a value."""
        return self._readers.get(value, [])

    def is_constant(self, value: str) -> bool:
        """Whether it is a weight, or nothing but a part of one or one in another type."""
        producer = self.producer(value)
        if producer is None:
            return value in self._initializers
        made = producer.op_type in {"Cast", "DequantizeLinear", "Slice"}
        return made and self.is_constant(producer.input[0])

    def integers(self, value: str) -> list[int] | None:
        """A constant vector of integers; None if it is something else."""
        tensor = self._initializers.get(value)
        if tensor is None or tensor.data_type != onnx.TensorProto.INT64:
            return None
        return [int(number) for number in numpy_helper.to_array(tensor).reshape(-1)]

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a small constant, or take the one of this name."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(value, name)
        return name

    def row_slice(self, node: onnx.NodeProto) -> tuple[int, int] | None:
        """(axis, end) of a slice of the first rows along one axis; None for another node."""
        if node.op_type != "Slice" or len(node.input) != 4:
            return None
        starts, ends, axes = (self.integers(name) for name in node.input[1:4])
        if starts != [0] or ends is None or axes is None or len(axes) != 1 or ends[0] < 1:
            return None
        return axes[0], ends[0]

    def insert_slice(self, before: onnx.NodeProto, value: str, axis: int, end: int) -> str:
        """The first rows of a value along an axis, computed just before a node."""
        return self._insert_cut(before, value, f"{value}/rows_{axis}_{end}", (0, end, axis))

    def columns(self, value: str) -> int | None:
        """Size of the last axis of a weight, which may be cast or dequantised; None otherwise."""
        while (producer := self.producer(value)) is not None:
            if producer.op_type not in {"Cast", "DequantizeLinear"}:
                return None
            value = producer.input[0]
        tensor = self._initializers.get(value)
        return tensor.dims[-1] if tensor is not None and tensor.dims else None

    def insert_columns(self, before: onnx.NodeProto, value: str, start: int, end: int) -> str:
        """Some columns of a weight, cut out just before a node; of int8 with their scales."""
        name = f"{value}/columns_{start}_{end}"
        producer = self.producer(value)
        if producer is None or not has_scaled_columns(producer):
            return self._insert_cut(before, value, name, (start, end, -1))
        if self.producer(name) is None:
            parts = [self.insert_columns(before, one, start, end) for one in producer.input]
            self.insert(before, helper.make_node("DequantizeLinear", parts, [name], axis=1))
        return name

    def insert(self, before: onnx.NodeProto, *added: onnx.NodeProto) -> None:
        """Put nodes in front of another one."""
        self.replace(before, *added, before)

    def replace(self, old: onnx.NodeProto, *new: onnx.NodeProto) -> None:
        """Put nodes in the place of another one."""
        place = next(place for place, node in enumerate(self.nodes) if node is old)
        self.nodes[place : place + 1] = new
        self._look()

    def remove(self, gone: onnx.NodeProto) -> None:
        """Take a node out."""
        self.nodes = [node for node in self.nodes if node is not gone]
        self._look()

    def bypass(self, gone: onnx.NodeProto) -> None:
        """Let the readers of a node read its first input instead."""
        for reader in self.readers(gone.output[0]):
            for position, name in enumerate(reader.input):
                if name == gone.output[0]:
                    reader.input[position] = gone.input[0]
        self.remove(gone)

    def finish(self) -> None:
        """Write the nodes back, and of the weights those that a node reads."""
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for name, tensor in self._initializers.items() if name in used]
        for field, values in (("node", self.nodes), ("initializer", kept)):
            copies = [type(value).FromString(value.SerializeToString()) for value in values]
            del getattr(self._graph, field)[:]
            getattr(self._graph, field).extend(copies)

    def _insert_cut(
        self, before: onnx.NodeProto, value: str, name: str, numbers: tuple[int, int, int]
    ) -> str:
        """``value`` from start to end along an axis, under a name that may be there already."""
        if self.producer(name) is None:
            bounds = (self.constant(f"cut/{n}", np.array([n], np.int64)) for n in numbers)
            self.insert(before, helper.make_node("Slice", [value, *bounds], [name], name=name))
        return name

    def _look(self) -> None:
        self._producers = {name: node for node in self.nodes for name in node.output}
        self._readers: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self._readers[name].append(node)
