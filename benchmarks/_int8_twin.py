"""The same model in int8: a bundle's weights exported again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip import Bundle
from clipvet.detectors.clip.export import ClipConfig, Source, TokenizerFiles, write_bundle

__all__ = ["int8_twin"]


def int8_twin(bundle: Bundle, out: Path) -> Bundle:
    """Export the weights of a bundle again, with the blocks of its image tower in int8."""
    facts, state = bundle.manifest, dict[str, NDArray[Any]]()
    for graph in ("vision", "text"):
        for name, value in bundle.weights(graph).items():
            linear = name.endswith(".weight_t")
            known = name.removesuffix("_t").replace(".in_proj.", ".in_proj_")
            state[known] = value.T if linear else value
    # The graph holds the class token with its position added, and the patches' positions apart.
    state["visual.class_embedding"] = state.pop("visual.class_token_with_position")[0, 0]
    patches = state.pop("visual.patch_positions")[0]
    state["visual.positional_embedding"] = np.concatenate([np.zeros_like(patches[:1]), patches])
    state["logit_scale"] = np.array(np.log(facts.logit_scale))
    vision, text = facts.vision, facts.text
    config = ClipConfig.model_validate(
        {
            "embed_dim": facts.embed_dim,
            "quick_gelu": facts.activation == "quickgelu",
            "vision": {
                "image_size": facts.preprocessing.size,
                "patch_size": vision.patch_size,
                "width": vision.width,
                "layers": vision.layers,
                "heads": vision.heads,
            },
            "text": {
                "context_length": text.context_length,
                "vocab_size": len(state["token_embedding.weight"]),
                "width": text.width,
                "layers": text.layers,
                "heads": text.heads,
            },
        }
    )
    return write_bundle(
        out,
        config=config,
        state=state,
        tokenizer=TokenizerFiles(
            json=(bundle.folder / "tokenizer.json").read_text("utf-8"),
            **text.model_dump(include={"start", "end", "padding", "unknown", "cleaning",
                                       "vocabulary"}),
        ),
        name=f"{facts.name}-int8",
        description=facts.description,
        licence=facts.licence,
        source=Source(model=facts.name, weights="another bundle"),
        precision="int8",
        mean=facts.preprocessing.mean,
        std=facts.preprocessing.std,
        vv_start=vision.vv_start,
        options=facts.options,
    )  # fmt: skip
