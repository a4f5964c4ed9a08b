"""The names of what one pass of the vision tower can give.

V views, W vision width, E joint embedding width, N = G*G patches in row-major order, L blocks.
"Stage k" is the k-th quarter of the blocks. Definitions: design notes on the shared tower,
``docs/features.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FEATURES", "FeatureSpec"]


@dataclass(frozen=True)
class FeatureSpec:
    """Shape (symbolic, float32) and meaning of one feature."""

    shape: tuple[str, ...]
    meaning: str


def _staged(name: str, shape: tuple[str, ...], meaning: str, count: int) -> dict[str, FeatureSpec]:
    return {
        name.format(k): FeatureSpec(shape, meaning.format(k=k, of=f"{k}L/4"))
        for k in range(1, count + 1)
    }


FEATURES: dict[str, FeatureSpec] = {
    "cls_embed": FeatureSpec(("V", "E"), "image embedding: ln_post(class token) @ proj, not unit"),
    "cls_raw": FeatureSpec(("V", "W"), "class token after the last block, before ln_post"),
    "patch_tokens": FeatureSpec(("V", "N", "W"), "patch tokens after ln_post, not projected"),
    "patch_embed": FeatureSpec(("V", "N", "E"), "patch_tokens @ proj"),
    "local_embed": FeatureSpec(
        ("V", "N", "E"),
        "patches through a last block whose attention mixes nothing (values only), "
        "then ln_post and proj: the local features of GL-MCM",
    ),
    "vv_local": FeatureSpec(
        ("V", "1+N", "W"),
        "x_s + the value-value attention outputs of blocks s..L (AnomalyCLIP, DPAM)",
    ),
    "vv_local_embed": FeatureSpec(("V", "1+N", "E"), "ln_post(vv_local) @ proj"),
    "win2_embed": FeatureSpec(
        ("V", "n2", "E"), "embedding of each 2x2 window of patch tokens, stride 1 (WinCLIP)"
    ),
    "win3_embed": FeatureSpec(
        ("V", "n3", "E"), "embedding of each 3x3 window of patch tokens, stride 1 (WinCLIP)"
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
"""What one pass can give, by name: shape and meaning. Definitions: docs/features.md."""
