"""Surfaces: for each name the ways it may look, and which textures training may show at all."""

from __future__ import annotations

from dataclasses import dataclass

from training.catalogue.variants import Variants
from training.palette import COLOURS
from training.texture_general import GENERAL

__all__ = ["HELD_OUT_TEXTURES", "SURFACES", "TRAINED_TEXTURES", "SurfaceWay"]

Gloss = tuple[float, float]


@dataclass(frozen=True)
class SurfaceWay:
    """One way a surface may look: its textures, its colours and the range of its gloss."""

    textures: tuple[str, ...]
    colours: tuple[str, ...]
    gloss: Gloss


_ANY = tuple(sorted(COLOURS))
_SHEET = ("silver", "grey", "copper", "gold")
_STEEL = ("silver", "grey", "black")
_CLAY = ("red", "brown", "orange", "beige", "grey")
_HIDE = ("brown", "black", "red", "beige", "orange")
_DARK = ("black", "grey")
_STONE = ("grey", "white", "beige")
_SKIN = ("green", "blue", "grey", "brown")
_MATT: Gloss = (0.0, 0.1)
_SATIN: Gloss = (0.0, 0.4)
_SHINY: Gloss = (0.2, 0.7)
_FOIL: Gloss = (0.5, 1.0)


def _ways(
    colours: tuple[str, ...],
    gloss: Gloss,
    *trained: tuple[str, ...],
    held_out: tuple[tuple[str, ...], ...],
) -> Variants[SurfaceWay]:
    """Ways that differ in their textures alone."""
    return Variants(
        trained=tuple(SurfaceWay(kinds, colours, gloss) for kinds in trained),
        held_out=tuple(SurfaceWay(kinds, colours, gloss) for kinds in held_out),
    )


# name -> (word for the material, ways). What the first release trained on stands first in each.
SURFACES: dict[str, tuple[str, Variants[SurfaceWay]]] = {
    "brick wall": (
        "ceramic",
        _ways(_CLAY, _MATT, ("brick",), ("clinker",), held_out=(("flemish bond",),)),
    ),
    "carpet": (
        "fabric",
        _ways(
            ("grey", "brown", "blue", "green", "red"),
            _SATIN,
            ("carpet", "weave"),
            ("loop pile",),
            held_out=(("herringbone",),),
        ),
    ),
    "cloth": (
        "fabric",
        _ways(_ANY, _SATIN, ("weave", "stripes"), ("twill",), held_out=(("knit",),)),
    ),
    "commutator": (
        "metal",
        _ways(
            ("grey", "silver", "copper"),
            _SATIN,
            ("brushed", "plain", "concrete"),
            ("banded",),
            held_out=(("sintered",),),
        ),
    ),
    "concrete wall": (
        "concrete",
        _ways(("grey", "beige"), _SATIN, ("concrete",), ("formwork",), held_out=(("aggregate",),)),
    ),
    "dotted plate": (
        "metal",
        _ways(
            ("silver", "grey", "white", "black"),
            _SATIN,
            ("dots",),
            ("studs",),
            held_out=(("ring dots",),),
        ),
    ),
    "dough sheet": (
        "dough",
        _ways(
            ("beige", "brown", "orange"), _SATIN, ("baked",), ("cracker",), held_out=(("crust",),)
        ),
    ),
    "foam": (
        "plastic",
        _ways(
            ("white", "grey", "black", "yellow", "blue", "pink"),
            _MATT,
            ("open foam",),
            ("beads",),
            held_out=(("egg crate",),),
        ),
    ),
    "foil": (
        "metal",
        _ways(
            ("silver", "silver", "gold", "copper", "grey"),
            _FOIL,
            ("crumpled",),
            ("wrinkled",),
            held_out=(("embossed",),),
        ),
    ),
    "grid": (
        "metal",
        _ways(_STEEL, _SATIN, ("grid",), ("hex mesh", "expanded"), held_out=(("chain link",),)),
    ),
    "knurled sheet": (
        "metal",
        _ways(_STEEL, _SATIN, ("knurl",), ("ribbed",), held_out=(("rhombs",),)),
    ),
    "leather": (
        "leather",
        _ways(_HIDE, _SATIN, ("leather",), ("pebbled",), held_out=(("croco",),)),
    ),
    "metal sheet": (
        "metal",
        _ways(
            _SHEET,
            _SHINY,
            ("brushed", "hammered", "plain"),
            ("circular", "orange peel", "cast"),
            held_out=(("tread",),),
        ),
    ),
    "paper sheet": (
        "paper",
        _ways(
            ("white", "beige", "yellow", "pink"),
            _MATT,
            ("plain", "stripes"),
            ("paper fibres",),
            held_out=(("laid paper",),),
        ),
    ),
    "plastic sheet": (
        "plastic",
        _ways(_ANY, _SATIN, ("plain", "hammered"), ("moulded",), held_out=(("printed",),)),
    ),
    "rubber mat": (
        "rubber",
        _ways(
            _DARK,
            (0.0, 0.2),
            ("knurl", "stripes", "plain", "dots"),
            ("rib squares",),
            held_out=(("rubber crumb",),),
        ),
    ),
    # training never shows these two names; their numbers say what an unseen surface gives
    "scales": ("ceramic", _ways(_SKIN, _SATIN, held_out=(("scales",), ("keeled",), ("fans",)))),
    "solar cell": (
        "glass",
        _ways(
            ("blue", "grey", "black", "grey", "white"),
            _SATIN,
            ("cells",),
            ("mono", "glowing"),
            held_out=(("poly",),),
        ),
    ),
    "terrazzo": ("stone", _ways(_STONE, _SATIN, held_out=(("terrazzo",), ("chips",), ("shards",)))),
    "tile": (
        "ceramic",
        _ways(
            ("white", "beige", "blue", "grey", "green"),
            _SHINY,
            ("speckle", "tiles"),
            ("hex tile",),
            held_out=(("mosaic",),),
        ),
    ),
    "wood": (
        "wood",
        _ways(
            ("brown", "beige", "orange"),
            _MATT,
            ("wood",),
            ("planks", "oak"),
            held_out=(("end grain",),),
        ),
    ),
}

HELD_OUT_TEXTURES: frozenset[str] = frozenset(
    kind for _, ways in SURFACES.values() for way in ways.held_out for kind in way.textures
)
# what a ground or a material of training may have, too
TRAINED_TEXTURES: frozenset[str] = frozenset(GENERAL) | {
    kind for _, ways in SURFACES.values() for way in ways.trained for kind in way.textures
}
