"""All parts: the modules of the catalogue in one table."""

from __future__ import annotations

from collections.abc import Callable

from training.catalogue import (
    devices,
    electric_parts,
    electronics,
    fasteners,
    food_and_medicine,
    goods,
    metal_parts,
)
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    **devices.PARTS,
    **electric_parts.PARTS,
    **electronics.PARTS,
    **fasteners.PARTS,
    **food_and_medicine.PARTS,
    **goods.PARTS,
    **metal_parts.PARTS,
}
