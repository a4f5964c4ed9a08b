"""A model of a few thousand parameters beside the embeddings of CLIP's vocabulary."""

from __future__ import annotations

from typing import Any

import torch

from clipvet.detectors.clip.export import LoadedModel, RandomWeights, load_model

Tensors = dict[str, torch.Tensor]

CONFIG: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def small_model(*, seed: int, **changes: Any) -> LoadedModel:
    return load_model("small", RandomWeights(seed=seed), config={**CONFIG, **changes})


def as_tensors(loaded: LoadedModel) -> Tensors:
    """Copies, so that a test may change them."""
    return {name: torch.from_numpy(value.copy()) for name, value in loaded.state.items()}
