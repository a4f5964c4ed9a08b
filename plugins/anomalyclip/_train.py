"""``detect train anomalyclip``: learn prompts for a bundle from pictures with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipvet.detectors import Host, check_free
from clipvet.detectors.clip import Device, find_bundle
from clipvet.plugins.anomalyclip._pictures import find_pictures

__all__ = ["train"]


def train(  # noqa: PLR0917 - Typer makes options of them
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="good/, defect/<kind>/ and masks/<kind>/, or a folder of such folders; MVTec AD's "
            "test/ and ground_truth/ serve as well.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times each picture is seen.")] = 15,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 8,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate of Adam.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of the first prompts and the order.")] = 111,
    context_tokens: Annotated[int, typer.Option(min=1, help="Learned tokens a prompt.")] = 12,
    deep_layers: Annotated[
        int, typer.Option(min=1, help="Text blocks that get tokens of their own.")
    ] = 8,
    deep_tokens: Annotated[int, typer.Option(min=1, help="Tokens in each of them.")] = 4,
    device: Annotated[Device, typer.Option(help="Of both towers.")] = "auto",
) -> None:
    """Learn AnomalyCLIP's prompts from normal and defective pictures of any objects."""
    opened = find_bundle(bundle, Host.load().bundles)
    check_free(out)
    pictures = find_pictures(data)
    from clipvet.detectors.clip.export import require_torch

    require_torch("training anomalyclip")
    from clipvet.plugins.anomalyclip._training import TrainConfig, train_prompts

    config = TrainConfig(
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
        context_tokens=context_tokens,
        deep_layers=deep_layers,
        deep_tokens=deep_tokens,
    )
    out.mkdir(parents=True, exist_ok=True)
    learned = train_prompts(
        opened,
        pictures,
        config,
        scratch=out,
        device=device,
        progress=lambda line: typer.echo(line, err=True),
    )
    learned.save(out)
    typer.echo(f"{out}: {learned.origin}, for bundle {opened.manifest.name}")
