"""Which program seeds are trained on, measured on, and shipped as sample data: disjoint ranges."""

from __future__ import annotations

__all__ = ["HELD_OUT_FAMILIES", "SEEDS"]

# A program seed fixes one part or surface (shapes, colours, textures); instance seeds only vary
# pose, light, noise and defects of that program.
SEEDS: dict[str, range] = {
    "train": range(10_000_000),
    "held_out": range(20_000_000, 21_000_000),
    "sample": range(30_000_000, 30_100_000),
}

# Families that no training seed ever draws: their numbers say what an unseen kind of part gives.
HELD_OUT_FAMILIES: frozenset[str] = frozenset({"bearing", "comb", "terrazzo", "scales"})
