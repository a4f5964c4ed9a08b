"""``detect x import-inappropriate``: released class vectors become an artefact of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from clipvet.detectors import Host, RecipeError, check_free, unit_rows
from clipvet.plugins.inappropriate._examples import Embedded, embed
from clipvet.plugins.inappropriate._released import read_vector_file
from clipvet.plugins.inappropriate._rule import ID, write_vectors

__all__ = ["check_bundle", "import_vectors"]

# A vector that was tuned from a sentence stays near it; the released ones of B/16 and B/32, two
# models of one width, are at cosines of -0.05 to -0.01 to each other.
LEAST_COSINE = 0.2


def import_vectors(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="prompts.p of ml-research/Q16, or a .npy file of two rows."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str, typer.Option(metavar="NAME", help="Bundle of the CLIP model that they were tuned on.")
    ],
) -> None:
    """Import the released class vectors of Q16; nothing in a pickle is run.

    Q16 is not a nudity, legality or child-safety filter, and an image that it does not flag is not
    thereby approved.
    """  # fmt: skip
    check_free(out)
    read = read_vector_file(file)
    embedded = embed((), host=Host.load(), bundle=bundle)
    check_bundle(read.vectors, file, embedded)
    facts = {"imported": file.name, "file_sha256": read.sha256}
    write_vectors(read.vectors, out, bundle=embedded.bundle, facts=facts)
    model = read.released_for
    typer.echo(
        f"{file}: {f'the released vectors for {model}' if model else 'vectors of unknown origin'}"
    )
    typer.echo(f"use it: detect IMAGES -d {ID} --artefact {ID}={out} --bundle {bundle}")


def check_bundle(vectors: NDArray[np.float64], file: Path, embedded: Embedded) -> None:
    """Raise :class:`RecipeError` if vectors cannot be for a bundle: no file says whose they are.

    Args:
        vectors: float64 [2, E].
        file: for the message.
        embedded: of the bundle; without text embeddings only the width can be checked.
    """
    width, name = embedded.features.shape[1], embedded.bundle.id
    if vectors.shape[1] != width:
        raise RecipeError(
            f"{ID}: the vectors of {file} are {vectors.shape[1]} wide, bundle {name} is {width}: "
            "use the bundle of the CLIP model that they were tuned on"
        )
    if embedded.text is None:
        return
    start, tuned = unit_rows(embedded.text), unit_rows(vectors)
    nearness = float((start * tuned).sum(axis=1).min())
    if nearness < LEAST_COSINE:
        raise RecipeError(
            f"{ID}: the vectors of {file} are nowhere near what bundle {name} makes of the "
            f"sentences that Q16 starts from (cosine {nearness:.2f}): they belong to another CLIP "
            "model of the same width; use its bundle"
        )
    if float((start[1] - start[0]) @ (tuned[1] - tuned[0])) <= 0:
        raise RecipeError(
            f"{ID}: the rows of {file} look swapped: row 0 must be the appropriate class, row 1 "
            "the inappropriate one"
        )
