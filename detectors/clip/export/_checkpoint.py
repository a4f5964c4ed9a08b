"""Read open_clip parameters from a file. Nothing that a file says is ever executed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip.export._torch_file import read_torch_file
from clipvet.detectors.errors import MissingDependency, UsageError

__all__ = ["read_checkpoint"]

# Not parameters: three scalars of OpenAI's archives, and masks that old versions saved.
_DROPPED = {
    "input_resolution",
    "context_length",
    "vocab_size",
    "attn_mask",
    "transformer.embeddings.position_ids",
}
# Wrappers around the model while it was trained: DistributedDataParallel, torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")


def read_checkpoint(path: Path) -> dict[str, NDArray[np.float32]]:
    """Parameters by the names of open_clip's CLIP, float32.

    Reads safetensors, and torch files with ``weights_only``. Unpacks a training checkpoint's
    ``state_dict``, and undoes the prefixes of wrapped models and of ``CustomTextCLIP``.

    Raises:
        MissingDependency: torch is not installed.
        UsageError: the file is absent, holds code or pickled objects, or holds no parameters.
    """
    try:
        import torch
    except ImportError:
        raise MissingDependency("torch and open_clip_torch", "reading weights", "export") from None
    if not path.is_file():
        raise UsageError(f"{path} is not a file of weights")
    content = _safetensors(path) if _is_safetensors(path) else _torch_file(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} holds a {type(content).__name__}, not a table of parameters")
    tensors = {
        str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)
    }
    named = {name: value for name, value in _plain_names(tensors).items() if name not in _DROPPED}
    if not named:
        raise UsageError(f"{path} holds no parameters")
    if any(name.startswith("vision_model.") for name in named):
        raise UsageError(
            f"{path} uses the parameter names of transformers; take the open_clip version of "
            "these weights (open_clip_model.safetensors)"
        )
    state = {name: value.to(torch.float32).numpy() for name, value in named.items()}
    if "logit_scale" in state and state["logit_scale"].size == 1:
        state["logit_scale"] = state["logit_scale"].reshape(())
    return state


def _is_safetensors(path: Path) -> bool:
    """Eight bytes of header length, then JSON."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"{path} is not a readable safetensors file: {error}") from None


def _torch_file(path: Path) -> Any:
    if _is_torchscript(path):
        raise UsageError(
            f"{path} is a TorchScript archive, which is code and would be executed; take the same "
            "weights as safetensors, for example `detect bundles pull ViT-B-32-quickgelu "
            "--pretrained openai`"
        )
    return read_torch_file(path)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/", 1)[-1] == "constants.pkl" for name in archive.namelist())


def _plain_names(tensors: Mapping[str, Any]) -> dict[str, Any]:
    names = dict(tensors)
    while prefix := next(
        (p for p in _WRAPPERS if names and all(n.startswith(p) for n in names)), None
    ):
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    if "text.positional_embedding" in names:
        names = {name.removeprefix("text."): value for name, value in names.items()}
    return names
