"""Which program seeds are trained on, measured on, and shipped as sample data: disjoint ranges."""

from __future__ import annotations

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import SURFACES
from training.catalogue.variants import Side

__all__ = ["NEVER_TRAINED", "SEEDS", "side_of"]

# A program seed fixes one part or surface (shapes, colours, textures); instance seeds only vary
# pose, light, noise and defects of that program.
SEEDS: dict[str, range] = {
    "train": range(10_000_000),
    "held_out": range(20_000_000, 21_000_000),
    "sample": range(30_000_000, 30_100_000),
}

# Names that no training seed ever draws: their numbers say what an unseen kind of part gives.
NEVER_TRAINED: frozenset[str] = frozenset(
    [name for name, ways in PARTS.items() if not ways.trained]
    + [name for name, (_, ways) in SURFACES.items() if not ways.trained]
)


def side_of(seed: int) -> Side:
    """Training seeds show trained ways alone, all others held-out ways alone."""
    return "train" if seed in SEEDS["train"] else "held_out"
