"""The sizes of a CLIP with a ViT image tower, read from open_clip's own config format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import UsageError

__all__ = ["ClipConfig", "TextConfig", "VisionConfig", "parse_config"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class VisionConfig(_Frozen):
    """Image tower: pre-norm ViT with a class token and learned positions."""

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_ratio: float = 4.0

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size


class TextConfig(_Frozen):
    """Text tower: pre-norm causal transformer, read at the end-of-text token."""

    context_length: int
    vocab_size: int
    width: int
    layers: int
    heads: int
    mlp_ratio: float = 4.0


class ClipConfig(_Frozen):
    """Both towers, the width of the joint space, and the activation of every MLP."""

    embed_dim: int
    quick_gelu: bool
    vision: VisionConfig
    text: TextConfig

    @property
    def activation(self) -> str:
        """``quickgelu`` (x * sigmoid(1.702 x)) or ``gelu`` (exact, erf)."""
        return "quickgelu" if self.quick_gelu else "gelu"


# Keys of open_clip's towers that change the graph; anything but the value here is another
# architecture, and exporting it as a plain ViT CLIP would give wrong numbers silently.
_PLAIN_BLOCKS = {
    "act_kwargs": None,
    "block_type": "default",
    "norm_kwargs": None,
    "qk_norm": False,
    "scale_attn": False,
    "scale_attn_inner": False,
    "scale_fc": False,
    "scale_heads": False,
    "scaled_cosine_attn": False,
}
_PLAIN_VISION = {
    **_PLAIN_BLOCKS,
    "attentional_pool": False,
    "global_average_pool": False,
    "input_patchnorm": False,
    "ls_init_value": None,
    "no_ln_pre": False,
    "pool_type": "tok",
    "pos_embed_type": "learnable",
    "final_ln_after_pool": False,
    "timm_model_name": None,
}
_PLAIN_TEXT = {
    **_PLAIN_BLOCKS,
    "embed_cls": False,
    "final_ln_after_pool": False,
    "hf_model_name": None,
    "hf_tokenizer_name": None,
    "ls_init_value": None,
    "no_causal_mask": False,
    "pool_type": "argmax",
    "proj_type": "linear",
    "proj_bias": False,
    "tokenizer_kwargs": None,
    "tokenizer_mode": None,
}


def parse_config(
    source: Mapping[str, Any] | str | Path, *, name: str = "the model config"
) -> ClipConfig:
    """Read an open_clip model config.

    Args:
        source: the config itself, or the path of a JSON file that holds it (a file of a hub
            repository, with the config under ``model_cfg``, serves as well).
        name: what errors call a config that comes without a path.

    Raises:
        UsageError: the file is no such config, or describes no plain ViT CLIP.
    """
    if not isinstance(source, Mapping):
        name = str(source)
        try:
            source = parse_json(Path(source).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{name} is not a readable JSON model config: {error}") from None
    try:
        return _parsed(name, source)
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        what = " ".join(str(error).split())
        raise UsageError(f"{name} is not a complete open_clip model config: {what}") from None


def _parsed(name: str, source: Any) -> ClipConfig:
    config = source.get("model_cfg", source)
    vision, text = config.get("vision_cfg"), config.get("text_cfg")
    if not isinstance(vision, Mapping) or not isinstance(text, Mapping):
        raise UsageError(f"{name} has no vision_cfg and text_cfg: not an open_clip model config")
    if isinstance(vision.get("layers"), list | tuple):
        raise UsageError(f"{name} describes a ResNet image tower; clipvet exports ViT towers")
    _refuse_other_architectures(name, vision, _PLAIN_VISION)
    _refuse_other_architectures(name, text, _PLAIN_TEXT)
    size, patch = vision.get("image_size", 224), vision.get("patch_size", 16)
    if isinstance(size, list | tuple):
        if size[0] != size[1]:
            raise UsageError(f"{name} has a non-square image size {size}; clipvet exports square")
        size = size[0]
    if size % patch:
        raise UsageError(f"{name}: image size {size} is no multiple of patch size {patch}")
    width = vision.get("width", 768)
    return ClipConfig(
        embed_dim=config["embed_dim"],
        quick_gelu=bool(config.get("quick_gelu", False)),
        vision=VisionConfig(
            image_size=size,
            patch_size=patch,
            width=width,
            layers=vision.get("layers", 12),
            heads=width // vision.get("head_width", 64),
            mlp_ratio=vision.get("mlp_ratio", 4.0),
        ),
        text=TextConfig(
            context_length=text.get("context_length", 77),
            vocab_size=text.get("vocab_size", 49408),
            width=text.get("width", 512),
            layers=text.get("layers", 12),
            heads=text.get("heads", 8),
            mlp_ratio=text.get("mlp_ratio", 4.0),
        ),
    )


def _refuse_other_architectures(
    name: str, tower: Mapping[str, Any], plain: Mapping[str, Any]
) -> None:
    for key, value in plain.items():
        if key in tower and tower[key] != value and tower[key] not in (None, False):
            raise UsageError(
                f"{name} sets {key} = {tower[key]!r}: not a plain ViT CLIP, cannot be exported"
            )
