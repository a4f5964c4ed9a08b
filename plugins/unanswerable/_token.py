"""``detect x unanswerable-token``: CLIP-UP's soft tokens as a file, for a VLM to inject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from clipvet.detectors import Artefact, ArtefactMissing, RecipeError, UsageError, counted
from clipvet.detectors.clip import BundleInfo
from clipvet.plugins.unanswerable._detector import EMBEDDED
from clipvet.plugins.unanswerable._kinds import ID, SLOTS
from clipvet.plugins.unanswerable._learned import Learned
from clipvet.plugins.unanswerable._rows import Row, read_rows
from clipvet.plugins.unanswerable._samples import Encoder, Sample
from clipvet.plugins.unanswerable._vectors import padded

__all__ = ["token", "tokens_of"]


def token(
    questions: Annotated[
        Path, typer.Option(metavar="FILE", help="JSON lines with image, question and choices.")
    ],
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the images in FILE.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="A .npy or .safetensors file; must not exist.")
    ],
    artefact: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of detect train unanswerable; else the bundle's own."),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
) -> None:
    """Export the projected soft token of each question, float32 [questions, token width].

    In CLIP-UP the token goes in right after the image's tokens. This projection was trained with a
    read-out of its own and not with your VLM: the VLM has to be tuned to read it.
    """
    if out.suffix not in {".npy", ".safetensors"}:
        raise UsageError(f"{out}: give a name that ends in .npy or .safetensors")
    if out.exists():
        raise UsageError(f"{out} exists: choose another --out")
    rows = read_rows(questions, labelled=False)
    for row in rows:
        if len(row.choices) > SLOTS:
            raise UsageError(
                f"{questions}: {row.question!r} has {len(row.choices)} choices, the projection "
                f"takes {SLOTS}"
            )
    with Encoder(bundle) as encoder:
        learned = _trained(artefact, encoder.bundle)
        samples = encoder.samples(rows, images)
    if encoder.problems:
        # A missing row would shift all that follow.
        raise UsageError(f"every question needs its image; {encoder.problems[0]}")
    tokens = tokens_of(learned, samples)
    try:
        out.write_bytes(_content(tokens, rows, learned, out.suffix))
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error})") from error
    typer.echo(
        f"{out}: {counted(len(tokens), 'token')} of width {tokens.shape[1]}, "
        f"in the order of {questions}"
    )


def tokens_of(learned: Learned, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Soft tokens ``W c + b``, float32 [n, D].

    Raises:
        UsageError: a question has no choices, and no projection of such questions was learned.
    """
    tokens = []
    for sample in samples:
        projection, slots = learned.projection, SLOTS
        if not sample.row.choices:
            if learned.open is None:
                raise UsageError(
                    f"{sample.row.question!r} has no choices, and the artefact has no projection "
                    "for such questions: train it with incompatible questions, too"
                )
            projection, slots = learned.open.projection, 1
        tokens.append(projection.token(padded(sample.image, sample.texts, slots)))
    return np.array(tokens, dtype=np.float32)


def _content(
    tokens: NDArray[np.float32], rows: Sequence[Row], learned: Learned, suffix: str
) -> bytes:
    if suffix == ".npy":
        import io

        buffer = io.BytesIO()
        np.save(buffer, tokens, allow_pickle=False)
        return buffer.getvalue()
    from safetensors.numpy import save

    asked = [row.model_dump(include={"image", "question", "choices"}) for row in rows]
    facts = {
        "rows": json.dumps(asked, ensure_ascii=False),
        "bundle_sha256": learned.bundle.sha256,
        "projection": f"CLIP-UP projection, {learned.origin}, without a VLM",
    }
    return bytes(save({"tokens": tokens}, metadata=facts))


def _trained(folder: Path | None, bundle: BundleInfo) -> Learned:
    """The heads in a folder, or those that come with the package."""
    if folder is None:
        artefact = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=bundle)
        if artefact is None:
            raise ArtefactMissing(
                f"{ID} has learned nothing for bundle {bundle.id}: train it (detect train {ID}) "
                "and give --artefact"
            )
    else:
        artefact = Artefact.load(folder, detector=ID)
        artefact.check(bundle)
        if "bank" in artefact.facts:
            raise RecipeError(f"{ID}: {folder} is an image bank: give what detect train {ID} made")
    return Learned.of(artefact, bundle.embed_dim)
