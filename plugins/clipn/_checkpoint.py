"""Released CLIPN checkpoints: the "no" text tower in them. Nothing is executed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import UsageError

__all__ = ["Checkpoint", "read_checkpoint"]

Arrays = dict[str, NDArray[np.float32]]

_PROMPTS = "prompt_no"
_MARK = "_no"
_LINEAR = ".weight_t"
_PIECES = ("transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Both text towers of a checkpoint, by the weight names of a bundle's text graph.

    Attributes:
        yes: the frozen tower, which tells the model that the checkpoint was trained on.
        no: the trained one; learned prompts are added to its positions.
        projection: ``visual.proj`` float32 [W, E] of the image tower, or None if it is not there.
        prompts: how many were learned; 0 for the hand-crafted variant.
    """

    yes: Arrays
    no: Arrays
    projection: NDArray[np.float32] | None
    prompts: int


def read_checkpoint(path: Path, names: Collection[str]) -> Checkpoint:
    """Read an ``epoch_N.pt`` (methods/ood.md, section 2.4, "Checkpoint").

    Args:
        path: a file of torch.
        names: weights of the text graph that they go into.

    Raises:
        MissingDependency: torch is not installed.
        UsageError: the file is absent, holds code or pickled objects, or is no such checkpoint.
    """
    state = _state(path)
    towers: list[Arrays] = []
    for mark in ("", _MARK):
        tower: Arrays = {}
        for name in names:
            key = _key(name, mark)
            if key not in state:
                raise UsageError(
                    f"{path} is not a checkpoint of CLIPN for this model: it lacks {key}"
                )
            array = _numbers(path, key, state[key])
            tower[name] = np.ascontiguousarray(array.T) if name.endswith(_LINEAR) else array
        towers.append(tower)
    yes, no = towers
    prompts = 0
    if _PROMPTS in state:
        # Added to every position; on a picture their mean acts (model.py, eval branch).
        learned = _numbers(path, _PROMPTS, state[_PROMPTS])
        positions = no["positional_embedding"]
        if learned.ndim != 3 or learned.shape[1:] != positions.shape or not len(learned):
            raise UsageError(
                f"{path} is not a checkpoint of CLIPN: {_PROMPTS} has shape {list(learned.shape)}, "
                f"its positions have {list(positions.shape)}"
            )
        no["positional_embedding"] = positions + learned.mean(axis=0)
        prompts = len(learned)
    projection = None
    if "visual.proj" in state:
        projection = _numbers(path, "visual.proj", state["visual.proj"])
    return Checkpoint(yes=yes, no=no, projection=projection, prompts=prompts)


def _key(name: str, mark: str) -> str:
    """A weight's name in a graph -> its key in a state dict, of the yes or the no tower."""
    stem, dot, rest = name.partition(".")
    if stem in _PIECES:
        name = f"{stem}{mark}{dot}{rest}"
    if name.endswith(_LINEAR):
        name = name.removesuffix("_t")
    # torch has one parameter for query, key and value, and no module around it.
    return name.replace(".attn.in_proj.", ".attn.in_proj_")


def _state(path: Path) -> Mapping[str, Any]:
    from clipvet.detectors.clip.export import read_torch_file

    content = read_torch_file(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} holds a {type(content).__name__}, not a table of parameters")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _numbers(path: Path, key: str, value: Any) -> NDArray[np.float32]:
    if not hasattr(value, "detach"):
        raise UsageError(f"{path} is not a checkpoint of CLIPN: {key} is no tensor")
    array: NDArray[np.float32] = value.detach().float().numpy()
    if not np.isfinite(array).all():
        raise UsageError(f"{path} is damaged: {key} is not finite")
    return array
