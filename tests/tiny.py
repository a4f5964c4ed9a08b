"""The tiny CLIP of the golden vectors: every parameter follows from its name."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip import Bundle
from clipvet.detectors.clip.export import (
    ClipConfig,
    Source,
    TokenizerFiles,
    parse_config,
    write_bundle,
)

TINY = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 96, "layers": 6, "width": 96, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3},
}


def tiny_config(*, quick_gelu: bool) -> ClipConfig:
    return parse_config({**TINY, "quick_gelu": quick_gelu})


def tiny_state(config: ClipConfig) -> dict[str, NDArray[np.float32]]:
    """All parameters of a model of these sizes, by the rules of the golden README, section 1."""
    return {name: _parameter(name, shape) for name, shape in _shapes(config).items()}


def openai_tokenizer() -> TokenizerFiles:
    """CLIP's byte-pair vocabulary, from the installed open_clip."""
    import open_clip

    from clipvet.detectors.clip.export import clip_tokenizer

    return clip_tokenizer(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz")


def tiny_bundle(
    out: Path, *, quick_gelu: bool = False, tokenizer: TokenizerFiles, **options: Any
) -> Bundle:
    config = tiny_config(quick_gelu=quick_gelu)
    return write_bundle(
        out,
        config=config,
        state=tiny_state(config),
        tokenizer=tokenizer,
        name="tiny-quickgelu" if quick_gelu else "tiny-gelu",
        description="Random weights for tests: its scores mean nothing.",
        licence="Apache-2.0",
        source=Source(model="tiny-test", weights="generated from parameter names"),
        **options,
    )


def _parameter(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name == "logit_scale":
        return np.array(np.log(100), dtype=np.float32)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    z = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith("bias"):
        return np.float32(0.01) * z
    if "ln_" in name and name.endswith("weight"):
        return 1 + np.float32(0.05) * z
    if "embedding" in name:
        return np.float32(0.02) * z
    if name == "visual.proj" or name.startswith("text_projection"):
        return (z / np.sqrt(np.float32(shape[0]))).astype(np.float32)
    return (z / np.sqrt(np.float32(np.prod(shape[1:])))).astype(np.float32)


def _shapes(config: ClipConfig) -> dict[str, tuple[int, ...]]:
    vision, text, embed = config.vision, config.text, config.embed_dim
    patch = vision.patch_size
    shapes: dict[str, tuple[int, ...]] = {
        "visual.conv1.weight": (vision.width, 3, patch, patch),
        "visual.class_embedding": (vision.width,),
        "visual.positional_embedding": (1 + vision.grid**2, vision.width),
        "visual.proj": (vision.width, embed),
        "token_embedding.weight": (text.vocab_size, text.width),
        "positional_embedding": (text.context_length, text.width),
        "text_projection": (text.width, embed),
        "logit_scale": (),
    }
    norms = {"visual.ln_pre": vision.width, "visual.ln_post": vision.width,
             "ln_final": text.width}  # fmt: skip
    for tower, sizes in (("visual.", vision), ("", text)):
        w = sizes.width
        for layer in range(sizes.layers):
            block = f"{tower}transformer.resblocks.{layer}"
            norms |= {f"{block}.ln_1": w, f"{block}.ln_2": w}
            shapes |= {
                f"{block}.attn.in_proj_weight": (3 * w, w),
                f"{block}.attn.in_proj_bias": (3 * w,),
                f"{block}.attn.out_proj.weight": (w, w),
                f"{block}.attn.out_proj.bias": (w,),
                f"{block}.mlp.c_fc.weight": (4 * w, w),
                f"{block}.mlp.c_fc.bias": (4 * w,),
                f"{block}.mlp.c_proj.weight": (w, 4 * w),
                f"{block}.mlp.c_proj.bias": (w,),
            }
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes
