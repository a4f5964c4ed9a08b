"""What share of good images a policy flags, over many draws of calibration and test images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, kstest

from clipvet.detectors import Calibration, UsageError
from clipvet.detectors.recipes._calibration import rank
from clipvet.detectors.recipes._combination import (
    Combination,
    JointCalibration,
    calibrate_jointly,
)

__all__ = ["Draw", "Outcome", "Policy", "Scores", "replaced", "split", "try_policy"]

Scores = Mapping[str, NDArray[np.float64]]
"""Detector -> scores of the same good images."""

Indices = NDArray[np.intp]
Draw = Callable[[np.random.Generator], tuple[Indices, Indices]]
"""Which images calibrate, and which test."""


@dataclass(frozen=True)
class Policy:
    """Detectors that make one verdict."""

    name: str
    detectors: tuple[str, ...]
    combination: Combination = "any"
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A policy at one rate, over all draws.

    Attributes:
        policy, rate, confidence: what was promised.
        n, k: calibrating images of a draw, and which of their values is the cut.
        realised: share of its test images that each draw flags.
        long_run: share of all images that each draw flags.
    """

    policy: str
    rate: float
    confidence: float | None
    n: int
    k: int
    realised: NDArray[np.float64]
    long_run: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Standard error of the mean realised rate of independent draws."""
        return float(self.realised.std(ddof=1)) / math.sqrt(len(self.realised))

    @property
    def holds(self) -> bool:
        """Mean realised rate <= a + 3 standard errors."""
        return float(self.realised.mean()) <= self.rate + 3 * self.error

    @property
    def expected(self) -> list[float]:
        """5, 50, 95 % quantiles of Beta(n + 1 - k, k)."""
        return [float(q) for q in beta.ppf((0.05, 0.5, 0.95), self.n + 1 - self.k, self.k)]

    @property
    def spread(self) -> list[float]:
        """The same quantiles of the long-run rates."""
        return [float(q) for q in np.quantile(self.long_run, (0.05, 0.5, 0.95))]

    @property
    def distance(self) -> float:
        """Kolmogorov-Smirnov distance of the long-run rates from that distribution."""
        return float(kstest(self.long_run, beta(self.n + 1 - self.k, self.k).cdf).statistic)

    @property
    def broken(self) -> float:
        """Share of draws whose long-run rate exceeds a."""
        return float((self.long_run > self.rate + 1e-12).mean())

    @property
    def allowed(self) -> float:
        """1 - confidence + 3 standard errors."""
        assert self.confidence is not None
        wrong = 1 - self.confidence
        return wrong + 3 * math.sqrt(wrong * self.confidence / len(self.long_run))


def replaced(images: int, held_out: int, tests: int) -> Draw:
    """Independent draws from all images: each image drawn anew, put back before the next."""

    def draw(rng: np.random.Generator) -> tuple[Indices, Indices]:
        return rng.integers(images, size=held_out), rng.integers(images, size=tests)

    return draw


def split(images: int, held_out: int) -> Draw:
    """Splits of the images into two; those of two draws overlap."""

    def draw(rng: np.random.Generator) -> tuple[Indices, Indices]:
        order = rng.permutation(images)
        return order[:held_out], order[held_out:]

    return draw


def try_policy(
    policy: Policy,
    scores: Scores,
    promises: Sequence[tuple[float, float | None]],
    *,
    draw: Draw,
    draws: int,
    seed: int,
) -> list[Outcome]:
    """Calibrate and test on every draw.

    Args:
        policy: which detectors, and how they are combined.
        scores: of good images.
        promises: rate and confidence of each outcome; those that the images of a draw cannot
            promise are left out.
        draw: chooses the images.
        draws: how many times.
        seed: of the first draw; equal seeds give equal draws.
    """
    rows = [
        dict(zip(policy.detectors, row, strict=True))
        for row in zip(*(scores[name].tolist() for name in policy.detectors), strict=True)
    ]
    realised: dict[int, list[float]] = {}
    long_run: dict[int, list[float]] = {}
    joints: dict[int, JointCalibration] = {}
    for number in range(draws):
        calibrating, testing = draw(np.random.default_rng([seed, number]))
        values: list[Fraction] | None = None
        for place, (rate, confidence) in enumerate(promises):
            try:
                joint = _calibrated(policy, scores, calibrating, rate, confidence)
            except UsageError:
                continue
            values = values or [joint.statistic.of(row) for row in rows]
            flagged = np.array([value > joint.cut for value in values])
            realised.setdefault(place, []).append(float(flagged[testing].mean()))
            long_run.setdefault(place, []).append(float(flagged.mean()))
            joints[place] = joint
    return [
        Outcome(
            policy=policy.name,
            rate=promises[place][0],
            confidence=promises[place][1],
            n=len(joint.values),
            k=rank(len(joint.values), *promises[place]),
            realised=np.array(realised[place]),
            long_run=np.array(long_run[place]),
        )
        for place, joint in joints.items()
    ]


def _calibrated(
    policy: Policy, scores: Scores, chosen: Indices, rate: float, confidence: float | None
) -> JointCalibration:
    images = tuple(str(i) for i in chosen)
    return calibrate_jointly(
        {name: Calibration(images=images, scores=scores[name][chosen])
         for name in policy.detectors},
        rate,
        confidence=confidence,
        combination=policy.combination,
        weights=policy.weights if policy.combination == "weighted" else None,
    )  # fmt: skip
