"""Released AnomalyCLIP checkpoints: the few numbers in them that act. Nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import UsageError
from clipvet.plugins.anomalyclip._bundle_text import PromptVectors

__all__ = ["read_checkpoint"]

_STATES = ("pos", "neg")
_DEEP = "compound_prompts_text."
# 5.5 million of the 5.6 million numbers in a file: saved by the original, read by nothing.
_UNUSED = "compound_prompt_projections."
_CONSTANTS = ("token_prefix", "token_suffix", "tokenized_prompts")

Arrays = dict[str, NDArray[Any]]


def read_checkpoint(path: Path) -> tuple[PromptVectors, list[NDArray[np.float32] | None]]:
    """Read an ``epoch_N.pth`` (methods/anomaly.md, section 2, "Checkpoint").

    Returns:
        The learned vectors, and for the normal and the anomalous prompt the token embeddings
        [.., Wt] that the checkpoint stores behind its context, or None: they are constants of the
        model, and tell whether this bundle is that model.

    Raises:
        MissingDependency: torch is not installed.
        UsageError: the file is absent, holds code or pickled objects, or is no such checkpoint.
    """
    arrays = _arrays(path)
    known = {f"{name}_{state}" for name in ("ctx", *_CONSTANTS) for state in _STATES}
    deep = [name for name in arrays if name.startswith(_DEEP)]
    order = [f"{_DEEP}{index}" for index in range(len(deep))]
    required = [*(f"ctx_{state}" for state in _STATES), *(order or [f"{_DEEP}0"])]
    missing = [name for name in required if name not in arrays]
    if missing:
        raise UsageError(f"{path} is not a checkpoint of AnomalyCLIP: it lacks {missing[0]}")
    strange = sorted(set(arrays) - known - set(deep))
    if strange:
        raise UsageError(f"{path} is not a checkpoint of AnomalyCLIP: it has {strange[0]} besides")
    try:
        contexts = [_matrix(arrays[f"ctx_{state}"]) for state in _STATES]
        vectors = PromptVectors(
            context=np.stack(contexts), deep=np.stack([_matrix(arrays[name]) for name in order])
        )
        if vectors.context.shape[2] != vectors.deep.shape[2]:
            raise ValueError("context and deep tokens differ in width")
        if vectors.deep.shape[1] > vectors.context.shape[1]:
            raise ValueError("there are more deep tokens than context tokens")
        suffixes = [
            _matrix(arrays[name]) if name in arrays else None
            for name in (f"token_suffix_{state}" for state in _STATES)
        ]
    except ValueError as error:
        raise UsageError(f"{path} is not a checkpoint of AnomalyCLIP: {error}") from None
    return vectors, suffixes


def _arrays(path: Path) -> Arrays:
    """The tensors that act, by their names without wrappers."""
    from clipvet.detectors.clip.export import read_torch_file

    content = read_torch_file(path)
    if isinstance(content, Mapping) and isinstance(content.get("prompt_learner"), Mapping):
        content = content["prompt_learner"]
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} holds a {type(content).__name__}, not a table of parameters")
    arrays = {}
    for key, value in content.items():
        name = str(key).removeprefix("module.")
        if name.startswith(_UNUSED):
            continue
        if not hasattr(value, "detach"):
            raise UsageError(f"{path} is not a checkpoint of AnomalyCLIP: {name} is no tensor")
        arrays[name] = value.detach().double().numpy()
    return arrays


def _matrix(array: NDArray[Any]) -> NDArray[np.float32]:
    """[1, 1, n, W] or [n, W] as float32 [n, W]."""
    if array.ndim < 2 or 0 in array.shape or any(side != 1 for side in array.shape[:-2]):
        raise ValueError(f"an entry has shape {list(array.shape)}, not [1, 1, n, width]")
    matrix = array.reshape(array.shape[-2:]).astype(np.float32)
    if not np.isfinite(matrix).all():
        raise ValueError("an entry is not finite")
    return matrix
