"""Run folders made by hand, for the tests of reports."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors import (
    Calibration,
    Combination,
    CombinedFacts,
    DetectionRecord,
    DetectorSpec,
    Heatmap,
    HeatmapFacts,
    ImageFacts,
    Recipe,
    Record,
    RegionFacts,
    ThresholdFacts,
    render_overlay,
    write_records,
)
from clipvet.detectors.recipes._recipe import BoundBundle
from clipvet.detectors.records._ids import record_id
from tests.runs import picture

SIZE = (80, 60)
RANGE = (0.0, 1.0)
THRESHOLD = ThresholdFacts(value=0.5, origin="split-conformal on 99 images", rate=0.05, n=99)
BUNDLE = BoundBundle(name="mini", id="mini", sha256="a" * 64, preprocessing_sha256="b" * 64)


class HandMade:
    """A run over ``images``, one record after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images = folder / "run", folder / "images"
        self.folder.mkdir(parents=True)
        self.images.mkdir()
        self.records: list[Record] = []

    def add(
        self,
        name: str,
        score: float | None = 0.1,
        *,
        verdict: str | None = "pass",
        overlay: bool = False,
        hot: tuple[int, int] = (1, 1),
        **given: Any,
    ) -> Record:
        """One image with one detection of ``winclip``, whose map is hot in one cell."""
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = picture(len(self.records), SIZE)
        Image.fromarray(pixels).save(path, "PNG")
        grid = np.zeros((3, 4), np.float32)
        grid[hot] = 1.0
        stem = f"{len(self.records):04d}"
        heatmap = Heatmap(grid=grid, box=(0, 0, *SIZE), image_size=SIZE)
        facts = HeatmapFacts(
            file=f"heatmaps/{stem}.npz", grid=grid.shape, box=heatmap.box, range=RANGE
        )
        self._save(heatmap, pixels, stem, overlay=overlay)
        if overlay:
            facts = facts.model_copy(update={"overlay": f"overlays/{stem}.png"})
        detection = DetectionRecord.model_validate(
            {
                "detector": "winclip", "version": "1", "task": "anomaly", "score": score,
                "p_value": 0.01 if verdict == "flag" else 0.5, "threshold": THRESHOLD,
                "verdict": verdict, "heatmap": facts if score is not None else None,
                "details": {"method": "by hand", "reference_score": 0.25},
                "regions": (RegionFacts(box=(20, 20, 40, 40), area=400, peak=1.0),),
                **given,
            }
        )  # fmt: skip
        reasons = (f"winclip: {score} is above 0.5",) if verdict == "flag" else ()
        return self._keep(path, name, verdict=verdict, reasons=reasons, detections=(detection,))

    def add_unreadable(self, name: str) -> Record:
        """A file that could not be decoded; its reason names the whole path, as runs do."""
        path = self.images / name
        path.write_bytes(b"text")
        reasons = (f"{path}: it holds text and not a picture",)
        return self._keep(path, name, status="unreadable", verdict="error", reasons=reasons)

    def also(self, **given: Any) -> None:
        """One more detection for the last image."""
        last = self.records[-1]
        one = DetectionRecord.model_validate({"version": "1", "task": "ood", **given})
        self.records[-1] = last.model_copy(update={"detections": (*last.detections, one)})

    def together(self, value: float, threshold: ThresholdFacts, **given: Any) -> None:
        """What the last image's detectors give together."""
        last = self.records[-1]
        facts = CombinedFacts.model_validate(
            {"value": value, "threshold": threshold, "p_value": 0.05, **given}
        )
        reasons = (*last.reasons, f"together: {value} is above") if last.verdict == "flag" else ()
        self.records[-1] = last.model_copy(update={"combined": facts, "reasons": reasons})

    def write(self, **state: Any) -> Path:
        """Write ``records.jsonl`` and ``run.json``."""
        write_records(self.folder / "records.jsonl", self.records)
        facts = {
            "schema": "clipvet.run/1",
            "status": "finished",
            "configuration": {"recipe": None},
            "configuration_sha256": hashlib.sha256(str(self.folder).encode()).hexdigest(),
            "sources": {"images": str(self.images)},
        }
        (self.folder / "run.json").write_text(json.dumps(facts | state), "utf-8")
        return self.folder

    def _keep(self, path: Path, name: str, **given: Any) -> Record:
        status = path.stat()
        image = ImageFacts(
            id=record_id("images", name),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            width=None if "status" in given else SIZE[0],
            height=None if "status" in given else SIZE[1],
        )
        record = Record.model_validate({"schema": "clipvet.record/1", "image": image, **given})
        self.records.append(record)
        return record

    def _save(
        self, heatmap: Heatmap, pixels: NDArray[np.uint8], stem: str, *, overlay: bool
    ) -> None:
        for kind in ("heatmaps", "overlays"):
            (self.folder / kind).mkdir(exist_ok=True)
        heatmap.save_npz(self.folder / f"heatmaps/{stem}.npz")
        if overlay:
            drawn = render_overlay(pixels, heatmap, low=0.0, high=1.0)
            Image.fromarray(drawn).save(self.folder / f"overlays/{stem}.png")


def recipe_of_two(folder: Path, combination: Combination) -> Recipe:
    """A recipe of ``winclip`` and ``vim``, calibrated on 60 good images that were never there."""
    rng = np.random.default_rng(4)
    images = tuple(f"good/{number:02d}.png" for number in range(60))
    Recipe(
        specs=(DetectorSpec(id="winclip"), DetectorSpec(id="vim")),
        bundles=(BUNDLE,),
        calibrations={
            name: Calibration(images=images, scores=rng.normal(0.4, 0.1, 60))
            for name in ("winclip", "vim")
        },
        rate=0.1,
        combination=combination,
        provider="CPUExecutionProvider",
    ).save(folder)
    return Recipe.load(folder)


def data_of(page: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a page holds: the facts of the run, and its entries in their order."""
    blocks = re.findall(
        r'<script type="application/json" id="(\w+)">(.*?)</script>', page.read_text("utf-8")
    )
    found = {name: json.loads(text) for name, text in blocks}
    count = sum(re.fullmatch(r"r\d+", name) is not None for name in found)
    return found["report"], [found[f"r{number}"] for number in range(count)]
