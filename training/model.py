"""open_clip's own CLIP, run with sine positions on any grid, with windows and trimmed texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from training.tokenizer import CONTEXT, vocabulary_size

__all__ = ["MEAN", "STD", "build", "config", "encode_text", "finish", "positions", "tokens"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_SPAN = 16.0


def config(
    *,
    image_size: int = 192,
    patch: int = 8,
    width: int = 192,
    layers: int = 6,
    text_width: int = 128,
    text_layers: int = 4,
    embed_dim: int = 192,
) -> dict[str, Any]:
    """An open_clip model config."""
    return {
        "embed_dim": embed_dim,
        "vision_cfg": {
            "image_size": image_size,
            "layers": layers,
            "width": width,
            "head_width": 64,
            "patch_size": patch,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": vocabulary_size(),
            "width": text_width,
            "heads": text_width // 64,
            "layers": text_layers,
        },
    }


def build(settings: dict[str, Any]) -> Any:
    """``open_clip.CLIP`` of a config, with fixed sine positions for its grid."""
    import open_clip

    model = open_clip.CLIP(settings["embed_dim"], settings["vision_cfg"], settings["text_cfg"])
    vision = settings["vision_cfg"]
    grid = vision["image_size"] // vision["patch_size"]
    table = positions(grid, vision["width"])
    model.visual.positional_embedding.requires_grad_(False)
    model.visual.positional_embedding.copy_(table)
    with torch.no_grad():
        model.logit_scale.fill_(float(np.log(1 / 0.07)))
    return model


def positions(grid: int, width: int, *, span: float = _SPAN, shift: float = 0.0) -> Tensor:
    """Sine table [1 + grid * grid, width] with a zero row for the class token.

    The picture always spans ``span`` units, whatever the grid, so that a model trained on a
    coarse grid can be shipped on a finer one.
    """
    quarter = width // 4
    place = (torch.arange(grid, dtype=torch.float32) + 0.5) * (span / grid) + shift
    omega = 1000.0 ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
    wave = place[:, None] * omega
    axis = torch.cat([wave.sin(), wave.cos()], dim=1)
    rows = axis[:, None, :].expand(grid, grid, -1)
    columns = axis[None, :, :].expand(grid, grid, -1)
    table = torch.cat([rows, columns], dim=2).reshape(grid * grid, width)
    return 0.3 * torch.cat([torch.zeros(1, width), table])


def tokens(model: Any, pixels: Tensor, table: Tensor) -> Tensor:
    """Tokens [B, 1 + N, W] after the positions and before ``ln_pre``, of uint8 [B, S, S, 3]."""
    mean, std = (
        pixels.new_tensor(MEAN, dtype=torch.float32),
        pixels.new_tensor(STD, dtype=torch.float32),
    )
    x = (pixels.float() / 255 - mean) / std
    patch = model.visual.conv1.weight.shape[-1]
    batch, side = x.shape[0], x.shape[1] // patch
    x = x.reshape(batch, side, patch, side, patch, 3).permute(0, 1, 3, 5, 2, 4)
    x = x.reshape(batch, side * side, -1) @ model.visual.conv1.weight.flatten(1).T
    first = model.visual.class_embedding.to(x.dtype).expand(batch, 1, -1)
    return torch.cat([first, x], dim=1) + table


def finish(model: Any, x: Tensor) -> Tensor:
    """All tokens after the last block, raw [B, n, W]; ``ln_post`` and ``proj`` come after."""
    x = model.visual.ln_pre(x)
    for block in model.visual.transformer.resblocks:
        x = x + _attend(block.attn, block.ln_1(x))
        x = x + block.mlp(block.ln_2(x))
    return x


def encode_text(model: Any, ids: Tensor) -> Tensor:
    """Text embeddings [M, E], not normalised; equal to ``model.encode_text``, padding cut off."""
    end = ids.argmax(dim=1)
    n = int(end.max()) + 1
    x = model.token_embedding(ids[:, :n]) + model.positional_embedding[:n]
    x = model.transformer(x, attn_mask=model.attn_mask[:n, :n])
    x = model.ln_final(x)
    out: Tensor = x[torch.arange(len(x)), end] @ model.text_projection
    return out


def _attend(attention: Any, x: Tensor) -> Tensor:
    """``nn.MultiheadAttention`` on itself, written out.

    On CPUs in bfloat16 two batched products and a softmax are 1.5 times as fast, forwards and
    backwards, as the fused kernel that torch takes (NOTES.md).
    """
    batch, n, width = x.shape
    heads = attention.num_heads
    joint = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = joint.view(batch, n, 3, heads, -1).permute(2, 0, 3, 1, 4)
    weight = ((q * (width // heads) ** -0.5) @ k.transpose(-1, -2)).softmax(-1)
    out: Tensor = attention.out_proj((weight @ v).transpose(1, 2).reshape(batch, n, width))
    return out
