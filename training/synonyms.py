"""Other words that captions use for what is rendered: the same facts, said differently."""

from __future__ import annotations

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import SURFACES
from training.seeds import NEVER_TRAINED

__all__ = ["NAMES", "called"]

# name in the catalogue -> other names that are true of every program of that name. A name that
# the catalogue does not hold is ignored, so that its words stay unknown until it is rendered.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "battery": ("cell", "accumulator", "electric component"),
    "bearing": ("ball bearing",),
    "board": ("pcb", "circuit board", "printed circuit board"),
    "bolt": ("fastener",),
    "brick wall": ("bricks", "masonry"),
    "brush": ("brushes",),
    "cable": ("wire",),
    "candle": ("candles",),
    "cap": ("lid", "bottle cap"),
    "capacitor": ("electric component",),
    "capsule": ("capsules", "medicine"),
    "carpet": ("rug", "textile"),
    "cashew": ("cashew nut", "cashews", "food"),
    "chewing gum": ("chewinggum", "gum", "food"),
    "chewinggum": ("chewing gum", "gum", "food"),
    "cloth": ("fabric", "textile"),
    "concrete wall": ("concrete", "concrete surface"),
    "connector": ("electric component",),
    "cookie": ("biscuit", "food"),
    "dotted plate": ("perforated plate",),
    "foil": ("metal foil",),
    "fryum": ("snack", "food"),
    "gear": ("cog", "gear wheel", "toothed wheel"),
    "grid": ("mesh",),
    "hazelnut": ("hazel nut", "food"),
    "knurled sheet": ("knurled metal",),
    "label": ("sticker", "printed label"),
    "lamp": ("light",),
    "leather": ("leather surface",),
    "macaroni": ("pasta", "food"),
    "metal sheet": ("sheet metal", "metal surface"),
    "microchip": ("chip", "integrated circuit", "electric component"),
    "nut": ("fastener",),
    "paper sheet": ("paper", "sheet of paper"),
    "pill": ("tablet", "pills", "medicine"),
    "pipe fryum": ("snack", "food"),
    "plastic sheet": ("plastic surface", "sheet of plastic"),
    "pouch": ("bag", "packet"),
    "resistor": ("electric component",),
    "rubber mat": ("rubber surface",),
    "screw": ("fastener",),
    "socket": ("power socket", "outlet"),
    "solar cell": ("photovoltaic cell", "solar panel"),
    "switch": ("electric switch",),
    "tile": ("tiles", "ceramic tile", "tiled surface"),
    "toothbrush": ("tooth brush", "brush head"),
    "transistor": ("electric component",),
    "washer": ("flat washer", "fastener"),
    "wood": ("wooden surface", "timber", "wood grain"),
    "zipper": ("zip", "zip fastener"),
}

# What training shows; the words of any other name are unknown to the text tower.
NAMES: tuple[str, ...] = tuple(sorted({*PARTS, *SURFACES} - NEVER_TRAINED))


def called(name: str) -> tuple[str, ...]:
    """Every name that is true of a program: its own first, then its synonyms."""
    return (name, *_SYNONYMS.get(name, ()))
