"""The good images of a fit, in an order that has nothing to do with how they were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.errors import UsageError
from clipvet.detectors.sources._walk import Walk, check_sources

__all__ = ["GoodImage", "GoodImages", "LeftOut", "find_good_images"]


@dataclass(frozen=True, kw_only=True)
class GoodImage:
    """One file that the user calls good."""

    id: str
    path: Path
    sha256: str


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
        images: by rising sha256 of their bytes. That is a permutation as good as random, and
            the same on every machine whatever the files are called.
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
    sources: Iterable[Path], *, takes: Callable[[Path], bool], called: str = "good"
) -> GoodImages:
    """Walk files and folders and order what is there by content.

    Args:
        sources: files and folders.
        takes: whether a file of a folder is an image.
        called: what the user calls them, for the sentence.

    Raises:
        UsageError: a source does not exist, or there is no image in any.
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
        image = GoodImage(id=found.id, path=found.path, sha256=digest)
        first = by_hash.setdefault(digest, image)
        if first is not image:
            left_out.append(LeftOut(id=found.id, reason=f"a copy of {first.id}", failed=False))
    if not by_hash:
        where = ", ".join(str(source) for source in sources) or "nothing"
        raise UsageError(f"there is no image in {where}: give a folder of {called} images")
    return GoodImages(
        images=tuple(by_hash[digest] for digest in sorted(by_hash)),
        left_out=tuple(left_out),
        ignored=walk.ignored,
        problems=tuple(walk.problems),
    )
