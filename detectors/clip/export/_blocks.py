"""One transformer block in explicit ONNX operators, shared by both towers.

Block l on tokens x [B, T, W] (pre-norm, head width d):
    q, k, v = LN1(x) Wqkv;  mid = x + O(softmax(q k^T / sqrt(d)) v);  x' = mid + MLP(LN2(mid)).
The value-value branch of the same block is vv = O(softmax(v v^T / sqrt(d)) v).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip.export._graph import Graph

__all__ = ["Block", "State", "layer_norm", "linear"]

State = Mapping[str, NDArray[Any]]


def layer_norm(g: Graph, x: str, prefix: str, state: State) -> str:
    """LayerNorm over the last axis, epsilon 1e-5."""
    scale = g.weight(f"{prefix}.weight", state[f"{prefix}.weight"])
    bias = g.weight(f"{prefix}.bias", state[f"{prefix}.bias"])
    return g.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)


def linear(g: Graph, x: str, name: str, weight: NDArray[Any], bias: NDArray[Any] | None) -> str:
    """Write x @ weight^T + bias; the weight is stored transposed so that no node has to do it."""
    y = g.add("MatMul", x, g.matrix(f"{name}.weight_t", weight.T))
    return y if bias is None else g.add("Add", y, g.weight(f"{name}.bias", bias))


@dataclass(frozen=True)
class Block:
    """Writes the pieces of one block; the towers put them together.

    Attributes:
        prefix: of the block's parameters, for example ``visual.transformer.resblocks.3``.
        quick_gelu: activation of the MLP, see :class:`ClipConfig`.
    """

    g: Graph
    state: State
    prefix: str
    width: int
    heads: int
    quick_gelu: bool

    def qkv(self, x: str) -> str:
        """LN1 and the joint projection: [.., T, 3W], order q, k, v."""
        normed = layer_norm(self.g, x, f"{self.prefix}.ln_1", self.state)
        return linear(
            self.g,
            normed,
            f"{self.prefix}.attn.in_proj",
            self.state[f"{self.prefix}.attn.in_proj_weight"],
            self.state[f"{self.prefix}.attn.in_proj_bias"],
        )

    def split(self, qkv: str) -> tuple[str, str, str]:
        """[.., T, 3W] -> q, k, v of width W each."""
        q, k, v = self.g.add_many("Split", qkv, outputs=3, axis=-1, num_outputs=3)
        return q, k, v

    def attention(self, q: str, k: str, v: str, mask: str | None = None) -> str:
        """O(softmax(q k^T / sqrt(d) + mask) v); q may have fewer tokens than k and v."""
        g, d = self.g, self.width // self.heads
        # The scale goes into q, the smallest of the operands.
        scale = g.constant(f"scale_{d}", np.array(d**-0.5, dtype=np.float32))
        logits = g.add(
            "MatMul", g.add("Mul", self._heads_first(q), scale), self._heads_first(k, last=True)
        )
        if mask is not None:
            logits = g.add("Add", logits, mask)
        mixed = g.add("MatMul", g.add("Softmax", logits, axis=-1), self._heads_first(v))
        merged = g.add(
            "Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.ints(0, 0, self.width)
        )
        return self.output_projection(merged)

    def output_projection(self, x: str) -> str:
        """O x + b."""
        return linear(
            self.g,
            x,
            f"{self.prefix}.attn.out_proj",
            self.state[f"{self.prefix}.attn.out_proj.weight"],
            self.state[f"{self.prefix}.attn.out_proj.bias"],
        )

    def mlp(self, x: str) -> str:
        """MLP(LN2(x)), without the residual."""
        normed = layer_norm(self.g, x, f"{self.prefix}.ln_2", self.state)
        hidden = self._mlp_linear("c_fc", normed)
        return self._mlp_linear("c_proj", self._activation(hidden))

    def _mlp_linear(self, name: str, x: str) -> str:
        full = f"{self.prefix}.mlp.{name}"
        return linear(self.g, x, full, self.state[f"{full}.weight"], self.state[f"{full}.bias"])

    def _activation(self, x: str) -> str:
        if not self.quick_gelu:
            return self.g.add("Gelu", x)
        slope = self.g.constant("quick_gelu_slope", np.array(1.702, dtype=np.float32))
        return self.g.add("Mul", x, self.g.add("Sigmoid", self.g.add("Mul", x, slope)))

    def _heads_first(self, x: str, *, last: bool = False) -> str:
        """[B, T, W] -> [B, heads, T, d], or [B, heads, d, T] for the right side of q k^T."""
        split = self.g.add("Reshape", x, self.g.ints(0, 0, self.heads, self.width // self.heads))
        return self.g.add("Transpose", split, perm=[0, 2, 3, 1] if last else [0, 2, 1, 3])
