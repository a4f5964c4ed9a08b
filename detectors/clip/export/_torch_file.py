"""Files that torch wrote, read with its restricted reader. Needs torch; executes nothing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from clipvet.detectors.errors import MissingDependency, UsageError

__all__ = ["read_torch_file", "require_torch"]


def require_torch(purpose: str) -> None:
    """Raise :class:`MissingDependency` unless torch can be imported.

    Args:
        purpose: what needs it, at the beginning of the sentence ("training clipn").
    """
    try:
        import torch  # noqa: F401 - asked for, not used
    except ImportError:
        raise MissingDependency("torch", purpose, "export") from None


def read_torch_file(path: Path) -> Any:
    """What ``torch.save`` wrote, on the CPU, as far as it is tensors in plain containers.

    Raises:
        MissingDependency: torch is not installed.
        UsageError: the file is absent or damaged, or holds code or pickled objects.
    """
    import pickle

    require_torch("reading a checkpoint")
    import torch

    if not path.is_file():
        raise UsageError(f"{path} is not a file: give a checkpoint")
    try:
        with warnings.catch_warnings():
            # Of files whose pickle torch's restricted reader may not know: it then refuses.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UsageError(
            f"{path} holds more than tensors, or is damaged, and clipvet executes no pickle; where "
            "you trust it, load it yourself and save its state_dict alone"
        ) from None
    except Exception as error:  # noqa: BLE001 - a made-up pickle raises what it likes
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(f"{path} is not a readable torch checkpoint: {what}") from None
