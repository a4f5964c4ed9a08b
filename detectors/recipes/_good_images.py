"""The good images of a fit: found, told apart by their content, and put into groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._grouping import GroupBy, KnownImage
from clipvet.detectors.sources._walk import Walk, check_sources

__all__ = ["GoodImage", "GoodImages", "LeftOut", "find_good_images"]


@dataclass(frozen=True, kw_only=True)
class GoodImage(KnownImage):
    """One file that the user calls good."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that took no part, and why; ``failed`` unless that was on purpose."""

    id: str
    reason: str
    failed: bool = True


@dataclass(frozen=True, kw_only=True)
class GoodImages:
    """What was found.

    Attributes:
        images: in no order that means anything; ``in_groups`` has that of the split.
        left_out: unreadable files, and copies: a copy on the other side of the split would be
            judged by what was learned from itself.
        ignored: why -> how many files of the folders are no images.
        problems: folders that could not be listed.
    """

    images: tuple[GoodImage, ...]
    left_out: tuple[LeftOut, ...] = ()
    ignored: Counter[str] = field(default_factory=Counter)
    problems: tuple[str, ...] = ()


def find_good_images(
    sources: Iterable[Path],
    *,
    takes: Callable[[Path], bool],
    group_by: GroupBy | None = None,
    called: str = "good",
) -> GoodImages:
    """Walk files and folders, and hash what is there.

    Args:
        sources: files and folders.
        takes: whether a file of a folder is an image.
        group_by: which images show one part; None: each another one.
        called: what the user calls them, for the sentence.

    Raises:
        UsageError: a source does not exist, there is no image in any, or none that the pattern
            matches.
    """
    sources = list(sources)
    check_sources(sources)
    walk = Walk(sources=sources, takes=takes)
    left_out: list[LeftOut] = []
    by_hash: dict[str, GoodImage] = {}
    for found in walk:
        try:
            digest = sha256_of(found.path)
        except OSError as error:
            left_out.append(LeftOut(id=found.id, reason=f"cannot be read ({error.strerror})"))
            continue
        group = "" if group_by is None else group_by.of(found.id)
        image = GoodImage(id=found.id, path=found.path, sha256=digest, group=group)
        first = by_hash.setdefault(digest, image)
        if first is not image:
            left_out.append(LeftOut(id=found.id, reason=f"a copy of {first.id}", failed=False))
    if not by_hash:
        where = ", ".join(str(source) for source in sources) or "nothing"
        raise UsageError(f"there is no image in {where}: give a folder of {called} images")
    if group_by is not None and not any(image.group for image in by_hash.values()):
        raise UsageError(
            f"group by {group_by.pattern!r}: it matches none of the images, for instance "
            f"{next(iter(by_hash.values())).id}: mend the pattern, or leave it out"
        )
    return GoodImages(
        images=tuple(by_hash.values()),
        left_out=tuple(left_out),
        ignored=walk.ignored,
        problems=tuple(walk.problems),
    )
