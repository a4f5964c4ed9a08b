"""The parameters that a ViT CLIP of given sizes has: their names, shapes, and random values."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip.export._config import ClipConfig, TextConfig, VisionConfig
from clipvet.detectors.errors import UsageError

__all__ = ["check_parameters", "parameter_shapes", "random_parameters"]

_SHOWN = 4


def parameter_shapes(config: ClipConfig) -> dict[str, tuple[int, ...]]:
    """open_clip parameter names -> shapes in torch's layout (linear weights out x in)."""
    vision, text, embed = config.vision, config.text, config.embed_dim
    return {
        "visual.conv1.weight": (vision.width, 3, vision.patch_size, vision.patch_size),
        "visual.class_embedding": (vision.width,),
        "visual.positional_embedding": (1 + vision.grid**2, vision.width),
        **_norm("visual.ln_pre", vision.width),
        **_blocks("visual.transformer", vision),
        **_norm("visual.ln_post", vision.width),
        "visual.proj": (vision.width, embed),
        "token_embedding.weight": (text.vocab_size, text.width),
        "positional_embedding": (text.context_length, text.width),
        **_blocks("transformer", text),
        **_norm("ln_final", text.width),
        "text_projection": (text.width, embed),
        "logit_scale": (),
    }


def check_parameters(config: ClipConfig, state: Mapping[str, NDArray[Any]], where: str) -> None:
    """Compare names and shapes with what ``config`` asks for.

    Raises:
        UsageError: parameters are missing, left over, or of another shape; names the first few.
    """
    shapes = parameter_shapes(config)
    missing = [name for name in shapes if name not in state]
    extra = [name for name in state if name not in shapes]
    other = [
        f"{name} {list(state[name].shape)} instead of {list(shape)}"
        for name, shape in shapes.items()
        if name in state and state[name].shape != shape
    ]
    faults = [("lacks", missing), ("has besides", extra), ("has other sizes:", other)]
    told = "; ".join(f"{verb} {_some(names)}" for verb, names in faults if names)
    if told:
        raise UsageError(
            f"{where} does not fit the model: it {told}. "
            "Name the model it was trained as, or give its --config"
        )


def random_parameters(config: ClipConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """Parameters for tests and timing; each follows from its own name, its shape and ``seed``.

    Normal numbers scaled so that activations stay near 1. No bias is zero and no norm is one,
    so that a graph which forgets one of them gives other numbers.
    """
    return {name: _random(name, shape, seed) for name, shape in parameter_shapes(config).items()}


def _random(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    if name == "logit_scale":
        return np.array(np.log(100), dtype=np.float32)
    rng = np.random.default_rng(zlib.crc32(name.encode()) + seed)
    z = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith("bias"):
        return np.float32(0.01) * z
    if "ln_" in name and name.endswith("weight"):
        return np.float32(1) + np.float32(0.05) * z
    if "embedding" in name:
        return np.float32(0.02) * z
    fan_in = shape[0] if name in ("visual.proj", "text_projection") else math.prod(shape[1:])
    return np.asarray(z / np.sqrt(np.float32(fan_in)), dtype=np.float32)


def _blocks(prefix: str, tower: VisionConfig | TextConfig) -> dict[str, tuple[int, ...]]:
    width, hidden = tower.width, int(tower.width * tower.mlp_ratio)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(tower.layers):
        block = f"{prefix}.resblocks.{layer}"
        shapes |= {
            **_norm(f"{block}.ln_1", width),
            f"{block}.attn.in_proj_weight": (3 * width, width),
            f"{block}.attn.in_proj_bias": (3 * width,),
            f"{block}.attn.out_proj.weight": (width, width),
            f"{block}.attn.out_proj.bias": (width,),
            **_norm(f"{block}.ln_2", width),
            f"{block}.mlp.c_fc.weight": (hidden, width),
            f"{block}.mlp.c_fc.bias": (hidden,),
            f"{block}.mlp.c_proj.weight": (width, hidden),
            f"{block}.mlp.c_proj.bias": (width,),
        }
    return shapes


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
