"""What a run is asked to do, and the configuration that decides whether it may resume."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from clipvet.detectors._detector import Query
from clipvet.detectors._hashing import sha256_of_folder
from clipvet.detectors.clip import Device
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._questions import Questions
from clipvet.detectors.runs._regions import RegionFormat
from clipvet.detectors.runs._sinks import HeatmapMode, TableFormat
from clipvet.detectors.sources._capture import Sampling
from clipvet.detectors.sources._given import SourceName, check_watched
from clipvet.detectors.sources._watch import Watching

__all__ = ["DEFAULT_DETECTORS", "RunConfig", "describe", "describe_task"]

DEFAULT_DETECTORS: Final = ("winclip",)
"""What runs where no detector is named."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run over images, wherever they come from.

    Attributes:
        sources: files, folders, ZIP archives and videos; may be a stream of them. A text that is
            no existing path may be a pattern (``parts/**/*.png``), ``camera:0`` or a URL.
        out: the run folder.
        specs: detectors; empty takes ``DEFAULT_DETECTORS``. Beside a recipe they are scored, too,
            but the verdict stays that of the recipe's own.
        recipe: folder of a recipe: it brings detectors, bundle, region, tiling, decode policy
            and object itself.
        bundle: name or folder; None is the embedded one.
        query: what every image is asked about.
        questions: asked about some images, or all of them.
        references: good images that detectors learn from before the run.
        region, tiling, decode_policy: how files become views.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch_size: views per call of the encoder.
        workers: decoding threads; None is one per core, at most 8.
        heatmaps: what is written of them.
        table: ``csv``, ``parquet`` or ``sqlite`` beside ``records.jsonl``.
        regions: of the heatmaps, as one COCO file or as LabelMe files; takes a recipe.
        fresh: replace the run that is in ``out``.
        verify: compare the content, too, of files that have a record.
        all_files: make a record for every file.
        watching: judge what is in the folders, and then what arrives.
        sampling: which frames of videos and cameras.
        reconnect: how often in a row a stream that broke is opened again.
    """

    sources: Iterable[SourceName]
    out: Path
    specs: Sequence[DetectorSpec] = ()
    recipe: Path | None = None
    bundle: str | None = None
    query: Query = field(default_factory=Query)
    questions: Questions | None = None
    references: Path | None = None
    region: Region | None = None
    tiling: Tiling | None = None
    decode_policy: DecodePolicy = field(default_factory=DecodePolicy)
    device: Device = "auto"
    batch_size: int = 8
    workers: int | None = None
    heatmaps: HeatmapMode = "overlay"
    table: TableFormat = "jsonl"
    regions: RegionFormat | None = None
    fresh: bool = False
    verify: bool = False
    all_files: bool = False
    watching: Watching | None = None
    sampling: Sampling = field(default_factory=Sampling)
    reconnect: int = 5

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers are none: give at least 1")
        if self.watching is not None:
            check_watched(self.sources)
        if self.reconnect < 0:
            raise UsageError(
                f"a stream cannot be opened again {self.reconnect} times: give 0 or more"
            )
        if self.recipe is None:
            if self.regions is not None:
                raise UsageError("regions take a recipe: without one a map has no threshold")
            return
        fixed = {
            "a bundle": self.bundle,
            "the object": self.query.object,
            "references": self.references,
            "a region": self.region,
            "tiles": self.tiling,
            "a decode policy": self.decode_policy != DecodePolicy(),
        }
        given = [name for name, value in fixed.items() if value]
        if given:
            message = f"a recipe fixes {given[0]} itself: leave it out, or run without the recipe"
            raise UsageError(message)

    @property
    def threads(self) -> int:
        """Decoding threads."""
        return self.workers or min(8, len(os.sched_getaffinity(0)))


def describe(
    config: RunConfig,
    engine: Engine,
    recipe: Recipe | None,
    *,
    query: Query,
    references: Sequence[str],
) -> dict[str, Any]:
    """Everything that changes a score or a file of the run, JSON-able.

    Args:
        config: of the run.
        engine: made from it: options with their defaults, bundles with their hashes.
        recipe: of the run.
        query: what every image is asked about.
        references: sha256 of each reference image, in order.
    """
    policy = config.decode_policy if recipe is None else recipe.decode_policy
    return {
        "clipvet": metadata.version("clipvet"),
        "detectors": [
            {
                "id": slot.id,
                "version": slot.version,
                "dist": f"{slot.entry.dist} {slot.entry.version}",
                "bundle": engine.bundle_of(slot.id),
                "options": slot.options.model_dump(mode="json"),
                "artefact": None if slot.artefact is None else sha256_of_folder(slot.artefact),
            }
            for slot in engine.slots
        ],
        "provider": engine.provider,
        "batch": engine.batch_size,
        "recipe": None if recipe is None else recipe.sha256,
        **describe_task(engine, query, policy),
        **({} if config.questions is None else {"questions": config.questions.sha256}),
        "references": list(references),
        "heatmaps": config.heatmaps,
    }


def describe_task(engine: Engine, query: Query, policy: DecodePolicy) -> dict[str, Any]:
    """What two runs, or a run and a fit, must share to look at images in the same way."""
    return {
        "bundles": {info.id: info.sha256 for info in engine.infos.values()},
        "query": {key: value for key, value in asdict(query).items() if value},
        "region": None if engine.region is None else engine.region.describe(),
        "tiling": None if engine.tiling is None else asdict(engine.tiling),
        "decode": {**asdict(policy), "background": list(policy.background)},
    }
