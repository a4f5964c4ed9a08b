"""Bad images in a fit: found, scored like held-out good ones, and judged by the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from clipvet.detectors._detector import Query
from clipvet.detectors.engine._engine import Engine
from clipvet.detectors.recipes._bad_images import ThresholdRule, divide, kind_of
from clipvet.detectors.recipes._good_images import (
    GoodImage,
    GoodImages,
    LeftOut,
    find_good_images,
)
from clipvet.detectors.recipes._held_out import (
    FitProgress,
    ImageReader,
    ScoredImage,
    score_held_out,
)
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.recipes._tables import BadImage
from clipvet.detectors.recipes._validation import Validation, validate
from clipvet.detectors.recipes._verdicts import judge

__all__ = ["bad_images", "find_bad_images", "score_bad", "validation_of"]


def find_bad_images(
    sources: Sequence[Path], good: GoodImages, *, takes: Callable[[Path], bool]
) -> GoodImages:
    """Likewise found and ordered; a file that is also among the good ones is left out by name.

    Raises:
        UsageError: a source does not exist, or there is no image in any.
    """
    if not sources:
        return GoodImages(images=())
    found = find_good_images(sources, takes=takes, called="bad")
    called_good = {image.sha256: image.id for image in good.images}
    both = tuple(
        LeftOut(
            id=image.id,
            reason=f"the same file as {called_good[image.sha256]}, which is among the good images",
        )
        for image in found.images
        if image.sha256 in called_good
    )
    kept = [image for image in found.images if image.sha256 not in called_good]
    kept.sort(key=lambda image: image.sha256)  # by content: as good as random, whatever the names
    return replace(found, images=tuple(kept), left_out=(*found.left_out, *both))


def score_bad(
    engine: Engine,
    reader: ImageReader,
    images: Sequence[GoodImage],
    query: Query,
    progress: FitProgress,
) -> list[ScoredImage]:
    """Score them; those that cannot be judged are left out.

    Raises:
        DetectorError: there are bad images, and not one could be scored.
    """
    return score_held_out(engine, reader, images, query, progress, what="bad") if images else []


def bad_images(scored: Sequence[ScoredImage], threshold: str) -> tuple[BadImage, ...]:
    """What the recipe keeps of them."""
    found = [
        BadImage(
            image=one.image.id,
            sha256=one.image.sha256,
            kind=kind_of(one.image),
            scores=one.scores,
        )
        for one in scored
    ]
    return divide(found, ThresholdRule.parse(threshold))


def validation_of(recipe: Recipe, scored: Sequence[ScoredImage]) -> Validation | None:
    """How the recipe does on them; None if there are none."""
    if not scored:
        return None
    return validate(recipe, {one.image.id: judge(one.results, recipe).verdict for one in scored})
