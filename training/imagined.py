"""Facts without pictures: what the grammar of captions is tried on."""

from __future__ import annotations

import numpy as np

from training.layouts.facts import LayoutFacts
from training.layouts.names import PICTOGRAM_WORDS, SHAPE_COLOURS, SHAPES, SIGN_WORDS
from training.palette import COLOURS, MATERIALS
from training.render import Facts
from training.synonyms import NAMES
from training.vocabulary import CAMERA_WORDS, DEFECT_PHRASES

__all__ = ["imagined_facts", "imagined_layout"]


def imagined_facts(rng: np.random.Generator) -> Facts | LayoutFacts:
    """Facts of a part that training shows, or of a layout; any words, whether they suit or not."""
    if rng.random() < 0.35:
        return imagined_layout(rng)
    return Facts(
        name=_one(rng, NAMES),
        material=_one(rng, tuple(MATERIALS)),
        colour=_one(rng, tuple(COLOURS)),
        ground=_one(rng, ("", *COLOURS)),
        defect=_one(rng, tuple(DEFECT_PHRASES)) if rng.random() < 0.5 else "",
        camera=(_one(rng, (*CAMERA_WORDS, "grey")),) if rng.random() < 0.3 else (),
    )


def imagined_layout(rng: np.random.Generator) -> LayoutFacts:
    """Facts of a layout."""
    ground = _one(rng, SHAPE_COLOURS)
    if rng.random() < 0.5:
        return LayoutFacts(
            "pictogram",
            ground,
            pictogram=_one(rng, tuple(PICTOGRAM_WORDS)),
            colour=_one(rng, SHAPE_COLOURS),
            sign=_one(rng, ("", "label", *SIGN_WORDS)),
        )
    kinds = {(_one(rng, tuple(SHAPES)), _one(rng, SHAPE_COLOURS)) for _ in range(3)}
    items = tuple(sorted(kinds))[: int(rng.integers(1, 4))]
    relations = ("left of", "above")[: int(rng.integers(0, 3))] if len(items) == 2 else ()
    counts = tuple(int(rng.integers(1, 7 // len(items))) for _ in items)
    return LayoutFacts("shapes", ground, items, counts, relations)


def _one(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]
