"""Outlines and colours that the electrical and mechanical drawings share."""

from __future__ import annotations

import numpy as np

from training import shapes as sh
from training.layers import Layer, Part
from training.palette import material_texture
from training.textures import Texture

__all__ = ["coloured", "coloured_body", "row", "sector", "taper"]


def coloured(p: Part, material: str, *colours: str) -> Texture:
    """A texture of a material in one of the colours."""
    return material_texture(p.rng, material, p.pick(*colours))[0]


def coloured_body(
    p: Part, material: str, colours: tuple[str, ...], *outlines: sh.Points, relief: float = 0.5
) -> Texture:
    """``Part.body`` for things that come in few colours."""
    p.material, p.colour = material, p.pick(*colours)
    texture, _ = material_texture(p.rng, material, p.colour)
    p.layers.append(Layer(outlines, texture, relief, "body"))
    return texture


def row(count: int, reach: float) -> list[float]:
    """``count`` even places between ``-reach`` and ``reach``, half a step from either end."""
    step = 2 * reach / count
    return [-reach + step * (i + 0.5) for i in range(count)]


def taper(x: float, y: float, top: float, bottom: float, h: float) -> sh.Points:
    """Rectangle of half height ``h`` whose half width goes from ``top`` to ``bottom``."""
    points = sh.rect(0, 0, 1, h)
    points[:, 0] *= np.interp(points[:, 1], [-h, h], [top, bottom])
    points += np.array([x, y])
    return points


def sector(
    x: float, y: float, inner: float, outer: float, *, start: float = 0.0, end: float = 2 * np.pi
) -> sh.Points:
    """The part of a ring between two angles; the whole ring by default."""
    a = np.linspace(start, end, 28)
    arc = np.stack([np.cos(a), np.sin(a)], axis=1)
    ring: sh.Points = np.concatenate([arc * outer, arc[::-1] * inner]) + np.array([x, y])
    return ring
