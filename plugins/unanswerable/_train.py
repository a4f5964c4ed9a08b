"""``detect train unanswerable``: heads and blind baselines from labelled questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from clipvet.detectors import UsageError, check_free
from clipvet.plugins.unanswerable._evaluation import (
    Table,
    evaluate,
    folds,
    scores_of,
    table_lines,
)
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, ID, SLOTS
from clipvet.plugins.unanswerable._rows import read_rows
from clipvet.plugins.unanswerable._samples import Encoder, Sample

__all__ = ["train"]

FOLDS = 5
# Every fold needs images to train on, to choose the epoch by and to test on.
LEAST_IMAGES = 2 * FOLDS


def train(  # noqa: PLR0917 - Typer makes options of them
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="JSON lines with image, question, choices and kind: answerable, absent_answer, "
            "incompatible_answers or incompatible_question.",
        ),
    ],
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the images in FILE.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
    token_width: Annotated[
        int,
        typer.Option(
            min=1,
            help="Width of the projected token; your VLM's language width if it is to be injected "
            "(LLaVA-1.5-7B: 4096).",
        ),
    ] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Times each question is seen.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of splits, first weights and order.")] = 0,
) -> None:
    """Learn from questions whether a question can be answered; the towers stay as they are.

    Give each answerable question its unanswerable twins, and let twins offer equally many choices:
    what can be told without the image is learned first. The printed table shows how much that is.
    """
    check_free(out)
    rows = read_rows(data, labelled=True)
    from clipvet.detectors.clip.export import require_torch

    require_torch(f"training {ID}")
    import torch

    from clipvet.plugins.unanswerable._training import TrainConfig, train_heads

    with Encoder(bundle) as encoder:
        samples = encoder.samples(rows, images)
    _check_counts(samples)
    config = TrainConfig(epochs=epochs, token_width=token_width, seed=seed)
    with torch.random.fork_rng():
        # The token's width changes little, and a VLM's would make the check slow.
        quick = replace(config, token_width=min(token_width, 64))
        scored: list[dict[str, float]] = [{} for _ in samples]
        for outside in folds(samples, FOLDS, seed):
            held = set(outside)
            inside = [sample for i, sample in enumerate(samples) if i not in held]
            learned = train_heads(inside, encoder.bundle, quick)
            for i in outside:
                scored[i] = scores_of(learned, samples[i])
        table = evaluate(samples, scored)
        learned = train_heads(samples, encoder.bundle, config)
    learned = replace(learned, facts={**learned.facts, "cross_validation": table})
    out.mkdir(parents=True, exist_ok=True)
    learned.save(out)
    for line in (*encoder.problems, *_summary(samples, table, out, learned.origin)):
        typer.echo(line)


def _check_counts(samples: Sequence[Sample]) -> None:
    few = [s for s in samples if 0 < len(s.row.choices) <= SLOTS]
    named = "answerable questions and unanswerable ones with choices"
    for answerable, what in ((True, "answerable"), (False, "unanswerable")):
        found = [s for s in few if (s.row.kind == ANSWERABLE) == answerable]
        about = {s.row.image for s in found}
        if len(about) < LEAST_IMAGES:
            have = "image has" if len(about) == 1 else "images have"
            raise UsageError(
                f"{len(about)} {have} {what} questions with one to {SLOTS} choices: give "
                f"{named}, about at least {LEAST_IMAGES} images each"
            )


def _summary(samples: Sequence[Sample], table: Table, out: Path, origin: str) -> list[str]:
    counts = Counter(str(s.row.kind) for s in samples)
    return [
        f"{origin}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}",
        f"{FOLDS}-fold cross-validation by image, AUROC of answerable against:",
        *table_lines(table),
        "what a blind line reaches, the words alone give away",
        f"use it: detect IMAGES -d {ID} --questions FILE --artefact {ID}={out}",
    ]
