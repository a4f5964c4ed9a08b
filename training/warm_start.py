"""The weights of an exported bundle as open_clip's names: a run may begin where the last one ended.

Only weights are committed, never an optimiser's state, so this is how training goes on in another
session. fp16 costs nothing here: the first steps move the weights by more than its rounding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor

__all__ = ["translated", "weights"]


def weights(bundle: Path, *, text: bool = True) -> dict[str, Tensor]:
    """State dict of a bundle, float32, without mini's fixed positions of patches.

    Without ``text`` only ``visual.*`` is read. ``token_embedding.weight`` has the bundle's rows:
    :func:`translated` puts them where another tokenizer expects them.
    """
    state = {}
    for name in ("vision", "text") if text else ("vision",):
        for item in onnx.load(str(bundle / f"{name}.onnx")).graph.initializer:
            # The trunk has a source of its own: training/trunk.py.
            if item.data_type == onnx.TensorProto.FLOAT16 and not item.name.startswith("trunk/"):
                state.update(_named(item.name, numpy_helper.to_array(item)))
    return state


def translated(rows: Tensor, theirs: Tokenizer, drawn: Tensor, ours: Tokenizer) -> Tensor:
    """``drawn`` [pieces, W] with the ``rows`` of the words that both tokenizers have in one piece.

    A word tokenizer calls a word "gear", byte-pair pieces call it "gear</w>".
    """
    known = theirs.get_vocab()
    out = drawn.clone()
    for piece, row in ours.get_vocab().items():
        word = piece if piece in known else piece.removesuffix("</w>")
        if word in known and (piece == word or piece.endswith("</w>")):
            out[row] = rows[known[word]]
    return out


def _named(name: str, value: NDArray[Any]) -> dict[str, Tensor]:
    if name == "visual.patch_positions":
        return {}
    if name == "visual.class_token_with_position":  # the class token's own position is zero
        name, value = "visual.class_embedding", value.reshape(-1)
    if name.endswith("weight_t"):
        name, value = name.removesuffix("_t"), value.T
    name = name.replace("in_proj.", "in_proj_")
    return {name: torch.from_numpy(np.array(value, dtype=np.float32))}
