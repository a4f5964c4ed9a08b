"""From a folder of good images to a recipe: learn from some, calibrate on the rest."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from clipvet.detectors._detector import Query
from clipvet.detectors.engine._advice import advised
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.engine._merging import PlannedFrame
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.engine._setup import make_options
from clipvet.detectors.errors import UsageError
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._accepted import apart_from, find_accepted
from clipvet.detectors.recipes._audit import audited
from clipvet.detectors.recipes._fit_bad import (
    bad_images,
    find_bad_images,
    score_bad,
    validation_of,
)
from clipvet.detectors.recipes._good_images import LeftOut, find_good_images
from clipvet.detectors.recipes._grouping import GroupCounts, KnownImage, in_groups, in_turns
from clipvet.detectors.recipes._held_out import (
    FitProgress,
    ImageReader,
    check_started,
    choose_probes,
    out_of_world,
    photographs,
    score_held_out,
)
from clipvet.detectors.recipes._learned import distinct, split_learned, unlearned
from clipvet.detectors.recipes._plan import FitConfig, FitPlan
from clipvet.detectors.recipes._recipe import BoundBundle, Recipe, check_free
from clipvet.detectors.runs._config import describe_task
from clipvet.detectors.runs._reading import FileReader

__all__ = ["FitConfig", "FitProgress", "FitSummary", "fit"]


@dataclass(frozen=True, kw_only=True)
class FitSummary:
    """What came of it.

    Attributes:
        recipe: as read back from its folder.
        out: the folder.
        references: images that detectors learned from.
        held_out: images that calibrate.
        groups: how many groups these are; None without groups.
        left_out: images that took no part, each with its reason.
        stricter: the next stricter rate, and how many held-out images it would take; None if
            the rate was asked for, or there is no stricter one to offer.
        warnings: sentences for the reader.
        encoder_calls: views that went through CLIP.
        seconds: of the whole fit.
    """

    recipe: Recipe
    out: Path
    references: int
    held_out: int
    groups: GroupCounts | None
    left_out: tuple[LeftOut, ...]
    stricter: tuple[float, int] | None
    warnings: tuple[str, ...]
    encoder_calls: int
    seconds: float


def fit(
    config: FitConfig,
    *,
    host: Host,
    progress: FitProgress = lambda _doing, _done, _total: None,
    runtime_factory: Callable[..., Any] | None = None,
) -> FitSummary:
    """Fit a recipe and write its folder.

    The split goes by content: the same images give the same recipe whatever they are called.
    With groups it goes by their names, and groups stay whole.

    Raises:
        UsageError: too few images for the rate, a folder that is not empty, a query that a
            detector needs and was not given.
        DetectorError: a detector cannot learn, or cannot score good images.
        UnfitEnvironment: a bundle or device that does not serve.
    """
    start = time.perf_counter()
    check_free(config.out)
    chosen, advice = list(config.specs), list[str]()
    if runtime_factory is None:
        chosen, advice = advised(config.specs, host=host, bundle=_portable(config.bundle, host))
    specs = tuple(_complete(spec, host) for spec in chosen)
    learning = [spec.id for spec in specs if host.detector(spec.id).cls.learns]
    plan = FitPlan.of(config, learning)
    specs, earlier = _going_on(specs, config, plan, host)
    if config.accepted and not plan.learners:
        raise UsageError("none of the detectors can learn: leave the accepted images out")
    query = config.query if config.query.object else replace(config.query, object="object")
    reader = FileReader(host.readers, config.decode_policy)
    good = find_good_images(config.sources, takes=reader.takes, group_by=config.group_by)
    bad = find_bad_images(config.bad, good, takes=reader.takes)
    new, known = split_learned(good.images, earlier)
    groups = in_groups(new)
    shots = plan.shots(len(groups), "images" if config.group_by is None else "groups of images")
    with (
        Engine(
            specs,
            host=host,
            bundle=_portable(config.bundle, host),
            device=config.device,
            batch_size=config.batch_size,
            threads=config.threads,
            region=config.region,
            tiling=config.tiling,
            isolate=config.isolate,
            runtime_factory=runtime_factory,
        ) as engine,
        tempfile.TemporaryDirectory(prefix="clipvet-fit-") as scratch,
    ):
        check_started(engine)
        images = ImageReader(engine, reader, [*good.left_out, *bad.left_out])
        remaining = iter(groups)
        references = in_turns(images.readable(remaining, shots))
        held_out = [image for group in remaining for image in group]
        if config.accepted:
            # First: a detector that keeps only so many must not drop what was named by hand.
            task = describe_task(engine, query, config.decode_policy)
            accepted = find_accepted(config.accepted, task, config.group_by)
            apart, placed = apart_from(accepted, good.images, held_out)
            images.left_out.extend(placed)
            references = [image for image in apart if images.plan(image) is not None] + references
        if plan.learners:
            references += [image for image in known if images.plan(image) is not None]
        sources = {
            name: unlearned(references, earlier.get(name, ())) for name in sorted(plan.learners)
        }
        learned = {
            name: (*earlier.get(name, ()), *sources.get(name, ()))
            for name in earlier.keys() | sources.keys()
        }
        if references:
            progress("learning", 0, len(references))
            folders = {
                name: _learn(engine, name, images.frames(chosen), query, Path(scratch))
                for name, chosen in sources.items()
                if chosen
            }
            specs = tuple(
                replace(spec, artefact=folders.get(spec.id, spec.artefact)) for spec in specs
            )
        scored = score_held_out(engine, images, held_out, query, progress)
        calibrations = {
            spec.id: audited(
                photographs(spec.id, scored),
                provider=engine.provider,
                learned=learned.get(spec.id, ()),
                group_by="" if config.group_by is None else config.group_by.pattern,
            )
            for spec in specs
        }
        rate, stricter = plan.promise(calibrations[specs[0].id].n)
        wrong = score_bad(engine, images, bad.images, query, progress)
        recipe = Recipe(
            specs=specs,
            bundles=tuple(
                BoundBundle(
                    name=name,
                    id=info.id,
                    sha256=info.sha256,
                    preprocessing_sha256=info.preprocessing_sha256,
                )
                for name, info in engine.infos.items()
            ),
            calibrations=calibrations,
            rate=rate,
            confidence=config.confidence,
            gates=config.gates,
            combination=config.combination,
            weights=config.weights,
            threshold=config.threshold,
            bad=bad_images(wrong, config.threshold),
            query=query,
            region=config.region,
            tiling=config.tiling,
            decode_policy=config.decode_policy,
            provider=engine.provider,
            probes=choose_probes(scored, specs[0].id),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version("clipvet"),
        )
        _ = recipe.thresholds  # refuses a rate that cannot be promised, before anything is written
        replace(recipe, validation=validation_of(recipe, wrong)).save(config.out)
        behind = distinct([*chain.from_iterable(learned.values()), *references])
        return FitSummary(
            recipe=Recipe.load(config.out),
            out=config.out,
            references=len(behind),
            held_out=len(scored),
            groups=GroupCounts.of(config.group_by, behind, [one.image for one in scored]),
            left_out=tuple(images.left_out),
            stricter=stricter,
            warnings=(
                *advice,
                *engine.warnings,
                *out_of_world(scored),
                *good.problems,
                *bad.problems,
            ),
            encoder_calls=engine.encoder_calls,
            seconds=time.perf_counter() - start,
        )


def _complete(spec: DetectorSpec, host: Host) -> DetectorSpec:
    """The spec with every option written out, so that a later default changes no recipe."""
    options = make_options(host.detector(spec.id), spec.options)
    stored = options.model_dump(mode="json", exclude_none=True)
    if type(options).model_validate(stored) != options:
        raise UsageError(f"{spec.id}: these options do not survive being written to a file")
    bundle = None if spec.bundle is None else _portable(spec.bundle, host)
    return replace(spec, options=stored, bundle=bundle)


def _going_on(
    specs: Sequence[DetectorSpec], config: FitConfig, plan: FitPlan, host: Host
) -> tuple[tuple[DetectorSpec, ...], dict[str, tuple[KnownImage, ...]]]:
    """The specs without what is learned afresh, and the images behind what is added to."""
    adding = {spec.id for spec in specs if host.detector(spec.id).cls.learns_on}
    earlier = {name: config.learned[name] for name in adding & config.learned.keys()}
    afresh = ((plan.learners & adding) | config.learned.keys()) - earlier.keys()
    return tuple(replace(s, artefact=None) if s.id in afresh else s for s in specs), earlier


def _portable(bundle: str | None, host: Host) -> str | None:
    """A folder as an absolute path; the recipe writes it relative to itself."""
    if bundle is None or bundle in host.bundles or not Path(bundle).is_dir():
        return bundle
    return str(Path(bundle).absolute())


def _learn(
    engine: Engine, name: str, frames: Iterator[PlannedFrame], query: Query, scratch: Path
) -> Path | None:
    """Let a detector learn; the folder of its artefact, or None if it keeps nothing."""
    engine.fit(name, (plan.frame for plan in frames), query)
    folder = scratch / f"{len(list(scratch.iterdir()))}"
    folder.mkdir()
    engine.save(name, folder)
    return folder if any(folder.iterdir()) else None
