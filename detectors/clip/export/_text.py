"""The text tower twice over the same weights: from token ids, and from token embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from clipvet.detectors.clip.export._blocks import Block, State, layer_norm
from clipvet.detectors.clip.export._config import ClipConfig
from clipvet.detectors.clip.export._graph import Graph, WeightFile

__all__ = ["text_embeds_graph", "text_graph"]


def text_graph(config: ClipConfig, state: State, weights: WeightFile) -> Graph:
    """Token ids to text embeddings.

    Input ``input_ids`` int64 [M, T], T at most the context length: the mask is causal, so
    anything after the end-of-text token may be left out. Output ``text_embed`` float32 [M, E],
    not normalised, read at the largest id of each row, which is the end of text.
    """
    tower = _Tower(Graph("text", weights), config, state)
    g = tower.g
    ids = g.input("input_ids", TensorProto.INT64, ["M", "T"])
    table = g.weight("token_embedding.weight", state["token_embedding.weight"])
    tokens = g.add("Gather", table, ids, axis=0)
    end = g.add("ArgMax", ids, axis=1, keepdims=0)
    x = tower.with_positions(tokens)
    mask = tower.causal_mask(tokens)
    for layer in range(config.text.layers):
        x = tower.block(x, layer, mask)
    g.output(tower.read(x, end), "text_embed", ["M", config.embed_dim])
    return g


def text_embeds_graph(config: ClipConfig, state: State, weights: WeightFile) -> Graph:
    """Token embeddings to text embeddings, with deep prompts: for learned prompts.

    Inputs:
        token_embeds float32 [M, T, Wt]: before positions are added.
        end int64 [M]: index of the end-of-text token.
        deep_tokens float32 [M or 1, L-1, D, Wt]: overwrite positions 1..D before block i = 1..L-1.
        deep_layers float32 [L-1]: 1 where block i is overwritten, else 0. D may be 0.

    Output ``text_embed`` as in :func:`text_graph`.
    """
    tower = _Tower(Graph("text_embeds", weights), config, state)
    g, text = tower.g, config.text
    tokens = g.input("token_embeds", TensorProto.FLOAT, ["M", "T", text.width])
    end = g.input("end", TensorProto.INT64, ["M"])
    deep = g.input("deep_tokens", TensorProto.FLOAT, ["P", text.layers - 1, "D", text.width])
    switches = g.input("deep_layers", TensorProto.FLOAT, [text.layers - 1])
    x = tower.with_positions(tokens)
    mask = tower.causal_mask(tokens)
    after = g.add("Add", g.add("Shape", deep, start=2, end=3), g.ints(1))
    for layer in range(text.layers):
        if layer > 0:
            x = tower.overwrite(x, deep, switches, layer - 1, after)
        x = tower.block(x, layer, mask)
    g.output(tower.read(x, end), "text_embed", ["M", config.embed_dim])
    return g


@dataclass(frozen=True)
class _Tower:
    g: Graph
    config: ClipConfig
    state: State

    def block(self, x: str, index: int, mask: str) -> str:
        text = self.config.text
        block = Block(
            self.g,
            self.state,
            f"transformer.resblocks.{index}",
            text.width,
            text.heads,
            self.config.quick_gelu,
        )
        q, k, v = block.split(block.qkv(x))
        mid = self.g.add("Add", x, block.attention(q, k, v, mask))
        return self.g.add("Add", mid, block.mlp(mid))

    def with_positions(self, tokens: str) -> str:
        g = self.g
        positions = g.weight("positional_embedding", self.state["positional_embedding"])
        length = g.add("Shape", tokens, start=1, end=2)
        return g.add("Add", tokens, g.add("Slice", positions, g.ints(0), length, g.ints(0)))

    def causal_mask(self, tokens: str) -> str:
        """[T, T], 0 on and below the diagonal, a large negative number above."""
        g = self.g
        context = self.config.text.context_length
        above = np.triu(np.full((context, context), -1e9, dtype=np.float32), 1)
        length = g.add("Shape", tokens, start=1, end=2)
        full = g.constant("causal_mask", above)
        square = g.add("Concat", length, length, axis=0)
        return g.add("Slice", full, g.ints(0, 0), square, g.ints(0, 1))

    def overwrite(self, x: str, deep: str, switches: str, index: int, after: str) -> str:
        """Positions 1..D take the deep tokens of this layer where its switch is on."""
        g = self.g
        last = g.ints(np.iinfo(np.int64).max)
        old = g.add("Slice", x, g.ints(1), after, g.ints(1))
        new = g.add("Gather", deep, g.constant(f"layer_{index}", np.array(index)), axis=1)
        switch = g.add("Slice", switches, g.ints(index), g.ints(index + 1), g.ints(0))
        chosen = g.add("Where", g.add("Cast", switch, to=TensorProto.BOOL), new, old)
        first = g.add("Slice", x, g.ints(0), g.ints(1), g.ints(1))
        return g.add("Concat", first, chosen, g.add("Slice", x, after, last, g.ints(1)), axis=1)

    def read(self, x: str, end: str) -> str:
        """ln_final and projection of the end-of-text token: [M, E]."""
        g = self.g
        normed = layer_norm(g, x, "ln_final", self.state)
        column = g.add("Unsqueeze", end, g.ints(1))
        row = g.add("GatherND", normed, column, batch_dims=1)
        projection = g.weight("text_projection", self.state["text_projection"])
        return g.add("MatMul", row, projection)
