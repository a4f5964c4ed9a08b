"""What a run is asked to do, and the configuration that decides whether it may resume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from clipvet.detectors._detector import Query
from clipvet.detectors._hashing import sha256_of_folder
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._questions import Questions
from clipvet.detectors.runs._regions import RegionFormat
from clipvet.detectors.runs._scoring_config import ScoringConfig
from clipvet.detectors.runs._sinks import HeatmapMode, TableFormat
from clipvet.detectors.sources._capture import Sampling
from clipvet.detectors.sources._given import SourceName, check_watched
from clipvet.detectors.sources._shard import Shard
from clipvet.detectors.sources._watch import Watching

__all__ = ["RunConfig", "describe", "describe_task"]


@dataclass(frozen=True, kw_only=True)
class RunConfig(ScoringConfig):
    """A run over images, wherever they come from.

    Attributes:
        specs, recipe, bundle, query, references, region, tiling, decode_policy, device,
            batch_size, workers, fresh: see :class:`ScoringConfig`.
        sources: files, folders, ZIP archives and videos; may be a stream of them. A text that is
            no existing path may be a pattern (``parts/**/*.png``), ``camera:0`` or a URL.
        out: the run folder.
        questions: asked about some images, or all of them.
        heatmaps: what is written of them.
        table: ``csv``, ``parquet`` or ``sqlite`` beside ``records.jsonl``.
        regions: of the heatmaps, as one COCO file or as LabelMe files; takes a recipe.
        verify: compare the content, too, of files that have a record.
        all_files: make a record for every file.
        shard: judge this part of the images alone; ``merge_runs`` makes one run of all parts.
        watching: judge what is in the folders, and then what arrives.
        sampling: which frames of videos and cameras.
        reconnect: how often in a row a stream that broke is opened again.
    """

    sources: Iterable[SourceName]
    out: Path
    questions: Questions | None = None
    heatmaps: HeatmapMode = "overlay"
    table: TableFormat = "jsonl"
    regions: RegionFormat | None = None
    verify: bool = False
    all_files: bool = False
    shard: Shard | None = None
    watching: Watching | None = None
    sampling: Sampling = field(default_factory=Sampling)
    reconnect: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.watching is not None:
            check_watched(self.sources)
            if self.shard is not None:
                raise UsageError("a shard of what arrives is none: watch other folders instead")
        if self.reconnect < 0:
            raise UsageError(
                f"a stream cannot be opened again {self.reconnect} times: give 0 or more"
            )
        if self.regions is not None and self.recipe is None:
            raise UsageError("regions take a recipe: without one a map has no threshold")


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
        **({} if config.shard is None else {"shard": str(config.shard)}),
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
