"""The image tower with every output that a detector may ask for, over one set of weights.

The runtime prunes this graph to the outputs that the detectors of a run need, so an output that
nobody reads costs nothing. Names and meanings: ``clipvet.detectors.FEATURES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from onnx import TensorProto

from clipvet.detectors.clip._windows import window_indices
from clipvet.detectors.clip.export._blocks import Block, State, layer_norm
from clipvet.detectors.clip.export._config import ClipConfig
from clipvet.detectors.clip.export._graph import Graph, WeightFile

__all__ = ["WINDOW_SIDES", "default_vv_start", "vision_graph"]

WINDOW_SIDES = (2, 3)
_BLOCK = "visual.transformer.resblocks.{}"


def default_vv_start(layers: int) -> int:
    """First block (0-based) of the local value-value path: AnomalyCLIP's 5 of 24, by ratio."""
    return round(layers * 5 / 24)


def vision_graph(
    config: ClipConfig, state: State, weights: WeightFile, *, vv_start: int
) -> tuple[Graph, dict[str, tuple[int, ...]]]:
    """Write the image tower.

    Args:
        config: sizes; ``state["visual.positional_embedding"]`` must fit ``config.vision.grid``.
        state: open_clip parameter names -> arrays.
        weights: where the parameters go.
        vv_start: first block of ``vv_local``.

    Returns:
        The graph (input ``pixel_values`` float32 [V, 3, S, S]) and, for each output, its shape
        without the view axis.
    """
    tower = _Tower(Graph("vision", weights, int8=True), config, state)
    g, vision = tower.g, config.vision
    tokens = tower.tokens(
        g.input("pixel_values", TensorProto.FLOAT, ["V", 3, vision.image_size, vision.image_size])
    )
    path = tower.ordinary_path(layer_norm(g, tokens, "visual.ln_pre", state), vv_start)
    values = {
        "cls_raw": tower.class_token(path.after[-1]),
        "cls_embed": tower.embed_class_token(path.after[-1]),
        "patch_tokens": tower.patches(layer_norm(g, path.after[-1], "visual.ln_post", state)),
        "patch_embed": tower.patches(tower.embed(path.after[-1])),
        "local_embed": tower.patches(tower.embed(tower.local_last_block(path))),
        "vv_local": path.vv_local,
        "vv_local_embed": tower.embed(path.vv_local),
    }
    # With fewer than four blocks a quarter would be empty.
    stages = [vision.layers * k // 4 for k in range(5)] if vision.layers >= 4 else []
    for k, (first, end) in enumerate(pairwise(stages), 1):
        values[f"hidden_{k}"] = path.after[end]
        values[f"vv_stage_{k}"] = tower.total([path.vv[i] for i in range(first, end)])
        values[f"vv_stage_{k}_embed"] = tower.embed(values[f"vv_stage_{k}"])
        if k < 4:
            # SDP's released layers read `mid` of the next block here: the original aliases an
            # in-place residual, and its weights were trained with that (CLIP-AD).
            values[f"mid_{k}"] = path.mid[end]
    for side in WINDOW_SIDES:
        if vision.grid >= side:
            values[f"win{side}_embed"] = tower.windows(path, side)
    shapes = _shapes(config)
    for name in sorted(values):
        g.output(values[name], name, ["V", *shapes[name]])
    return g, {name: shapes[name] for name in sorted(values)}


@dataclass(frozen=True)
class _Path:
    """Values of the ordinary path; ``after[l]`` are the tokens after l blocks."""

    after: list[str]
    mid: list[str]
    vv: list[str]
    vv_local: str
    first_qkv: str


@dataclass(frozen=True)
class _Tower:
    g: Graph
    config: ClipConfig
    state: State

    def block(self, index: int) -> Block:
        vision = self.config.vision
        return Block(
            self.g,
            self.state,
            _BLOCK.format(index),
            vision.width,
            vision.heads,
            self.config.quick_gelu,
        )

    def tokens(self, pixels: str) -> str:
        """Class token and patches with positions added, before ln_pre: [V, 1+N, W]."""
        g, vision = self.g, self.config.vision
        kernel = g.weight("visual.conv1.weight", self.state["visual.conv1.weight"])
        side = [vision.patch_size] * 2
        grid = g.add("Conv", pixels, kernel, kernel_shape=side, strides=side)
        flat = g.add("Reshape", grid, g.ints(0, vision.width, -1))
        patches = g.add("Transpose", flat, perm=[0, 2, 1])
        positions = self.state["visual.positional_embedding"]
        # The class token is the same for every view: its position is added here, once.
        first = g.weight(
            "visual.class_token_with_position",
            (self.state["visual.class_embedding"] + positions[0])[None, None],
        )
        views = g.add("Shape", pixels, start=0, end=1)
        shape = g.add("Concat", views, g.ints(1, vision.width), axis=0)
        placed = g.add("Add", patches, g.weight("visual.patch_positions", positions[1:][None]))
        return g.add("Concat", g.add("Expand", first, shape), placed, axis=1)

    def ordinary_path(self, x: str, vv_start: int) -> _Path:
        """All blocks, and beside each the value-value attention on its own input."""
        after, mid, vv = [x], [], []
        first_qkv = ""
        for index in range(self.config.vision.layers):
            block = self.block(index)
            qkv = block.qkv(x)
            first_qkv = first_qkv or qkv
            q, k, v = block.split(qkv)
            vv.append(block.attention(v, v, v))
            mid.append(self.g.add("Add", x, block.attention(q, k, v)))
            x = self.g.add("Add", mid[-1], block.mlp(mid[-1]))
            after.append(x)
        return _Path(after, mid, vv, self.total([after[vv_start], *vv[vv_start:]]), first_qkv)

    def local_last_block(self, path: _Path) -> str:
        """The last block with attention replaced by each token's own value (GL-MCM)."""
        block, x = self.block(self.config.vision.layers - 1), path.after[-2]
        _q, _k, v = block.split(block.qkv(x))
        mid = self.g.add("Add", x, block.output_projection(v))
        return self.g.add("Add", mid, block.mlp(mid))

    def windows(self, path: _Path, side: int) -> str:
        """Embedding of every window of side x side patches, stride 1: [V, n, E].

        A window's sequence is the class token and its own patches, positions already added
        (WinCLIP, section 4.1). ln_pre and the first block's projections act token by token, so
        they are taken from the full image; the last block is computed for the class token only.
        """
        g, width = self.g, self.config.vision.width
        patches = window_indices(self.config.vision.grid, side) + 1
        index = g.constant(
            f"window_{side}_tokens",
            np.concatenate([np.zeros_like(patches[:, :1]), patches], axis=1),
        )
        length = 1 + side * side
        flat = g.ints(-1, length, width)
        x = g.add("Reshape", g.add("Gather", path.after[0], index, axis=1), flat)
        qkv = g.add(
            "Reshape",
            g.add("Gather", path.first_qkv, index, axis=1),
            g.ints(-1, length, 3 * width),
        )
        last = self.config.vision.layers - 1
        for layer in range(last + 1):
            block = self.block(layer)
            q, k, v = block.split(qkv if layer == 0 else block.qkv(x))
            if layer == last:
                q, x = self.class_rows(q), self.class_rows(x)
            mid = g.add("Add", x, block.attention(q, k, v))
            x = g.add("Add", mid, block.mlp(mid))
        return g.add("Reshape", self.embed(x), g.ints(-1, len(patches), self.config.embed_dim))

    def class_rows(self, x: str) -> str:
        """[B, T, W] -> [B, 1, W]."""
        return self.g.add("Slice", x, self.g.ints(0), self.g.ints(1), self.g.ints(1))

    def class_token(self, x: str) -> str:
        """[B, T, W] -> [B, W]."""
        return self.g.add("Squeeze", self.class_rows(x), self.g.ints(1))

    def patches(self, x: str) -> str:
        """[B, 1+N, C] -> [B, N, C]."""
        g = self.g
        return g.add("Slice", x, g.ints(1), g.ints(np.iinfo(np.int64).max), g.ints(1))

    def embed(self, x: str) -> str:
        """ln_post, then the projection to the joint space, token by token."""
        normed = layer_norm(self.g, x, "visual.ln_post", self.state)
        return self.g.add("MatMul", normed, self.g.weight("visual.proj", self.state["visual.proj"]))

    def embed_class_token(self, x: str) -> str:
        """Embedding of the class token.

        Two rows a view go through the product: with a single row in all, the runtime would
        take its matrix-vector kernel, whose rounding differs, and a view scored alone would
        not equal the same view in a batch.
        """
        g = self.g
        two = g.add("Slice", x, g.ints(0), g.ints(2), g.ints(1))
        return self.class_token(self.embed(two))

    def total(self, values: list[str]) -> str:
        return values[0] if len(values) == 1 else self.g.add("Sum", *values)


def _shapes(config: ClipConfig) -> Mapping[str, tuple[int, ...]]:
    vision, embed = config.vision, config.embed_dim
    patches, width = vision.grid**2, vision.width
    stages = {
        f"{name}_{k}": (1 + patches, width) for name in ("hidden", "vv_stage") for k in range(1, 5)
    }
    return {
        **stages,
        **{f"mid_{k}": (1 + patches, width) for k in range(1, 4)},
        **{f"vv_stage_{k}_embed": (1 + patches, embed) for k in range(1, 5)},
        **{f"win{s}_embed": ((vision.grid - s + 1) ** 2, embed) for s in WINDOW_SIDES},
        "cls_raw": (width,),
        "cls_embed": (embed,),
        "patch_tokens": (patches, width),
        "patch_embed": (patches, embed),
        "local_embed": (patches, embed),
        "vv_local": (1 + patches, width),
        "vv_local_embed": (1 + patches, embed),
    }
