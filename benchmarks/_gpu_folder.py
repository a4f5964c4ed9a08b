"""From JPEG to record: what ``detect run`` does with a folder, for benchmarks/gpu.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks._gpu_page import FolderRate
from clipvet.detectors import DetectorSpec, Host, Query, RunConfig, run
from clipvet.detectors.clip import Bundle
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

__all__ = ["images_a_second"]

_RENDERED = 16
_SIDE = 640


def images_a_second(
    bundle: Bundle, images: int, rows: int, device: Any, folder: Path
) -> FolderRate:
    """Run the embedding's own detector over copies of a few rendered pictures."""
    pictures = folder / "jpegs"
    if not pictures.exists():
        _write(pictures, images)
    config = RunConfig(
        sources=[pictures],
        out=folder / f"run-{bundle.manifest.name}",
        specs=[DetectorSpec(id="clipn", options={"method": "mcm"})],
        query=Query(classes=("gear", "nut", "bottle")),
        bundle=str(bundle.folder),
        device=device,
        batch_size=rows,
        heatmaps="none",
    )
    summary = run(config, host=Host.load(select=""))
    assert summary.tally.failed == 0
    return FolderRate(
        model=bundle.manifest.source.model, rows=rows, images=images, seconds=summary.seconds
    )


def _write(pictures: Path, images: int) -> None:
    pictures.mkdir()
    program = make_program(SEEDS["held_out"].start, family="gear")
    for number in range(images):
        path = pictures / f"{number:06d}.jpg"
        if number < _RENDERED:
            image = render(program, number, size=(_SIDE, _SIDE)).image
            Image.fromarray(image).save(path, quality=90)
        else:
            shutil.copyfile(pictures / f"{number % _RENDERED:06d}.jpg", path)
