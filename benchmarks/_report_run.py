"""A run folder of any size, made without a model: rendered parts, invented scores."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np

from clipvet.detectors import (
    DetectionRecord,
    Heatmap,
    HeatmapFacts,
    ImageFacts,
    Record,
    RegionFacts,
    ThresholdFacts,
    write_records,
)

__all__ = ["make_run"]

SIZE = (320, 256)
GRID = (24, 24)
RANGE = (0.0, 1.0)
THRESHOLD = ThresholdFacts(value=0.5, origin="invented for a benchmark", rate=0.05, n=99)


def make_run(folder: Path, count: int, *, pictures: int = 24, seed: int = 0) -> Path:
    """Write a run over ``count`` images; returns the run folder.

    A few rendered pictures and random maps stand for all: they are linked under new names, so
    that disk and time go into what is measured. One image in 20 is flagged, one in 100 is
    unreadable.
    """
    images, run = folder / "images", folder / "run"
    sources = _render(folder / "rendered", pictures)
    rng = np.random.default_rng(seed)
    maps = _maps(folder / "maps", pictures, rng)
    (run / "heatmaps").mkdir(parents=True)
    images.mkdir()
    records = []
    for number in range(count):
        name = f"line{number % 7}/part_{number:06d}.jpg"
        path = images / name
        path.parent.mkdir(exist_ok=True)
        os.link(sources[number % pictures], path)
        heatmap = f"heatmaps/{number:06d}.winclip.npz"
        os.link(maps[number % pictures], run / heatmap)
        records.append(_record(f"images/{name}", path, heatmap, number, rng))
    write_records(run / "records.jsonl", records)
    (run / "run.json").write_text(json.dumps(_state(images)), "utf-8")
    return run


def _record(name: str, path: Path, heatmap: str, number: int, rng: np.random.Generator) -> Record:
    status = path.stat()
    image = ImageFacts(id=name, size=status.st_size, mtime_ns=status.st_mtime_ns)
    if number % 100 == 99:
        reasons = (f"{path}: damaged or incomplete: get the file again",)
        return Record(image=image, status="unreadable", verdict="error", reasons=reasons)
    flagged = number % 20 == 0
    score = float(rng.uniform(0.5, 1.0) if flagged else np.clip(rng.normal(0.25, 0.06), 0, 0.5))
    verdict: Literal["flag", "pass"] = "flag" if flagged else "pass"
    reason = f"winclip: {score:.4g} is above 0.5, the limit that keeps false alarms at 5 %"
    detections = (
        DetectionRecord(
            detector="winclip",
            version="1",
            task="anomaly",
            score=score,
            p_value=round(0.01 if flagged else float(rng.uniform(0.06, 1)), 4),
            threshold=THRESHOLD,
            verdict=verdict,
            heatmap=HeatmapFacts(file=heatmap, grid=GRID, box=(0, 0, *SIZE), range=RANGE),
            regions=(RegionFacts(box=(40, 40, 90, 80), area=1400, peak=score),) * flagged,
            details={"method": "none: invented for a benchmark", "reference_score": score},
        ),
        DetectionRecord(
            detector="vim", version="1", task="ood", score=float(rng.normal()), verdict="pass"
        ),
    )
    facts = {"width": SIZE[0], "height": SIZE[1], "bit_depth": 8, "policy": "8-bit"}
    return Record(
        image=image.model_copy(update=facts),
        verdict=verdict,
        reasons=(reason,) if flagged else (),
        detections=detections,
    )


def _render(folder: Path, count: int) -> list[Path]:
    from PIL import Image

    from training.render import render
    from training.scenes import make_program
    from training.seeds import SEEDS

    folder.mkdir(parents=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    program = make_program(SEEDS["held_out"].start, family="gear")
    for number, path in enumerate(paths):
        Image.fromarray(render(program, number, size=SIZE[::-1]).image).save(path, quality=90)
    return paths


def _maps(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.npz" for number in range(count)]
    down, across = np.mgrid[0 : GRID[0], 0 : GRID[1]]
    for path in paths:
        y, x = rng.uniform(3, 21, 2)
        grid = 0.9 * np.exp(-((down - y) ** 2 + (across - x) ** 2) / 12) + 0.1 * rng.random(GRID)
        heatmap = Heatmap(grid=grid.astype(np.float32), box=(0, 0, *SIZE), image_size=SIZE)
        heatmap.save_npz(path)
    return paths


def _state(images: Path) -> dict[str, Any]:
    return {
        "schema": "clipvet.run/1",
        "status": "finished",
        "configuration": {"detectors": [], "recipe": None},
        "configuration_sha256": "0" * 64,
        "sources": {"images": str(images)},
        "versions": {},
        "bundles": {},
    }
