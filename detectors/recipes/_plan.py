"""What to fit, and how many images that takes: decided before the first one is encoded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clipvet.detectors._detector import Query
from clipvet.detectors.clip import Device
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._views import Region, Tiling
from clipvet.detectors.isolation._limits import Isolation
from clipvet.detectors.recipes._accepted import Accepted
from clipvet.detectors.recipes._bad_images import CONFORMAL, ThresholdRule
from clipvet.detectors.recipes._calibration import (
    RATES,
    calibrating_images,
    images_needed,
    percent,
    strictest_rate,
)
from clipvet.detectors.recipes._combination import Combination, check_weights
from clipvet.detectors.recipes._grouping import GroupBy, KnownImage

__all__ = ["FIT_DETECTORS", "FIT_GATES", "FitConfig", "FitPlan"]

FIT_DETECTORS: Final = ("patchcore", "quality")
"""What a fit takes where no detector is named."""
FIT_GATES: Final = ("quality",)
"""Those of them that abstain: a broken picture says nothing about the part."""

MOST_SHOTS = 16


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """What to fit.

    Attributes:
        sources: files and folders of good images, and of nothing else.
        out: the recipe's folder; new or empty.
        specs: the detectors.
        gates: ids of those that make a verdict ``abstain`` instead of ``flag``.
        bundle: name or folder; None is the embedded one.
        query: what every image is asked about; without an object's name that is "object".
        region, tiling: how a frame becomes views.
        decode_policy: how a file becomes a frame.
        combination: how the others make one verdict.
        weights: of detectors in "weighted", > 0; those left out have 1.
        rate: false alarms to promise; None takes the strictest of 0.01, 0.02, 0.05 and 0.1
            that the number of images allows.
        confidence: with which the rate is to hold over the draw of the held-out images; None
            keeps it on average.
        bad: files and folders of bad images, to measure with; sub-folders are kinds of defects.
        threshold: "conformal" keeps the rate; "max-f1" and "recall=0.95" go by the bad images
            and promise nothing.
        shots: images to learn from (with ``group_by``: groups); None takes a quarter, at least
            1 and at most 16. With 0 no detector learns.
        group_by: which images show one part: they stay on one side of the split, and count once.
        accepted: reviewed false alarms: learned from beside ``shots``, and never calibrating.
        learned: detector -> the images that the artefact of its spec was learned from. A detector
            that ``learns_on`` adds to it, and none of these images calibrates; any other one
            starts afresh, as all do that are not named here.
        device, batch_size, threads, isolate: as for :class:`Engine`.
    """

    sources: tuple[Path, ...]
    out: Path
    specs: tuple[DetectorSpec, ...]
    gates: tuple[str, ...] = ()
    combination: Combination = "any"
    weights: Mapping[str, float] = field(default_factory=dict)
    bundle: str | None = None
    query: Query = field(default_factory=Query)
    region: Region | None = None
    tiling: Tiling | None = None
    decode_policy: DecodePolicy = field(default_factory=DecodePolicy)
    rate: float | None = None
    confidence: float | None = None
    bad: tuple[Path, ...] = ()
    threshold: str = CONFORMAL
    shots: int | None = None
    group_by: GroupBy | None = None
    accepted: tuple[Accepted, ...] = ()
    learned: Mapping[str, tuple[KnownImage, ...]] = field(default_factory=dict)
    device: Device = "auto"
    batch_size: int = 8
    threads: int | None = None
    isolate: Isolation | None = None

    def __post_init__(self) -> None:
        if self.shots is not None and self.shots < 0:
            raise UsageError(f"{self.shots} images to learn from are none: give 0 or more")
        if self.accepted and self.shots == 0:
            raise UsageError("accepted images are learned from: leave --shots 0 out, or --accept")
        ids = [spec.id for spec in self.specs]
        if not set(ids) - set(self.gates):
            raise UsageError("there is no detector that could flag: name one beside the gates")
        unknown = sorted(set(self.gates) - set(ids))
        if unknown:
            raise UsageError(f"gate {unknown[0]} is not among the detectors: name it there, too")
        check_weights(self.combination, self.weights, flagging=set(ids) - set(self.gates))
        if ThresholdRule.parse(self.threshold) is None:
            return
        if not self.bad:
            raise UsageError(f"a threshold {self.threshold} needs images of bad parts: give --bad")
        if not self.gates and (self.rate is not None or self.confidence is not None):
            raise UsageError(
                f"a threshold {self.threshold} promises no false-alarm rate: leave the rate and "
                "the confidence out, or take the threshold conformal"
            )


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """How the images are divided.

    Attributes:
        learners: ids of the detectors that will learn; empty with ``shots=0``.
        together: the most detectors that share one promise (all flags, or all gates).
        rate: asked for, or None.
        confidence: likewise.
        asked_shots: likewise.
    """

    learners: frozenset[str]
    together: int
    rate: float | None
    confidence: float | None
    asked_shots: int | None

    @classmethod
    def of(cls, config: FitConfig, learning: Collection[str]) -> FitPlan:
        """The plan for a configuration of which the detectors ``learning`` can learn."""
        gates = len(set(config.gates))
        return cls(
            learners=frozenset(() if config.shots == 0 else learning),
            together=max(gates, len(config.specs) - gates),
            rate=config.rate,
            confidence=config.confidence,
            asked_shots=config.shots,
        )

    def shots(self, found: int, counted: str = "images") -> int:
        """How many of the images, or of what else is ``counted``, are learned from.

        Raises:
            UsageError: the rest could not calibrate; says how many good images it takes.
        """
        keep = self._held_out_for(RATES[-1] if self.rate is None else self.rate)
        if not self.learners:
            shots = 0
        elif self.asked_shots is not None:
            shots = self.asked_shots
        else:
            shots = max(1, min(MOST_SHOTS, found // 4, found - keep))
        if found - shots < keep:
            rate = percent(RATES[-1] if self.rate is None else self.rate)
            if self.confidence is not None:
                rate = f"{rate} with confidence {percent(self.confidence)}"
            raise UsageError(
                f"too few good {counted} ({found}): {shots} to learn from leave "
                f"{max(0, found - shots)} to calibrate on, and a false-alarm rate of {rate} takes "
                f"{keep}: give at least {keep + shots}"
            )
        return shots

    def promise(self, held_out: int) -> tuple[float, tuple[float, int] | None]:
        """The rate, and the next stricter one with the held-out images that it takes.

        Raises:
            UsageError: these images cannot promise the rate that was asked for, or any.
        """
        if self.rate is not None:
            return self.rate, None
        rate, stricter = strictest_rate(
            calibrating_images(held_out, self.together), self.confidence
        )
        return rate, stricter and (stricter[0], self._held_out_for(stricter[0]))

    def _held_out_for(self, rate: float) -> int:
        """The smallest number of held-out images whose calibrating part can promise ``rate``."""
        needed = images_needed(rate, self.confidence)
        return needed if self.together <= 1 else 2 * needed - 1
