"""What the ways to damage a part share: where they land, sizes, inks and lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training import shapes as sh
from training.layers import Layer
from training.textures import Texture

__all__ = [
    "BLACK",
    "Damage",
    "Layers",
    "Rng",
    "Site",
    "arc",
    "cut",
    "flat",
    "ink",
    "mark",
    "near",
    "path",
    "piece",
    "shaded",
    "size",
    "spun",
    "with_shapes",
]

Rng = np.random.Generator
Layers = list[Layer]
BLACK = Texture("plain", (0, 0, 0), (0, 0, 0), (0.5,) * 8)


@dataclass(frozen=True)
class Site:
    """Where a defect lands.

    Attributes:
        spot: A point of the part.
        rim: A point of its rim, and ``outward``, the direction that leaves the part there.
        colour: What is seen at the spot.
        material: What the part is made of.
    """

    spot: tuple[float, float]
    rim: tuple[float, float]
    outward: tuple[float, float]
    colour: tuple[float, float, float]
    material: str


Damage = Callable[[Layers, Site, Rng], Layers]


def size(rng: Rng, low: float, high: float) -> float:
    """A length; every ratio is equally frequent."""
    return float(low * (high / low) ** rng.random())


def flat(colour: tuple[float, float, float], gloss: float = 0.05) -> Texture:
    """An even colour."""
    return Texture("plain", colour, colour, (0.5,) * 8, gloss)


def shaded(site: Site, factor: float, gloss: float = 0.05) -> Texture:
    """The colour at the spot, darker below a factor of 1 and nearer to white above."""
    r, g, b = (
        float(np.clip(c * factor if factor <= 1 else c + (1 - c) * min(1.0, factor - 1), 0, 1))
        for c in site.colour
    )
    return flat((r, g, b), gloss)


def ink(rng: Rng, site: Site, darker: float = 0.6) -> Texture:
    """A slightly uneven colour that differs from the one at the spot."""
    base = np.asarray(site.colour)
    goes_dark = base.mean() > 0.25 and (rng.random() < darker or base.mean() > 0.75)
    if goes_dark:
        colour = base * rng.uniform(0.15, 0.7)
    else:
        colour = base + (1 - base) * rng.uniform(0.25, 0.8)
    low = tuple(float(c) for c in np.clip(colour * 0.9, 0, 1))
    high = tuple(float(c) for c in np.clip(colour * 1.1, 0, 1))
    knobs = tuple(float(k) for k in rng.random(8))
    return Texture("plain", low, high, knobs, 0.05)  # type: ignore[arg-type]


def mark(
    texture: Texture,
    *shapes: sh.Points,
    relief: float = 0.0,
    opacity: float = 1.0,
    soft: float = 0.0,
    inside: bool = True,
) -> Layer:
    """A layer of a defect; ``inside`` keeps it on the part."""
    return Layer(shapes, texture, relief, "defect", opacity, soft, inside)


def near(rng: Rng, site: Site, spread: float) -> tuple[float, float]:
    """A point around the spot."""
    dx, dy = rng.normal(0, spread, 2)
    return site.spot[0] + float(dx), site.spot[1] + float(dy)


def path(rng: Rng, start: tuple[float, float], length: float, jagged: float, n: int) -> sh.Points:
    """A random walk of ``n`` steps centred on ``start``."""
    heading = rng.uniform(0, 2 * np.pi)
    turns = heading + np.cumsum(rng.normal(0, jagged, n))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / n
    line = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    placed: sh.Points = line - line.mean(axis=0) + start
    return placed


def arc(x: float, y: float, r: float, span: tuple[float, float], n: int = 24) -> sh.Points:
    """A line along a circle, between two angles."""
    a = np.linspace(*span, n)
    return np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1)


def spun(points: sh.Points, angle: float, about: tuple[float, float] = (0.0, 0.0)) -> sh.Points:
    """Points turned about a point."""
    c, s = np.cos(angle), np.sin(angle)
    turned: sh.Points = (points - about) @ np.array([[c, s], [-s, c]]) + about
    return turned


def cut(points: sh.Points, through: sh.Points, normal: sh.Points) -> sh.Points:
    """What is left of a shape behind a line: points beyond it fall onto it."""
    beyond = np.maximum((points - through) @ normal, 0)
    left: sh.Points = points - beyond[:, None] * normal
    return left


def piece(layers: Layers, rng: Rng, roles: tuple[str, ...]) -> tuple[int, int]:
    """A shape of one of the layers with these roles."""
    found = [i for i, x in enumerate(layers) if x.role in roles and x.shapes]
    i = int(rng.choice(found))
    return i, int(rng.integers(len(layers[i].shapes)))


def with_shapes(layers: Layers, i: int, shapes: list[sh.Points]) -> Layers:
    """The layers, with other shapes in layer ``i``."""
    return [*layers[:i], replace(layers[i], shapes=tuple(shapes)), *layers[i + 1 :]]
