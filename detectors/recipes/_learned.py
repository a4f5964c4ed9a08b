"""Images that detectors have learned from before: those of a recipe that a fit goes on from.

A detector scores them too low, so none of them may calibrate, nor may another image of the same
part. What adds to its memory does not see them again; what starts afresh does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from clipvet.detectors.recipes._grouping import KnownImage

__all__ = ["distinct", "split_learned", "unlearned"]

Image = TypeVar("Image", bound=KnownImage)


def split_learned(
    images: Iterable[Image], learned: Mapping[str, Sequence[KnownImage]]
) -> tuple[list[Image], list[Image]]:
    """Tell the images that may calibrate from those that may only be learned from.

    Args:
        images: of a fit.
        learned: detector -> what it has learned from.
    """
    known = [image for images in learned.values() for image in images]
    contents = {image.sha256 for image in known}
    groups = {image.group for image in known if image.group}
    free: list[Image] = []
    bound: list[Image] = []
    for image in images:
        side = bound if image.sha256 in contents or image.group in groups else free
        side.append(image)
    return free, bound


def unlearned(images: Iterable[Image], learned: Iterable[KnownImage]) -> list[Image]:
    """The images that a detector has not learned from yet."""
    contents = {image.sha256 for image in learned}
    return [image for image in images if image.sha256 not in contents]


def distinct(images: Iterable[KnownImage]) -> list[KnownImage]:
    """The images, each content once, in order."""
    return list({image.sha256: image for image in images}.values())
