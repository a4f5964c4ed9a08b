"""Nodes of an image tower put together for onnxruntime's fused kernels on accelerators.

onnxruntime finds some of these by itself, but neither this form of attention nor a layer norm
whose input is needed again, as in every block of a pre-norm transformer (seen with 1.32).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from clipvet.detectors.clip._pruning import keep_reached

__all__ = ["fuse_nodes"]

_MICROSOFT = "com.microsoft"


def fuse_nodes(model: onnx.ModelProto) -> None:
    """Replace written-out nodes by operators of the domain com.microsoft, in place.

    - Attention without a mask: MultiHeadAttention (flash attention where the GPU has it).
    - Residual + output + its bias, then layer norm: SkipLayerNormalization.
    - Gelu: that of onnxruntime, which is then fused with the bias before it.
    """
    outputs = [value.name for value in model.graph.output]
    for attention in list(_attentions(_Links(model.graph))):
        attention.replace()
    _merge_norms(_Links(model.graph))
    keep_reached(model.graph, outputs)
    for norm in list(_skip_norms(_Links(model.graph))):
        norm.replace()
    keep_reached(model.graph, outputs)
    for node in model.graph.node:
        if node.op_type == "Gelu":
            node.domain = _MICROSOFT
    if _MICROSOFT not in {one.domain for one in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))


@dataclass(frozen=True)
class _Links:
    """Who makes and who reads each value of a graph."""

    graph: onnx.GraphProto
    producer: dict[str, onnx.NodeProto] = field(default_factory=dict)
    readers: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    constants: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.graph.node:
            self.producer.update(dict.fromkeys(node.output, node))
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        for tensor in self.graph.initializer:
            if tensor.data_location != TensorProto.EXTERNAL:
                self.constants[tensor.name] = numpy_helper.to_array(tensor)

    def before(self, name: str, *operators: str) -> list[onnx.NodeProto] | None:
        """The nodes that lead to ``name`` through their first inputs, last first."""
        chain = []
        for operator in operators:
            node = self.producer.get(name)
            if node is None or node.op_type != operator:
                return None
            chain.append(node)
            name = node.input[0]
        return chain

    def after(self, name: str, *operators: str) -> list[onnx.NodeProto] | None:
        """The nodes that alone read ``name``, and each other, first first."""
        chain: list[onnx.NodeProto] = []
        for operator in operators:
            found = self.readers.get(name, [])
            if len(found) != 1 or found[0].op_type != operator:
                return None
            chain += found
            (name,) = found[0].output
        return chain

    def is_weight(self, name: str) -> bool:
        """Whether a value is an initializer, or one that is cast."""
        node = self.producer.get(name)
        return node is None or node.op_type == "Cast"


@dataclass(frozen=True, kw_only=True)
class _Attention:
    """softmax(scale q k^T) v as written out: names of q, k, v [B, T, W], and what it makes."""

    query: str
    key: str
    value: str
    heads: int
    scale: float
    merged: onnx.NodeProto

    def replace(self) -> None:
        """The last node becomes the whole; those before it are dead."""
        self.merged.CopyFrom(
            helper.make_node(
                "MultiHeadAttention",
                [self.query, self.key, self.value],
                list(self.merged.output),
                name=self.merged.name,
                domain=_MICROSOFT,
                num_heads=self.heads,
                scale=self.scale,
            )
        )


def _attentions(links: _Links) -> Iterator[_Attention]:
    for softmax in (node for node in links.graph.node if node.op_type == "Softmax"):
        logits = links.before(softmax.input[0], "MatMul")
        mixed = links.after(softmax.output[0], "MatMul", "Transpose", "Reshape")
        if logits is None or mixed is None or mixed[0].input[0] != softmax.output[0]:
            continue
        query = links.before(logits[0].input[0], "Mul", "Transpose", "Reshape")
        key = links.before(logits[0].input[1], "Transpose", "Reshape")
        value = links.before(mixed[0].input[1], "Transpose", "Reshape")
        if query is None or key is None or value is None:
            continue
        scale = links.constants.get(query[0].input[1])
        split = links.constants.get(query[2].input[1])
        if scale is None or scale.size != 1 or split is None or len(split) != 4:
            continue
        yield _Attention(
            query=query[2].input[0],
            key=key[1].input[0],
            value=value[1].input[0],
            heads=int(split[2]),
            scale=float(scale),
            merged=mixed[2],
        )


def _merge_norms(links: _Links) -> None:
    """Of layer norms that are equal, let the first be read: two paths begin with the same one."""
    first: dict[tuple[str, ...], str] = {}
    for norm in (node for node in links.graph.node if node.op_type == "LayerNormalization"):
        kept = first.setdefault(tuple(norm.input), norm.output[0])
        for node in links.readers.get(norm.output[0], []):
            node.input[:] = [kept if name == norm.output[0] else name for name in node.input]


@dataclass(frozen=True, kw_only=True)
class _SkipNorm:
    """LayerNorm(residual + output + bias) as written out; ``bias`` may be ""."""

    residual: str
    output: str
    bias: str
    add: onnx.NodeProto
    norm: onnx.NodeProto

    def replace(self) -> None:
        """The addition becomes the whole, as its sum is read elsewhere, too; the norm is dead."""
        scale, shift = self.norm.input[1:3]
        epsilon = next(one.f for one in self.norm.attribute if one.name == "epsilon")
        fused = helper.make_node(
            "SkipLayerNormalization",
            [self.residual, self.output, scale, shift, *([self.bias] if self.bias else [])],
            [self.norm.output[0], "", "", self.add.output[0]],
            name=self.add.name,
            domain=_MICROSOFT,
            epsilon=epsilon,
        )
        self.norm.output[0] = f"{self.norm.output[0]}/unfused"
        self.add.CopyFrom(fused)


def _skip_norms(links: _Links) -> Iterator[_SkipNorm]:
    for add in (node for node in links.graph.node if node.op_type == "Add"):
        norms = [
            node
            for node in links.readers.get(add.output[0], [])
            if node.op_type == "LayerNormalization"
        ]
        if not norms or any(links.is_weight(name) for name in add.input):
            continue
        residual, output = add.input
        bias = ""
        biased = links.before(output, "Add", "MatMul")
        if biased is not None and len(links.readers[output]) == 1:
            found = biased[0].input[1]
            if links.is_weight(found):
                output, bias = biased[0].input[0], found
        yield _SkipNorm(residual=residual, output=output, bias=bias, add=add, norm=norms[0])
