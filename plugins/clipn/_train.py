"""``detect train clipn``: learn a "no" text tower for a bundle from image-caption pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipvet.detectors import Host, check_free
from clipvet.detectors.clip import Device, find_bundle
from clipvet.plugins.clipn._pairs import read_pairs
from clipvet.plugins.clipn._tower_files import Precision

__all__ = ["train"]


def train(  # noqa: PLR0917 - Typer makes options of them
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Images, and captions.jsonl or captions.csv with the fields image and caption.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times each pair is seen.")] = 10,
    batch: Annotated[int, typer.Option(min=2, help="Pairs a step.")] = 512,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate of AdamW at first.")] = 3e-4,
    seed: Annotated[int, typer.Option(min=0, help="Of the order and the draws.")] = 0,
    prompts: Annotated[int, typer.Option(min=1, help='Learned "no" prompts.')] = 16,
    precision: Annotated[
        Precision, typer.Option(help="Of the weights on disk; sums are float32.")
    ] = "fp16",
    device: Annotated[Device, typer.Option(help="Of the towers.")] = "auto",
) -> None:
    """Learn CLIPN's "no" text tower from images with captions; the bundle stays as it is."""
    opened = find_bundle(bundle, Host.load().bundles)
    check_free(out)
    pairs = read_pairs(data)
    from clipvet.detectors.clip.export import require_torch

    require_torch("training clipn")
    from clipvet.plugins.clipn._training import TrainConfig, train_no_tower

    out.mkdir(parents=True, exist_ok=True)
    tower = train_no_tower(
        opened,
        pairs,
        TrainConfig(epochs=epochs, batch=batch, rate=rate, seed=seed, prompts=prompts),
        out=out,
        precision=precision,
        device=device,
        progress=lambda line: typer.echo(line, err=True),
    )
    typer.echo(f"{out}: {tower.origin}, for bundle {opened.manifest.name}")
    typer.echo(f"use it: detect IMAGES -d clipn --classes FILE --artefact clipn={out}")
