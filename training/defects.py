"""Defects: each rewrites a part's layers, or adds layers at a spot of the part.

Every kind has independent ways to be drawn. Their shapes differ, not their knobs: what is held out
looks like nothing that training shows under the same word.
"""

from __future__ import annotations

from training.catalogue.variants import Variants
from training.defects_common import Damage, Site
from training.defects_lines import CRACK, SCRATCH
from training.defects_relief import DENT, FOREIGN
from training.defects_shape import BENT, CHIP, MISPLACED, MISSING, PRINT
from training.defects_spots import COLOUR, HOLE, STAIN
from training.layers import Layer

__all__ = ["DEFECTS", "STRUCTURAL", "Damage", "Site", "possible"]

DEFECTS: dict[str, Variants[Damage]] = {
    "bent": BENT,
    "chip": CHIP,
    "crack": CRACK,
    "dent": DENT,
    "foreign body": FOREIGN,
    "hole": HOLE,
    "misplaced part": MISPLACED,
    "missing part": MISSING,
    "print error": PRINT,
    "scratch": SCRATCH,
    "stain": STAIN,
    "wrong colour": COLOUR,
}
STRUCTURAL = frozenset({"bent", "chip", "misplaced part", "missing part", "print error"})


def possible(layers: tuple[Layer, ...]) -> list[str]:
    """The defects that these layers can have."""
    roles = {x.role for x in layers if x.shapes}
    impossible: set[str] = set()
    if "body" not in roles:
        impossible |= STRUCTURAL
    if not roles & {"detail", "hole"}:
        impossible |= {"missing part", "misplaced part"}
    if "print" not in roles:
        impossible.add("print error")
    return [d for d in sorted(DEFECTS) if d not in impossible]
