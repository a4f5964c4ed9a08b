"""All parts: the modules of the catalogue in one table."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from training.catalogue import devices, electric_parts, electronics, food_and_medicine, goods
from training.catalogue.variants import Variants
from training.layers import Part
from training.parts import PARTS as FIRST_RELEASE

__all__ = ["PARTS"]

Drawing = Callable[[Part], None]

# Modules that are taken in as soon as they exist.
_COMING = ("fasteners", "metal_parts")
_NEVER_TRAINED = ("bearing", "comb")


def _merged() -> dict[str, Variants[Drawing]]:
    parts = {
        **electric_parts.PARTS,
        **electronics.PARTS,
        **devices.PARTS,
        **goods.PARTS,
        **food_and_medicine.PARTS,
    }
    for name in _COMING:
        if find_spec(f"training.catalogue.{name}"):
            parts.update(import_module(f"training.catalogue.{name}").PARTS)
    # A name whose module is missing has its one old drawing. Training has seen it, so it must not
    # be measured on: the name has no held-out side yet.
    for name, drawing in FIRST_RELEASE.items():
        alone: Variants[Drawing] = (
            Variants((), (drawing,)) if name in _NEVER_TRAINED else Variants((drawing,), ())
        )
        parts.setdefault(name, alone)
    return parts


PARTS: dict[str, Variants[Drawing]] = _merged()
