"""The tiny CLIP of the golden vectors: every parameter follows from its name."""

from __future__ import annotations

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
    random_parameters,
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
    return random_parameters(config, 0)


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
