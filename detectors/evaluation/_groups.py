"""The scored images of a test set by label, and which masks of them serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from clipvet.detectors.evaluation._scored import MaskError, ScoredImage, read_mask

__all__ = ["Groups", "group", "usable_masks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Images by label.

    Attributes:
        good: images.
        types: defect type -> images.
        masked: type -> those of them with a usable mask; types without any are left out.
    """

    good: Sequence[ScoredImage]
    types: Mapping[str, Sequence[ScoredImage]]
    masked: Mapping[str, Sequence[ScoredImage]] = field(default_factory=dict)

    @property
    def defects(self) -> list[ScoredImage]:
        """Of all types."""
        return [one for images in self.types.values() for one in images]

    @property
    def images(self) -> list[ScoredImage]:
        """All of them."""
        return [*self.good, *self.defects]

    @property
    def detectors(self) -> list[str]:
        """Ids of those that were to answer, in the order of the run."""
        return list(
            dict.fromkeys(
                answer.detector for one in self.images for answer in one.record.detections
            )
        )

    def not_abstained(self) -> Groups:
        """Those whose verdict is not ``abstain``."""
        return group([one for one in self.images if one.record.verdict != "abstain"])


def group(images: Sequence[ScoredImage], masked: Sequence[ScoredImage] = ()) -> Groups:
    """Sort images by label."""
    return Groups(
        good=[one for one in images if one.image.kind is None],
        types=_by_type(images),
        masked=_by_type(masked),
    )


def usable_masks(
    images: Sequence[ScoredImage],
) -> Iterator[tuple[ScoredImage, str | None]]:
    """Decoded images that have a mask, each with what is wrong with it."""
    for one in images:
        if one.image.mask is None or one.record.status != "ok":
            continue
        try:
            read_mask(one.image.mask, one.size)
        except MaskError as error:
            yield one, str(error)
        else:
            yield one, None


def _by_type(images: Sequence[ScoredImage]) -> dict[str, list[ScoredImage]]:
    found: dict[str, list[ScoredImage]] = {}
    for one in images:
        if one.image.kind is not None:
            found.setdefault(one.image.kind, []).append(one)
    return found
