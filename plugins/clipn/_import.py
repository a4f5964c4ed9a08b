"""``detect x import-clipn``: from a released checkpoint to an artefact for one bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from clipvet.detectors import Host, UsageError, check_free
from clipvet.detectors.clip import Bundle, find_bundle
from clipvet.plugins.clipn._checkpoint import Checkpoint, read_checkpoint
from clipvet.plugins.clipn._no_tower import HAND_CRAFTED, LEARNED, NoTower
from clipvet.plugins.clipn._tower_files import (
    Precision,
    write_no_tower,
)

__all__ = ["import_checkpoint", "import_no_tower"]

# A bundle may hold its weights in half precision: a step of 2^-11 of each.
_SAME_RELATIVE, _SAME_ABSOLUTE = 1e-3, 1e-5


def import_no_tower(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="A released checkpoint, such as epoch_10.pt.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The bundle of the model that it was trained on."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of the weights on disk; sums are float32.")
    ] = "fp16",
) -> None:
    """Turn a "no" text tower that CLIPN's authors released into an artefact for a bundle."""
    opened = find_bundle(bundle, Host.load().bundles)
    check_free(out)
    tower = import_checkpoint(checkpoint, opened, out=out, precision=precision)
    typer.echo(f"{out}: {tower.origin}, for bundle {opened.manifest.name}")
    typer.echo(f"use it: detect IMAGES -d clipn --classes FILE --artefact clipn={out}")


def import_checkpoint(
    checkpoint: Path, bundle: Bundle, *, out: Path, precision: Precision = "fp16"
) -> NoTower:
    """Write the "no" tower of a checkpoint; the bundle must be the model that it was trained on.

    Raises:
        UsageError: not a checkpoint of CLIPN, or one of another model.
        MissingDependency: torch is not installed.
    """
    weights = bundle.weights("text")
    read = read_checkpoint(checkpoint, weights)
    _check_model(checkpoint, read, bundle, weights)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    variant = "learned prompts" if read.prompts else "hand-crafted prompts"
    out.mkdir(parents=True, exist_ok=True)
    return write_no_tower(
        out,
        bundle,
        read.no,
        precision=precision,
        facts={
            "origin": f"no-tower with {variant} imported from {checkpoint.name} {digest[:12]}",
            "prompt_kind": LEARNED if read.prompts else HAND_CRAFTED,
            "source": "imported",
            "checkpoint": checkpoint.name,
            "checkpoint_sha256": digest,
            "prompts": read.prompts,
        },
    )


def _check_model(
    path: Path, read: Checkpoint, bundle: Bundle, weights: dict[str, NDArray[np.float32]]
) -> None:
    """Both frozen towers of the checkpoint must be the bundle's."""
    pairs = [(name, read.yes[name], weights[name]) for name in weights]
    pairs += [(f'{name} of the "no" side', read.no[name], read.yes[name]) for name in weights]
    shapes = [name for name, ours, theirs in pairs if ours.shape != theirs.shape]
    other = shapes or [
        name for name, ours, theirs in pairs[: len(weights)] if not _same(ours, theirs)
    ]
    if not other and read.projection is not None:
        projection = bundle.weights("vision", ["visual.proj"])["visual.proj"]
        if projection.shape != read.projection.shape or not _same(read.projection, projection):
            other = ["visual.proj"]
    if other:
        raise UsageError(
            f"{path} was trained on another model than bundle {bundle.manifest.name}: {other[0]} "
            "differs; use a bundle of that model (the released ones are for LAION-2B's ViT-B-16, "
            "laion2b_s34b_b88k, and ViT-B-32, laion2b_s34b_b79k)"
        )


def _same(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    return bool(np.allclose(first, second, rtol=_SAME_RELATIVE, atol=_SAME_ABSOLUTE))
