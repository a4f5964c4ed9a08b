"""The set-level detectors of merged runs, which speak again about all images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._late_scores import LateScores
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.runs._sinks import HeatmapFiles

__all__ = ["late_scores", "set_level_engine"]


def set_level_engine(
    state: Mapping[str, Any], configuration: Mapping[str, Any], recipe: Recipe | None, host: Host
) -> Engine | None:
    """The set-level detectors of the runs, whose records are there; None if they had none.

    Args:
        state: ``run.json`` of one of the runs.
        configuration: of all of them, without shards.
        recipe: of the runs.
        host: the plugins.
    """
    bundles = {facts["id"]: name for name, facts in state.get("bundles", {}).items()}
    specs = {spec.id: spec for spec in recipe.specs} if recipe is not None else {}
    wanted = [
        specs.get(one["id"]) or _spec(one, bundles, host)
        for one in configuration["detectors"]
        if host.detector(one["id"]).cls.keeps
    ]
    return Engine(wanted, host=host, device="cpu") if wanted else None


def _spec(one: Mapping[str, Any], bundles: Mapping[str, str], host: Host) -> DetectorSpec:
    """The detector as the runs had it; on their bundle, if it reads something of it."""
    name = str(one["id"])
    bundle = bundles.get(one["bundle"]) if host.detector(name).cls.needs else None
    return DetectorSpec(id=name, options=one["options"], bundle=bundle)


def late_scores(folder: RunFolder, engine: Engine, recipe: Recipe | None, host: Host) -> LateScores:
    """What takes their scores into the merged folder, with pictures as the runs had them."""
    configuration = folder.state["configuration"]
    decode = configuration["decode"]
    policy = DecodePolicy(**{**decode, "background": tuple(decode["background"])})
    return LateScores(
        HeatmapFiles(folder=folder.path, mode=configuration["heatmaps"]),
        engine,
        recipe,
        roots=folder.roots,
        read=FileReader(host.readers, policy).read,
    )
