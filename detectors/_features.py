"""The names of what one pass of the image tower can give.

V views, W vision width, E joint embedding width, N = G*G patches in row-major order, L blocks.
"Stage k" is the k-th quarter of the blocks. Of a convolutional trunk beside the ViT: N8 and N16
cells in row-major order, C8 and C16 channels. Definitions: ``docs/features.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FEATURES", "TRUNK_FEATURES", "VIT_FEATURES", "FeatureSpec", "TokenLayout"]

TokenLayout = Literal["class", "class+grid", "grid", "windows"]
"""What the rows of a feature are: ``class``, one vector for each view; ``class+grid``, the class
token and then the cells of a grid; ``grid``, the cells alone; ``windows``, one row a window."""


@dataclass(frozen=True)
class FeatureSpec:
    """Shape (symbolic, float32), meaning and layout of one feature.

    The grid of a feature in one bundle is ``BundleInfo.feature_grid(name)``.
    """

    shape: tuple[str, ...]
    meaning: str
    tokens: TokenLayout


def _staged(name: str, shape: tuple[str, ...], meaning: str, count: int) -> dict[str, FeatureSpec]:
    return {
        name.format(k): FeatureSpec(shape, meaning.format(k=k, of=f"{k}L/4"), "class+grid")
        for k in range(1, count + 1)
    }


VIT_FEATURES: dict[str, FeatureSpec] = {
    "cls_embed": FeatureSpec(
        ("V", "E"), "image embedding: ln_post(class token) @ proj, not unit", "class"
    ),
    "cls_raw": FeatureSpec(("V", "W"), "class token after the last block, before ln_post", "class"),
    "patch_tokens": FeatureSpec(
        ("V", "N", "W"), "patch tokens after ln_post, not projected", "grid"
    ),
    "patch_embed": FeatureSpec(("V", "N", "E"), "patch_tokens @ proj", "grid"),
    "local_embed": FeatureSpec(
        ("V", "N", "E"),
        "patches through a last block whose attention mixes nothing (values only), "
        "then ln_post and proj: the local features of GL-MCM",
        "grid",
    ),
    "vv_local": FeatureSpec(
        ("V", "1+N", "W"),
        "x_s + the value-value attention outputs of blocks s..L (AnomalyCLIP, DPAM)",
        "class+grid",
    ),
    "vv_local_embed": FeatureSpec(("V", "1+N", "E"), "ln_post(vv_local) @ proj", "class+grid"),
    "win2_embed": FeatureSpec(
        ("V", "n2", "E"),
        "embedding of each 2x2 window of patch tokens, stride 1 (WinCLIP)",
        "windows",
    ),
    "win3_embed": FeatureSpec(
        ("V", "n3", "E"),
        "embedding of each 3x3 window of patch tokens, stride 1 (WinCLIP)",
        "windows",
    ),
    **_staged("hidden_{}", ("V", "1+N", "W"), "all tokens after {of} blocks, raw residual", 4),
    **_staged(
        "mid_{}", ("V", "1+N", "W"), "tokens of block {of} between its attention and its MLP", 3
    ),
    **_staged(
        "vv_stage_{}", ("V", "1+N", "W"), "sum of value-value attention outputs in stage {k}", 4
    ),
    **_staged("vv_stage_{}_embed", ("V", "1+N", "E"), "ln_post(vv_stage_{k}) @ proj", 4),
}
"""What the ViT of a bundle can give."""

TRUNK_FEATURES: dict[str, FeatureSpec] = {
    "trunk_8": FeatureSpec(
        ("V", "N8", "C8"),
        "cells of the convolutional trunk at stride 8, each channel standardised",
        "grid",
    ),
    "trunk_16": FeatureSpec(
        ("V", "N16", "C16"),
        "cells of the convolutional trunk at stride 16, each channel standardised",
        "grid",
    ),
}
"""What the convolutional trunk beside it can give; few bundles have one."""

FEATURES: dict[str, FeatureSpec] = {**VIT_FEATURES, **TRUNK_FEATURES}
"""What one pass can give, by name: shape and meaning. Definitions: docs/features.md."""
