"""``detect train inappropriate``: two class vectors from the user's own examples."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from clipvet.detectors import Host, UsageError, check_free, counted
from clipvet.plugins.inappropriate._examples import Examples, embed
from clipvet.plugins.inappropriate._prompts import PAIRS
from clipvet.plugins.inappropriate._rule import ID, write_vectors
from clipvet.plugins.inappropriate._tuning import (
    FOLDS,
    CrossValidation,
    cross_validate,
    starting_vectors,
    tune,
)

__all__ = ["train"]

# Of each kind, every fold needs images to train on, to choose the step by and to test on.
LEAST = 2 * FOLDS


def train(  # noqa: PLR0917 - Typer makes options of them
    good: Annotated[
        Path, typer.Option(metavar="DIR", help="Images that count as appropriate, nothing else.")
    ],
    bad: Annotated[
        Path, typer.Option(metavar="DIR", help="Images that count as inappropriate, nothing else.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The vectors' folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of the optimiser, at most.")] = 1200,
    seed: Annotated[
        int, typer.Option(min=0, help="Of splits and order; the same seed gives the same bits.")
    ] = 0,
) -> None:
    """Tune the two class vectors of Q16 on your own examples; torch is not needed.

    What comes of it knows what your examples show, and nothing else. It is not a nudity, legality
    or child-safety filter, and an image that it does not flag is not thereby approved.
    """  # fmt: skip
    check_free(out)
    examples = Examples.of(good, bad)
    embedded = embed(examples.frames(), host=Host.load(), bundle=bundle)
    labels = np.array(examples.labels, dtype=bool)
    _check_counts(labels)
    features, text = embedded.features, embedded.text
    checked = cross_validate(features, labels, text, steps=steps, seed=seed)
    start = starting_vectors(features, labels, text)
    tuned = tune(features, labels, start, steps=steps, seed=seed)
    write_vectors(
        tuned.vectors,
        out,
        bundle=embedded.bundle,
        facts={
            "appropriate": int((~labels).sum()),
            "inappropriate": int(labels.sum()),
            "start": "class means" if text is None else list(PAIRS["pair"][0]),
            "steps": steps,
            "step": tuned.step,
            "seed": seed,
            "cross_validation": asdict(checked),
        },
    )
    for line in (*examples.problems, *_summary(labels, checked, out)):
        typer.echo(line)


def _check_counts(labels: NDArray[np.bool_]) -> None:
    for count, kind in ((int((~labels).sum()), "--good"), (int(labels.sum()), "--bad")):
        if count < LEAST:
            raise UsageError(
                f"{counted(count, 'usable image')} in {kind}: give at least {LEAST} of each kind"
            )


def _summary(labels: NDArray[np.bool_], checked: CrossValidation, out: Path) -> list[str]:
    good, bad = int((~labels).sum()), int(labels.sum())
    return [
        f"tuned on {good} appropriate and {bad} inappropriate images: {out}",
        (
            f"{FOLDS}-fold cross-validation: accuracy {checked.accuracy:.3f}, AUROC "
            f"{checked.auroc:.3f} (before tuning {checked.start_accuracy:.3f}, "
            f"{checked.start_auroc:.3f}; always the larger kind {max(good, bad) / len(labels):.3f})"
        ),
        "it says nothing about other images than these; near-duplicates make it too high",
        f"use it: detect IMAGES -d {ID} --artefact {ID}={out}",
    ]
