"""``detect x unanswerable-measure``: AUROC by kind on labelled questions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from clipvet.detectors import Artefact, UsageError
from clipvet.plugins.unanswerable._detector import EMBEDDED
from clipvet.plugins.unanswerable._evaluation import (
    evaluate,
    named_rightly,
    scores_of,
    table_lines,
)
from clipvet.plugins.unanswerable._fallback import Fallback, ImageBank
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, ID
from clipvet.plugins.unanswerable._learned import Learned
from clipvet.plugins.unanswerable._rows import read_rows
from clipvet.plugins.unanswerable._samples import Encoder

__all__ = ["measure"]


def measure(
    data: Annotated[
        Path, typer.Option(metavar="FILE", help="JSON lines with image, question, choices, kind.")
    ],
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the images in FILE.")],
    artefact: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Trained heads or an image bank; else the bundle's own."),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Measure how well answerable and unanswerable questions are told apart, and how blindly."""
    rows = read_rows(data, labelled=True)
    if all(row.kind != ANSWERABLE for row in rows):
        raise UsageError(f"{data} holds no answerable question: there is nothing to compare with")
    with Encoder(bundle) as encoder:
        samples = encoder.samples(rows, images)
        learned, bank = _opened(artefact, encoder)
        fallback = Fallback(encoder.encode_text, bank)
        scored = []
        for sample in samples:
            stock = fallback.stock_options(sample.row.question)
            found = fallback.p_values(sample.image, sample.texts, stock)
            heads = {} if learned is None else scores_of(learned, sample)
            scored.append({**heads, "zero-training": max(found.values())})
    table = evaluate(samples, scored)
    named = None if learned is None else named_rightly(learned, samples)
    counts = Counter(str(sample.row.kind) for sample in samples)
    if as_json:
        typer.echo(json.dumps({"counts": counts, "auroc": table, "kind_named_rightly": named}))
        return
    for line in (*encoder.problems, "AUROC of answerable against:", *table_lines(table)):
        typer.echo(line)
    typer.echo(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if learned is not None and named is not None:
        guess = 1 / (len(learned.kinds) - 1)
        typer.echo(
            f"pooled names the kind of {named:.3f} of the unanswerable (guessing {guess:.3f})"
        )


def _opened(folder: Path | None, encoder: Encoder) -> tuple[Learned | None, ImageBank | None]:
    """Heads or a bank: those in the folder, or heads that come with the package."""
    bundle = encoder.bundle
    if folder is None:
        artefact = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=bundle)
        return (None if artefact is None else Learned.of(artefact, bundle.embed_dim)), None
    artefact = Artefact.load(folder, detector=ID)
    artefact.check(bundle)
    if "bank" in artefact.facts:
        return None, ImageBank.of(artefact, bundle.embed_dim)
    return Learned.of(artefact, bundle.embed_dim), None
