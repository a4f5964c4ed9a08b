"""Colours, materials and their textures, drawn from a program's generator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.textures import Texture

__all__ = ["COLOURS", "MATERIALS", "dark", "draw_texture", "material_texture", "tinted"]

Rgb = tuple[float, float, float]

COLOURS: dict[str, Rgb] = {
    "beige": (0.82, 0.74, 0.60),
    "black": (0.10, 0.10, 0.11),
    "blue": (0.16, 0.30, 0.72),
    "brown": (0.45, 0.29, 0.16),
    "copper": (0.72, 0.43, 0.26),
    "cyan": (0.20, 0.70, 0.75),
    "gold": (0.80, 0.63, 0.25),
    "green": (0.18, 0.52, 0.24),
    "grey": (0.50, 0.50, 0.51),
    "orange": (0.90, 0.48, 0.12),
    "pink": (0.90, 0.55, 0.66),
    "purple": (0.45, 0.22, 0.60),
    "red": (0.76, 0.13, 0.12),
    "silver": (0.72, 0.73, 0.75),
    "white": (0.92, 0.92, 0.90),
    "yellow": (0.92, 0.80, 0.18),
}
_NEUTRAL = ("black", "grey", "white", "silver", "beige", "brown")
_ALL = tuple(sorted(COLOURS))

# material -> (textures it may have, colours it may have, range of gloss)
MATERIALS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[float, float]]] = {
    "metal": (
        ("brushed", "plain", "plain", "hammered"),
        ("silver", "grey", "copper", "gold", "silver", "grey"),
        (0.2, 0.7),
    ),
    "plastic": (("plain",), _ALL, (0.1, 0.6)),
    "rubber": (("plain", "carpet"), ("black", "black", "grey", "red"), (0.0, 0.15)),
    "wood": (("wood",), ("brown", "beige", "orange", "beige"), (0.0, 0.1)),
    "leather": (("leather",), ("brown", "black", "red", "beige", "orange"), (0.05, 0.3)),
    "fabric": (("weave", "carpet", "weave"), _ALL, (0.0, 0.05)),
    "paper": (("plain",), ("white", "beige", "white", "yellow"), (0.0, 0.05)),
    "cardboard": (("stripes", "plain"), ("brown", "beige"), (0.0, 0.05)),
    "glass": (("plain",), ("green", "brown", "black", "cyan", "white"), (0.4, 0.9)),
    "ceramic": (("plain", "speckle"), ("white", "beige", "blue", "white", "grey"), (0.2, 0.6)),
    "stone": (("speckle", "concrete"), ("grey", "beige", "white", "black", "brown"), (0.0, 0.2)),
    "concrete": (("concrete",), ("grey", "beige"), (0.0, 0.05)),
    "dough": (("baked",), ("brown", "beige", "orange", "beige"), (0.0, 0.1)),
}


def tinted(rgb: Rgb, rng: np.random.Generator, amount: float = 0.08) -> Rgb:
    """A colour near ``rgb``."""
    hue = rng.normal(0, amount, 3) * 0.6
    r, g, b = np.clip(np.asarray(rgb) + hue + rng.normal(0, amount), 0.04, 1)
    return float(r), float(g), float(b)


def dark(rgb: Rgb, factor: float) -> Rgb:
    """``rgb`` times ``factor``, clipped to 0..1."""
    r, g, b = np.clip(np.asarray(rgb) * factor, 0, 1)
    return float(r), float(g), float(b)


def draw_texture(
    rng: np.random.Generator, kind: str, colour: str, gloss: float, contrast: float | None = None
) -> Texture:
    """A texture of one kind around a named colour."""
    base = tinted(COLOURS[colour], rng)
    spread = float(rng.uniform(0.25, 0.7)) if contrast is None else contrast
    low, high = dark(base, 1 - spread), dark(base, 1 + 0.6 * spread)
    if rng.random() < 0.2:
        high = tinted(high, rng, 0.2)
    return Texture(kind, low, high, tuple(float(k) for k in rng.random(8)), gloss)


def material_texture(
    rng: np.random.Generator, material: str, colour: str | None = None
) -> tuple[Texture, str]:
    """A texture of a material, and the name of its colour."""
    kinds, colours, (low, high) = MATERIALS[material]
    name = colour or str(rng.choice(colours))
    kind = str(rng.choice(kinds))
    texture = draw_texture(rng, kind, name, float(rng.uniform(low, high)))
    if material == "paper":
        texture = replace(texture, knobs=(*texture.knobs[:7], 0.0))
    return texture, name


def neutral(rng: np.random.Generator) -> str:
    """A colour that grounds often have."""
    return str(rng.choice(_NEUTRAL))
