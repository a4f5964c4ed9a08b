"""``detect x unanswerable-bank``: unlabelled images that cosines are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from clipvet.detectors import Artefact, UsageError, check_free, counted, find_images
from clipvet.plugins.unanswerable._kinds import ID
from clipvet.plugins.unanswerable._samples import Encoder

__all__ = ["bank"]

ADVISED = 500
LEAST = 50


def bank(
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="Images of all sorts, unlike those to be judged.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
) -> None:
    """Sum up unrelated images for head=zero-training: nothing is trained.

    A sentence that suits every image says little about this one; the bank tells how much each
    sentence suits images in general.
    """
    check_free(out)
    files = find_images(images)
    with Encoder(bundle) as encoder:
        unit = np.array(list(encoder.images({str(path): path for path in files}).values()))
    if len(unit) < LEAST:
        raise UsageError(
            f"{images} holds {counted(len(unit), 'usable image')}: give {LEAST}, better {ADVISED}"
        )
    tensors = {
        "mean": unit.mean(axis=0).astype(np.float32),
        "covariance": np.cov(unit, rowvar=False, ddof=0).astype(np.float32),
    }
    facts = {"bank": len(unit)}
    out.mkdir(parents=True, exist_ok=True)
    Artefact(detector=ID, bundle=encoder.bundle, facts=facts, tensors=tensors).save(out)
    for problem in encoder.problems:
        typer.echo(problem)
    if len(unit) < ADVISED:
        typer.echo(f"{len(unit)} images are few: {ADVISED} make the comparison steadier")
    typer.echo(f"bank of {len(unit)} images: {out}")
    typer.echo(
        f"use it: detect IMAGES -d {ID} --questions FILE --artefact {ID}={out} "
        f"--set {ID}.head=zero-training"
    )
