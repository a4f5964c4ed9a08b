"""Everything that can fail before the first image, done before the first image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipvet.detectors._detector import Query
from clipvet.detectors.engine._engine import Engine, FeatureRuntime
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import FrameError, UsageError
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._regions import find_regions
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._config import RunConfig, describe
from clipvet.detectors.runs._default_detectors import default_detectors
from clipvet.detectors.runs._questions import Questions
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.runs._sinks import check_format
from clipvet.detectors.sources._walk import Walk

__all__ = ["RunSetup", "set_up"]


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """What a run works with.

    Attributes:
        engine: warm, fitted on the references if there are any.
        recipe: or None.
        recipe_folder: where it was found.
        query: that every image is asked.
        questions: about some images, or all of them.
        reader: of files.
        configuration: JSON-able, see ``describe``.
        warnings: of the setup.
    """

    engine: Engine
    recipe: Recipe | None
    recipe_folder: Path | None
    query: Query
    questions: Questions | None
    reader: FileReader
    configuration: dict[str, Any]
    warnings: tuple[str, ...]

    def queries(self, image_id: str) -> tuple[Query, ...]:
        """What one image is asked, at least one query."""
        if self.questions is None:
            return (self.query,)
        return self.questions.of(image_id, self.query)


def set_up(
    config: RunConfig,
    *,
    host: Host,
    threads: int | None = None,
    runtime_factory: Callable[..., FeatureRuntime] | None = None,
) -> RunSetup:
    """Load the recipe, open the engine, learn from references, warm up.

    Args:
        config: of the run.
        host: the plugins.
        threads: inside one operator; None takes every usable core.
        runtime_factory: for tests, see :class:`Engine`.

    Raises:
        UsageError: the configuration contradicts itself.
        UnfitEnvironment: something on this machine does not serve.
    """
    check_format(config.table)
    recipe = None if config.recipe is None else Recipe.load(config.recipe)
    if recipe is not None:
        _check_regions(recipe)
    fixed = config if recipe is None else recipe
    engine = Engine(
        _specs(config, recipe),
        host=host,
        bundle=fixed.bundle,
        region=fixed.region,
        tiling=fixed.tiling,
        device=config.device,
        batch_size=config.batch_size,
        threads=threads,
        isolate=config.isolate,
        runtime_factory=runtime_factory,
    )
    try:
        query = _query(config, recipe)
        reader = FileReader(host.readers, fixed.decode_policy)
        references: list[str] = []
        warnings: list[str] = []
        if config.references is not None:
            references, warnings = _learn(engine, config, reader, query)
        engine.warmup()
        if recipe is not None:
            warnings += recipe.check(engine.infos.values(), engine.provider)
        configuration = describe(config, engine, recipe, query=query, references=references)
    except BaseException:
        engine.close()
        raise
    return RunSetup(
        engine=engine,
        recipe=recipe,
        recipe_folder=None if config.recipe is None else config.recipe.absolute(),
        query=query,
        questions=config.questions,
        reader=reader,
        configuration=configuration,
        warnings=tuple(warnings),
    )


def _check_regions(recipe: Recipe) -> None:
    """Raise :class:`MissingDependency` now if regions could not be found later."""
    if any(recipe.map_threshold(spec.id) is not None for spec in recipe.specs):
        nothing = Heatmap(grid=np.zeros((1, 1), np.float32), box=(0, 0, 1, 1), image_size=(1, 1))
        find_regions(nothing, 1.0)


def _specs(config: RunConfig, recipe: Recipe | None) -> tuple[DetectorSpec, ...]:
    """Those of the recipe first, then what is asked for beside them."""
    if recipe is None:
        if config.specs:
            return tuple(config.specs)
        names = default_detectors(
            query=config.query,
            references=config.references is not None,
            arriving=config.watching is not None or config.shard is not None,
            sources=config.sources if isinstance(config.sources, list | tuple) else (),
        )
        return tuple(DetectorSpec(id=name) for name in names)
    own = {spec.id for spec in recipe.specs}
    for spec in config.specs:
        if spec.id in own and spec != DetectorSpec(id=spec.id):
            raise UsageError(
                f"a recipe fixes options, bundle and artefact of its {spec.id} itself: leave them "
                "out, or run without the recipe"
            )
    return (*recipe.specs, *(spec for spec in config.specs if spec.id not in own))


def _query(config: RunConfig, recipe: Recipe | None) -> Query:
    if recipe is None:
        return config.query.over(Query(object="object"))
    if config.query.classes and recipe.query.classes not in ((), config.query.classes):
        raise UsageError("the recipe was fitted with other classes: leave --classes out")
    return config.query.over(recipe.query)


def _learn(
    engine: Engine, config: RunConfig, reader: FileReader, query: Query
) -> tuple[list[str], list[str]]:
    """Fit what learns; returns the hashes of the references and what went wrong with them."""
    folder = config.references
    assert folder is not None
    learners = [slot.id for slot in engine.slots if slot.entry.cls.learns]
    if not learners:
        names = ", ".join(slot.id for slot in engine.slots)
        raise UsageError(f"--references: {names} cannot learn from images: leave it out")
    if not folder.exists():
        raise UsageError(f"--references {folder}: no such file or folder")
    hashes: dict[str, None] = {}
    warnings: dict[str, None] = {}

    def frames() -> Iterator[Frame]:
        for found in Walk(sources=[folder], takes=reader.takes):
            try:
                frame = reader.read(found.path)
            except FrameError as error:
                warnings[f"reference left out: {error}"] = None
                continue
            hashes[f"{found.id} {frame.sha256}"] = None
            yield frame

    for name in learners:
        engine.fit(name, frames(), query)
    if not hashes:
        raise UsageError(f"--references {folder}: no picture in it could be read")
    return list(hashes), list(warnings)
