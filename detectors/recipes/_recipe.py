"""A recipe: the folder that fixes everything for one inspection task.

    recipe.toml                    what is used, with the hash of the bundle and every other file
    region.png                     mask of the region of interest, if there is one
    artefacts/<detector>/          what a detector learned
    calibrations/<detector>.json   its scores of held-out good images
    probes/                        a few held-out images; recipe.toml knows their scores
    validation.json                scores and verdicts of bad images, if some were given

Every path in it is relative: the folder can be moved. What it promises: ``docs/recipes.md``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from clipvet.detectors._detector import Query
from clipvet.detectors._whole import room, sync_tree
from clipvet.detectors.clip import BundleInfo
from clipvet.detectors.clip._verified import FileState
from clipvet.detectors.engine._results import DetectorSpec, RawResult
from clipvet.detectors.errors import RecipeError, UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.recipes._bad_images import CONFORMAL, ThresholdRule, choose_cut
from clipvet.detectors.recipes._binding import compare_bundles
from clipvet.detectors.recipes._calibration import Calibration, Threshold
from clipvet.detectors.recipes._combination import (
    Combination,
    JointCalibration,
    calibrate_jointly,
)
from clipvet.detectors.recipes._files import check_unchanged, read_calibration, verify_files
from clipvet.detectors.recipes._saving import write_recipe
from clipvet.detectors.recipes._tables import (
    RECIPE_FILE,
    BadImage,
    BoundBundle,
    RecipeFile,
    calibration_path,
    found_name,
)
from clipvet.detectors.recipes._validation import Validation, read_validation
from clipvet.detectors.recipes._verdicts import judge
from clipvet.detectors.records._records import Verdict

__all__ = ["BoundBundle", "Probe", "Recipe", "check_free"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A held-out good image and what it scored when the recipe was fitted.

    Attributes:
        file: the image.
        image: its id among the images of the fit.
        scores: detector -> raw score.
    """

    file: Path
    image: str
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """Everything that decides what an image of this task scores, and what that means.

    Attributes:
        specs: the detectors with their options and what they learned.
        bundles: what they were fitted on, the task's own first.
        calibrations: detector id -> its scores of held-out good images.
        rate: promised rate of false alarms of the verdict.
        confidence: with which the rate holds over the draw of the held-out images; None: on
            average.
        gates: ids of the detectors that make a verdict ``abstain`` instead of ``flag``.
        combination: how the other detectors make one verdict: "any" of them flags, "all" of
            them do, or their "weighted" p-values.
        weights: detector -> weight in "weighted"; those left out have 1.
        threshold: what makes the threshold of flags: "conformal", or bad images: "max-f1",
            "recall=0.95". Gates and regions are conformal always.
        bad: bad images of the fit, with their scores.
        validation: how the recipe did on them.
        query: what every image is asked about.
        region, tiling: how a frame becomes views.
        decode_policy: how a file becomes a frame.
        provider: execution provider that computed the calibrations.
        probes: images to try a machine with.
        created, version: when and by which version of clipvet; ISO 8601 in UTC.
        sha256: of ``recipe.toml``, which holds the hash of everything else; set by
            :meth:`load`.
        states: of its files when they were verified; set by :meth:`load`.
    """

    specs: tuple[DetectorSpec, ...]
    bundles: tuple[BoundBundle, ...]
    calibrations: Mapping[str, Calibration]
    rate: float
    confidence: float | None = None
    gates: tuple[str, ...] = ()
    combination: Combination = "any"
    weights: Mapping[str, float] = field(default_factory=dict)
    threshold: str = CONFORMAL
    bad: tuple[BadImage, ...] = ()
    validation: Validation | None = None
    query: Query = field(default_factory=Query)
    region: Region | None = None
    tiling: Tiling | None = None
    decode_policy: DecodePolicy = field(default_factory=DecodePolicy)
    provider: str = ""
    probes: tuple[Probe, ...] = ()
    created: str = ""
    version: str = ""
    sha256: str = ""
    states: Mapping[Path, FileState] = field(default_factory=dict, repr=False, compare=False)

    @property
    def bundle(self) -> str:
        """Name or folder of the task's own bundle."""
        return self.bundles[0].name

    @property
    def bundle_sha256(self) -> str:
        """Hash of the task's own bundle."""
        return self.bundles[0].sha256

    @property
    def preprocessing_sha256(self) -> str:
        """Hash of its preprocessing."""
        return self.bundles[0].preprocessing_sha256

    @cached_property
    def flagging(self) -> JointCalibration:
        """The detectors that could flag, as one.

        Raises:
            UsageError: there are too few held-out images for the rate; names how many it takes.
        """
        rule = ThresholdRule.parse(self.threshold)
        joint = calibrate_jointly(
            {k: c for k, c in self.calibrations.items() if k not in self.gates},
            self.rate,
            confidence=self.confidence,
            combination=self.combination,
            weights=self.weights,
        )
        return joint if rule is None else choose_cut(joint, rule, self.bad)

    @cached_property
    def thresholds(self) -> Mapping[str, Threshold]:
        """Detector id -> threshold. The promise is that of all flags together, and of all gates.

        In weighted p-values only gates have one of their own; see :attr:`flagging`.

        Raises:
            UsageError: there are too few held-out images for the rate; names how many it takes.
        """
        gates = {k: c for k, c in self.calibrations.items() if k in self.gates}
        if not gates:
            return self.flagging.thresholds
        abstaining = calibrate_jointly(
            gates, self.rate, confidence=self.confidence, outcome="abstain"
        )
        return {**self.flagging.thresholds, **abstaining.thresholds}

    def verdict(self, scores: Mapping[str, float]) -> Verdict | None:
        """Of an image with these scores, of every detector, in the world of the bundle."""
        results = [
            RawResult(detector=name, version="", task="anomaly", value=score)
            for name, score in scores.items()
        ]
        return judge(results, self).verdict

    def map_threshold(self, detector: str) -> float | None:
        """Local score from which a region is reported: good maps stay below it at this rate."""
        calibration = self.calibrations.get(detector)
        return (
            None if calibration is None else calibration.map_threshold(self.rate, self.confidence)
        )

    def heatmap_range(self, detector: str) -> tuple[float, float] | None:
        """Lowest and highest score that pictures of a detector show; None without heatmaps."""
        calibration = self.calibrations.get(detector)
        return (
            None if calibration is None else calibration.heatmap_range(self.rate, self.confidence)
        )

    def check(self, infos: Iterable[BundleInfo], provider: str | None = None) -> list[str]:
        """Compare the bundles and the provider at hand with those of the fit.

        Args:
            infos: of the bundles in use, the task's own first; those of detectors beside the
                recipe come last.
            provider: execution provider in use.

        Returns:
            sentences of warning: another provider rounds differently.

        Raises:
            RecipeError: another bundle or another preprocessing: no threshold would hold. Or a
                file of the recipe was touched after it was verified.
        """
        check_unchanged(self.states)
        return compare_bundles(self, list(infos), provider)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the folder: completely, or not at all.

        Artefacts and probes are copied from where this recipe's paths point.

        Raises:
            UsageError: the folder exists and is not empty.
            UnfitEnvironment: it cannot be written.
        """
        out = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
        check_free(out)
        part = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.part"
        try:
            with room(out):
                part.mkdir(parents=True)
                write_recipe(self, part, out)
                sync_tree(part)
                part.replace(out)  # an empty folder gives way, a full one does not
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a recipe and verify every file of it.

        Raises:
            RecipeError: no recipe, or a file is absent, changed, or not one of its own.
        """
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
        table, data = RecipeFile.read(folder)
        states = verify_files(folder, table.files)
        name = table.validation
        validation = None if name is None else read_validation(folder / name)
        flagging = {one.id for one in table.detectors} - set(table.gates)
        for bad in () if validation is None else validation.images:
            if not flagging <= set(bad.scores):
                raise RecipeError(f"{folder / str(name)}: {bad.image} lacks a score: fit again")
        try:
            recipe = cls(
                specs=tuple(one.spec(folder) for one in table.detectors),
                bundles=tuple(
                    one.model_copy(update={"name": found_name(one.name, folder)})
                    for one in table.bundles
                ),
                calibrations={
                    one.id: read_calibration(calibration_path(folder, one.id), one.id)
                    for one in table.detectors
                },
                rate=table.false_alarm,
                confidence=table.confidence,
                gates=table.gates,
                combination=table.combination,
                weights=table.weights or {},
                threshold=table.threshold,
                bad=() if validation is None else validation.images,
                validation=validation,
                query=Query(**table.query.model_dump()),
                region=None if table.region is None else table.region.read(folder),
                tiling=None if table.tiling is None else Tiling(**table.tiling.model_dump()),
                decode_policy=DecodePolicy(**table.decode.model_dump()),
                provider=table.provider,
                probes=tuple(
                    Probe(file=folder / one.file, image=one.image, scores=one.scores)
                    for one in table.probes
                ),
                created=table.created,
                version=table.clipvet,
                sha256=hashlib.sha256(data).hexdigest(),
                states=states,
            )
            _ = recipe.thresholds  # now, not at the first image
        except UsageError as error:
            raise RecipeError(f"{folder / RECIPE_FILE}: {error}") from error
        return recipe


def check_free(folder: Path) -> None:
    """Raise :class:`UsageError` if a recipe cannot be written here."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: give a new folder, or remove this one")
    elif os.path.lexists(folder):
        raise UsageError(f"{folder} is a file: give a new folder")
