"""``detect x import-anomalyclip``: from a released checkpoint to an artefact for one bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from clipvet.detectors import Host, UsageError, check_free
from clipvet.detectors.clip import Bundle, find_bundle
from clipvet.plugins.anomalyclip._bundle_text import (
    learned_from,
    suffix_ids,
)
from clipvet.plugins.anomalyclip._checkpoint import read_checkpoint
from clipvet.plugins.anomalyclip._learned import Learned

__all__ = ["differences", "import_checkpoint", "import_prompts"]

# A checkpoint may hold its constants in half precision: a step of 2^-11 of numbers below 0.1.
_SAME_TOKENS = 1e-4


def import_prompts(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="A released checkpoint, such as epoch_15.pth.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The bundle of the model that it was trained on."),
    ] = None,
) -> None:
    """Turn prompts that AnomalyCLIP's authors released into an artefact for a bundle."""
    opened = find_bundle(bundle, Host.load().bundles)
    check_free(out)
    learned = import_checkpoint(checkpoint, opened)
    out.mkdir(parents=True, exist_ok=True)
    learned.save(out)
    typer.echo(f"{out}: {learned.origin}, for bundle {opened.manifest.name}")
    for difference in differences(opened):
        typer.echo(f"  note       not as published: {difference}")


def import_checkpoint(checkpoint: Path, bundle: Bundle) -> Learned:
    """Encode released prompts with a bundle's text tower.

    Raises:
        UsageError: not a checkpoint of AnomalyCLIP, or one of another model.
        MissingDependency: torch is not installed.
    """
    vectors, suffixes = read_checkpoint(checkpoint)
    table = bundle.weights("text", ["token_embedding.weight"])["token_embedding.weight"]
    for stored, ids in zip(suffixes, suffix_ids(bundle), strict=True):
        if stored is not None and not _begins_with(stored, table[ids]):
            raise UsageError(
                f"{checkpoint} was trained on another model than bundle {bundle.manifest.name}: "
                "its token embeddings differ; use a bundle of that model (the released prompts "
                "are for OpenAI's ViT-L-14-336)"
            )
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    unlike = differences(bundle)
    origin = f"prompts imported from {checkpoint.name} {digest[:12]}"
    return learned_from(
        bundle,
        vectors,
        temperature=0.07,
        origin=origin + ("; bundle not as published" if unlike else ""),
        facts={
            "source": "imported",
            "checkpoint": checkpoint.name,
            "checkpoint_sha256": digest,
            "context_tokens": vectors.context.shape[1],
            "deep_layers": vectors.deep.shape[0],
            "deep_tokens": vectors.deep.shape[1],
            "differences": unlike,
        },
    )


def differences(bundle: Bundle) -> list[str]:
    """In what a bundle is unlike the model that the released prompts were trained and tested on."""
    manifest = bundle.manifest
    vision = manifest.vision
    published = {
        "image width": (vision.width, 1024),
        "image blocks": (vision.layers, 24),
        "patch size": (vision.patch_size, 14),
        "image size": (manifest.preprocessing.size, 518),
        "first value-value block": (vision.vv_start, 5),
        "activation": (manifest.activation, "quickgelu"),
        "positions": (vision.position_interpolation, "bilinear"),
        "resize": (manifest.preprocessing.resize, "squash"),
    }
    return [
        f"{name} {here} instead of {there}"
        for name, (here, there) in published.items()
        if here != there
    ]


def _begins_with(stored: np.ndarray, expected: np.ndarray) -> bool:
    if stored.shape[0] < len(expected) or stored.shape[1] != expected.shape[1]:
        return False
    return bool(np.abs(stored[: len(expected)] - expected).max() <= _SAME_TOKENS)
