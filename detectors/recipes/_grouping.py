"""Images of one part: which ones belong together, and the one order that a split follows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import TypeVar

from clipvet.detectors.errors import UsageError

__all__ = ["GroupBy", "GroupCounts", "KnownImage", "in_groups", "in_turns"]


@dataclass(frozen=True, kw_only=True)
class KnownImage:
    """One image of a fit.

    Attributes:
        id: ``<root label>/<relative path>``.
        sha256: of its bytes.
        group: name of the part that it shows; empty if it is a group by itself.
    """

    id: str
    sha256: str
    group: str = ""

    @property
    def unit(self) -> str:
        """What counts once: the group, or the image itself."""
        return self.group or self.id

    @property
    def place(self) -> tuple[str, str]:
        """Where it comes in a split: by a hash, which is a permutation as good as random.

        Of the name of a group, so that its size has no say: what is held out would otherwise
        be smaller groups than those to come.
        """
        name = self.group.encode("utf-8", "surrogateescape")
        return hashlib.sha256(name).hexdigest() if self.group else self.sha256, self.sha256


@dataclass(frozen=True)
class GroupBy:
    """Which images show one part, by their ids.

    Attributes:
        pattern: a regular expression, searched in the id. Its first group names the part; without
            groups, the whole match. An image without a match, or with an empty one, is a part
            by itself.
    """

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError) as error:
            raise UsageError(
                f"group by {self.pattern!r}: not a regular expression ({error}): "
                "see the syntax of Python's re"
            ) from error

    def of(self, image_id: str) -> str:
        """The name of the part, or an empty string."""
        match = re.search(self.pattern, image_id)
        if match is None:
            return ""
        return (match[1] if match.re.groups else match[0]) or ""


@dataclass(frozen=True, kw_only=True)
class GroupCounts:
    """How the groups of a fit were divided.

    Attributes:
        learned, held_out: groups, images that are one by themselves included.
        unmatched: images that the pattern does not match.
    """

    learned: int
    held_out: int
    unmatched: int

    @classmethod
    def of(
        cls,
        group_by: GroupBy | None,
        learned: Iterable[KnownImage],
        held_out: Iterable[KnownImage],
    ) -> GroupCounts | None:
        """Counted; None without groups."""
        if group_by is None:
            return None
        learned, held_out = list(learned), list(held_out)
        return cls(
            learned=len({image.unit for image in learned}),
            held_out=len({image.unit for image in held_out}),
            unmatched=sum(not image.group for image in [*learned, *held_out]),
        )


Image = TypeVar("Image", bound=KnownImage)


def in_groups(images: Iterable[Image]) -> list[list[Image]]:
    """The groups of some images, in the order of the split, with their images in that order."""
    ordered = sorted(images, key=lambda image: image.place)
    return [list(members) for _, members in groupby(ordered, key=lambda image: image.unit)]


def in_turns(groups: Iterable[Iterable[Image]]) -> list[Image]:
    """One image of each group, then another of each: the first few show many parts."""
    turns = zip_longest(*groups)
    return [image for turn in turns for image in turn if image is not None]
