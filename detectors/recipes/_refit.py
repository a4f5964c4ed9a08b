"""More good images for a recipe, beside those that calibrate it.

A recipe holds what its detectors learned and what they said about the held-out images, but not
the images. So without them, images can only be added to those that calibrate: what was learned
stays as it is, and with it every score that is there. Learning more makes another detector, whose
scores of the old images nobody knows: that takes a new fit (``_fit_like.py``), and all images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip import Device
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.errors import RecipeError, UsageError
from clipvet.detectors.host._host import Host
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.recipes._audit import Audit, audited
from clipvet.detectors.recipes._fit import FitSummary
from clipvet.detectors.recipes._good_images import GoodImage, LeftOut, find_good_images
from clipvet.detectors.recipes._grouping import GroupBy, GroupCounts, KnownImage, in_groups
from clipvet.detectors.recipes._held_out import (
    FitProgress,
    ImageReader,
    ScoredImage,
    check_started,
    choose_probes,
    out_of_world,
    photographs,
    score_held_out,
)
from clipvet.detectors.recipes._probing import score_probes
from clipvet.detectors.recipes._recipe import Recipe, check_free
from clipvet.detectors.recipes._validation import Validation, validate
from clipvet.detectors.runs._reading import FileReader

__all__ = ["RefitConfig", "refit"]


@dataclass(frozen=True, kw_only=True)
class RefitConfig:
    """What to add to a recipe.

    Attributes:
        sources: files and folders of more good images, and of nothing else.
        recipe: its folder; it stays as it is.
        out: the folder of the new recipe; new or empty.
        rate: false alarms to promise; None keeps the rate of the recipe.
        device, batch_size, threads, isolate: as for :class:`Engine`.
    """

    sources: tuple[Path, ...]
    recipe: Path
    out: Path
    rate: float | None = None
    device: Device = "auto"
    batch_size: int = 8
    threads: int | None = None
    isolate: Isolation | None = None


def refit(
    config: RefitConfig,
    *,
    host: Host,
    progress: FitProgress = lambda _doing, _done, _total: None,
    runtime_factory: Callable[..., Any] | None = None,
) -> FitSummary:
    """Add good images to those that calibrate a recipe, and write the new one.

    Thresholds and scores are those of one fit on all images that had the same split, bit for
    bit. The probes are chosen among the old ones and the new images.

    Raises:
        UsageError: no image is new, too few for the rate, another execution provider.
        RecipeError: the recipe does not know its images, or its probes score otherwise here.
        DetectorError: a detector cannot score good images.
    """
    start = time.perf_counter()
    check_free(config.out)
    recipe = Recipe.load(config.recipe)
    audits = _audits(recipe, config.recipe)
    audit = next(iter(audits.values()))
    group_by = GroupBy(audit.group_by) if audit.group_by else None
    reader = FileReader(host.readers, recipe.decode_policy)
    good = find_good_images(config.sources, takes=reader.takes, group_by=group_by)
    learned = {image.sha256: image for one in audits.values() for image in one.learned}
    new, left_out = _new(good.images, audit.held_out, list(learned.values()), group_by)
    if not new:
        raise UsageError(f"{config.recipe}: the recipe knows all of these images: give new ones")
    with Engine(
        recipe.specs,
        host=host,
        bundle=recipe.bundle,
        device=config.device,
        batch_size=config.batch_size,
        threads=config.threads,
        region=recipe.region,
        tiling=recipe.tiling,
        isolate=config.isolate,
        runtime_factory=runtime_factory,
    ) as engine:
        check_started(engine)
        recipe.check(engine.infos.values())
        if engine.provider != recipe.provider:
            raise UsageError(
                f"{config.recipe} was calibrated on {recipe.provider}, this is {engine.provider}, "
                "and scores of both do not mix: use the same device, or fit all images again"
            )
        _check_probes(recipe, config.recipe, engine, reader)
        images = ImageReader(engine, reader, [*good.left_out, *left_out])
        scored = score_held_out(engine, images, new, recipe.query, progress)
        extended = replace(
            recipe,
            calibrations={
                name: audited(
                    [*one.held_out, *photographs(name, scored)],
                    provider=recipe.provider,
                    learned=one.learned,
                    group_by=one.group_by,
                )
                for name, one in audits.items()
            },
            rate=recipe.rate if config.rate is None else config.rate,
            probes=choose_probes([*_old_probes(recipe), *scored], recipe.specs[0].id),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version("clipvet"),
        )
        _ = extended.thresholds  # refuses a rate that cannot be promised
        replace(extended, validation=_measured(extended)).save(config.out)
        held_out = [*audit.held_out, *(one.image for one in scored)]
        return FitSummary(
            recipe=Recipe.load(config.out),
            out=config.out,
            references=len(learned),
            held_out=len(held_out),
            groups=GroupCounts.of(group_by, learned.values(), held_out),
            left_out=tuple(images.left_out),
            stricter=None,
            warnings=(*engine.warnings, *out_of_world(scored, what="new"), *good.problems),
            encoder_calls=engine.encoder_calls,
            seconds=time.perf_counter() - start,
        )


def _audits(recipe: Recipe, folder: Path) -> dict[str, Audit]:
    audits = {
        name: calibration.audit
        for name, calibration in recipe.calibrations.items()
        if calibration.audit is not None
    }
    if len(audits) < len(recipe.calibrations):
        raise RecipeError(
            f"{folder}: the recipe does not say which images it was fitted on (an earlier version "
            "made it): fit all images again"
        )
    return audits


def _new(
    images: Iterable[GoodImage],
    held_out: Sequence[KnownImage],
    learned: Sequence[KnownImage],
    group_by: GroupBy | None,
) -> tuple[list[GoodImage], list[LeftOut]]:
    """The images that may calibrate, in the order of a split, and the others with the reason."""
    calibrating = {image.sha256: image.id for image in held_out}
    from_these = {image.sha256: image.id for image in learned}
    their_groups = {image.group for image in learned if image.group}
    known = {*calibrating.values(), *from_these.values()}
    reasons: dict[str, str] = {}
    unknown: list[GoodImage] = []
    for image in images:
        if image.sha256 in from_these:
            reasons[image.id] = f"the recipe has learned from it, as {from_these[image.sha256]}"
        elif image.sha256 in calibrating:
            reasons[image.id] = f"it calibrates the recipe, as {calibrating[image.sha256]}"
        else:
            unknown.append(image)
    new: list[GoodImage] = []
    for image in _renamed(unknown, known, group_by):
        if image.group in their_groups:
            reasons[image.id] = f"the recipe has learned from its group {image.group}"
        else:
            new.append(image)
    left_out = [LeftOut(id=i, reason=reason, failed=False) for i, reason in reasons.items()]
    return [image for group in in_groups(new) for image in group], left_out


def _renamed(
    images: Sequence[GoodImage], known: set[str], group_by: GroupBy | None
) -> list[GoodImage]:
    """Another folder of the same name gets a label of its own, as it would in one call."""
    taken = {name.partition("/")[0] for name in known} | {_label(image) for image in images}
    labels: dict[str, str] = {}
    for image in images:
        if image.id in known and _label(image) not in labels:
            tries = (f"{_label(image)}-{number}" for number in count(2))
            labels[_label(image)] = next(label for label in tries if label not in taken)
            taken.add(labels[_label(image)])
    renamed = []
    for image in images:
        label = labels.get(_label(image), _label(image))
        name = f"{label}/{image.id.partition('/')[2]}"
        group = "" if group_by is None else group_by.of(name)
        renamed.append(replace(image, id=name, group=group))
    return renamed


def _label(image: KnownImage) -> str:
    return image.id.partition("/")[0]


def _check_probes(recipe: Recipe, folder: Path, engine: Engine, reader: FileReader) -> None:
    for shift in score_probes(recipe, engine, reader):
        if not shift.holds:
            raise RecipeError(
                f"{folder}: probes score up to {shift.largest:.2g} otherwise with "
                f"{shift.detector} than when the recipe was fitted: old and new scores do not "
                "mix: fit all images again"
            )


def _old_probes(recipe: Recipe) -> list[ScoredImage]:
    return [
        ScoredImage(
            GoodImage(id=probe.image, path=probe.file, sha256=sha256_of(probe.file)),
            dict(probe.scores),
            {},
            (),
        )
        for probe in recipe.probes
    ]


def _measured(recipe: Recipe) -> Validation | None:
    """What the kept scores of bad images say about the new thresholds."""
    if recipe.validation is None:
        return None
    return validate(recipe, {one.image: recipe.verdict(one.scores) for one in recipe.bad})
