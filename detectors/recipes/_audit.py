"""Which images are behind a calibration, one by one, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._grouping import KnownImage, in_groups

__all__ = ["Audit", "Photograph", "audited"]


@dataclass(frozen=True, kw_only=True)
class Photograph(KnownImage):
    """A held-out image and what one detector said about it.

    Attributes:
        score: raw.
        map_maximum, map_median: of its heatmap; None without one.
    """

    score: float
    map_maximum: float | None = None
    map_median: float | None = None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The images of a calibration.

    Attributes:
        held_out: in the order of the split.
        learned: what the detector learned from.
        group_by: the pattern that names groups; empty without groups.
    """

    held_out: tuple[Photograph, ...]
    learned: tuple[KnownImage, ...] = ()
    group_by: str = ""


def audited(
    held_out: Iterable[Photograph],
    *,
    provider: str,
    learned: Iterable[KnownImage] = (),
    group_by: str = "",
) -> Calibration:
    """The calibration that some images make: one score for each group, its largest.

    A group is flagged if any of its images is. So if groups are exchangeable, a new group is
    flagged with at most the promised probability, and so is any one image of it.
    """
    groups = in_groups(held_out)
    members = tuple(image for group in groups for image in group)
    mapped = all(image.map_maximum is not None for image in members)
    audit = Audit(held_out=members, learned=tuple(learned), group_by=group_by)
    return Calibration(
        images=tuple(group[0].unit for group in groups),
        scores=_largest(groups, "score"),
        map_maxima=_largest(groups, "map_maximum") if mapped else np.empty(0),
        map_low=float(np.median([image.map_median for image in members])) if mapped else None,
        provider=provider,
        fitted_on=tuple(image.id for image in audit.learned),
        audit=audit,
    )


def _largest(groups: Iterable[Iterable[Photograph]], name: str) -> NDArray[np.float64]:
    found = [max(getattr(image, name) for image in group) for group in groups]
    return np.array(found, dtype=np.float64)
