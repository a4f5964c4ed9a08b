"""The image format: uint8 arrays in ``.npy`` files, and a command that looks into them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer


def read_npy(path: Path) -> np.ndarray:
    """Read uint8 [H, W] or [H, W, 3]; ValueError for anything else. Never unpickles."""
    array = np.load(path, allow_pickle=False)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(f"{path} holds {array.dtype} {array.shape}, not uint8 [H, W] or [H, W, 3]")
    return array


def describe_npy(files: Annotated[list[Path], typer.Argument(help="Files to look into.")]) -> None:
    """Say what .npy files hold, and whether clipvet reads them."""
    for file in files:
        try:
            array = read_npy(file)
        except (OSError, ValueError) as error:
            typer.echo(f"{file}: no image: {error}")
        else:
            typer.echo(f"{file}: {array.shape}, values {array.min()}..{array.max()}")
