"""Programs: what stands at one inspection station, and how its pictures are framed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training import palette
from training import shapes as sh
from training.catalogue.parts import PARTS
from training.catalogue.surfaces import HELD_OUT_TEXTURES, SURFACES, TRAINED_TEXTURES
from training.catalogue.variants import Side
from training.copies import Copy, extent, side_by_side
from training.layers import Layer, Part
from training.optics import Lamp, Pose, draw_lamp
from training.seeds import side_of
from training.textures import Texture

__all__ = ["Program", "count_ways", "draw_pose", "make_program"]

# Shares of the stations: parts that fill or overfill the view, several copies of a part, surfaces
# whose edge is seen, cameras that look from aside.
_CLOSE_UPS, _SEVERAL, _EDGES, _ASIDE = 0.2, 0.2, 0.08, 0.3


@dataclass(frozen=True)
class Program:
    """One part or surface, fixed by its seed; every render of it is an instance.

    Attributes:
        seed: What it was made from.
        name: A key of ``PARTS`` or ``SURFACES``.
        side: Whose drawings, textures, defects and light it has.
        variant: Which of that side's ways to draw the name.
        kind: "part" or "surface".
        material: Word for the material.
        colour: Word for the colour.
        ground: What lies below; of a surface the surface itself, unless its edge is seen.
        ground_colour: Its colour.
        layers: Of one part, bottom up; none for a surface that fills the view.
        copies: Where the parts lie; empty for one part in the middle.
        free_turn: Whether parts come in any turn.
        fill: Pixels per unit over half the picture's side.
        centre: The point of the part that the camera aims at.
        lean: How far the camera looks from aside.
        grey: Whether the camera sees no colour.
        lamp: The light.
    """

    seed: int
    name: str
    side: Side
    variant: int
    kind: str
    material: str
    colour: str
    ground: Texture
    ground_colour: str
    layers: tuple[Layer, ...]
    copies: tuple[Copy, ...]
    free_turn: bool
    fill: float
    centre: tuple[float, float]
    lean: tuple[float, float]
    grey: bool
    lamp: Lamp


def make_program(seed: int, *, family: str | None = None, variant: int | None = None) -> Program:
    """The program of one seed.

    Args:
        seed: Training seeds draw from the trained side of everything, all others from the other.
        family: A name instead of the drawn one; one that the seed's side never shows is drawn as
            the other side does.
        variant: Which of the side's ways to draw it, instead of the drawn one.
    """
    rng = np.random.default_rng([77, seed])
    side = side_of(seed)
    names = [n for n in (*sorted(PARTS), *sorted(SURFACES)) if count_ways(n, side)]
    weights = np.array([1.0 if n in PARTS else 1.5 for n in names])
    name = str(rng.choice(names, p=weights / weights.sum()))
    if family is not None:
        name = family
        if not count_ways(family, side):
            side = "held_out" if side == "train" else "train"
    grey = bool(rng.random() < 0.3)
    lamp = draw_lamp(rng, side)
    lean = (0.0, 0.0)
    if rng.random() < _ASIDE:
        along = rng.normal(0, 0.06, 2)
        lean = (float(along[0]), float(along[1]))
    chosen = int(rng.integers(count_ways(name, side))) if variant is None else variant
    thing = (_surface if name in SURFACES else _part)(rng, name, side, chosen)
    return Program(
        seed=seed,
        name=name,
        side=side,
        variant=chosen,
        kind="surface" if name in SURFACES else "part",
        material=thing.material,
        colour=thing.colour,
        ground=thing.ground,
        ground_colour=thing.ground_colour,
        layers=thing.layers,
        copies=thing.copies,
        free_turn=thing.free_turn,
        fill=thing.fill,
        centre=thing.centre,
        lean=lean,
        grey=grey,
        lamp=lamp,
    )


def count_ways(name: str, side: Side) -> int:
    """In how many ways that side shows a name."""
    return len((SURFACES[name][1] if name in SURFACES else PARTS[name]).of(side))


def draw_pose(program: Program, rng: np.random.Generator, height: int, width: int) -> Pose:
    """A pose the program's station would show: a fixture's tolerance, or any turn."""
    turn = rng.uniform(0, 2 * np.pi) if program.free_turn else rng.normal(0, 0.03)
    half = min(height, width) / 2
    shift = 0.03 if program.layers else 0.6
    scale = program.fill * half * rng.uniform(0.96, 1.04)
    dx, dy = rng.normal(0, shift, 2)
    lean_x, lean_y = program.lean
    if program.lean != (0.0, 0.0):
        wobble = rng.normal(0, 0.01, 2)
        lean_x, lean_y = (lean_x + wobble[0]) / half, (lean_y + wobble[1]) / half
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    u, v = program.centre
    return Pose(
        float(turn),
        float(scale),
        float(width / 2 + half * dx - (c * u - s * v)),
        float(height / 2 + half * dy - (s * u + c * v)),
        (float(lean_x), float(lean_y)),
    )


@dataclass(frozen=True)
class _Thing:
    """What a surface and a part each fill in of a program."""

    material: str
    colour: str
    ground: Texture
    ground_colour: str
    layers: tuple[Layer, ...]
    free_turn: bool
    fill: float
    copies: tuple[Copy, ...] = ()
    centre: tuple[float, float] = (0.0, 0.0)


def _surface(rng: np.random.Generator, name: str, side: Side, variant: int) -> _Thing:
    material, ways = SURFACES[name]
    way = ways.of(side)[variant]
    colour, kind = str(rng.choice(way.colours)), str(rng.choice(way.textures))
    own = palette.draw_texture(rng, kind, colour, float(rng.uniform(*way.gloss)))
    fill, free = float(rng.uniform(0.7, 1.6)), bool(rng.random() < 0.2)
    if rng.random() >= _EDGES:
        return _Thing(material, colour, own, colour, (), free, fill)
    ground, ground_colour = _ground(rng, side, own)
    # one straight side of a very large plate lies in view
    reach = rng.uniform(0.45, 0.8) / fill
    a = rng.uniform(0, 2 * np.pi)
    plate = sh.rect(reach - 6, 0, 6, 8)
    outline = plate @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    layers = (Layer((outline,), own, 0.5, "body"),)
    return _Thing(material, colour, ground, ground_colour, layers, False, fill)


def _part(rng: np.random.Generator, name: str, side: Side, variant: int) -> _Thing:
    part = Part(rng)
    PARTS[name].of(side)[variant](part)
    ground, ground_colour = _ground(rng, side, part.layers[0].texture)
    free = bool(rng.random() < 0.5) and not part.upright
    layers, framing = tuple(part.layers), rng.random()
    fill = float(rng.uniform(0.68, 0.98))
    thing = _Thing(part.material, part.colour, ground, ground_colour, layers, free, fill)
    if framing < _CLOSE_UPS:
        fill = float(rng.uniform(1.0, 1.9))
        return replace(thing, fill=fill, centre=_aim(rng, layers, fill))
    if framing < _CLOSE_UPS + _SEVERAL:
        fill = float(rng.uniform(0.85, 1.0))
        free = free and bool(rng.random() < 0.3)
        return replace(thing, fill=fill, free_turn=free, copies=side_by_side(rng, layers))
    return thing


def _ground(rng: np.random.Generator, side: Side, on: Texture) -> tuple[Texture, str]:
    """What a part lies on: plain half of the time, never of the part's own brightness."""
    contrast = float(rng.uniform(0.02, 0.35))
    kinds = sorted(TRAINED_TEXTURES if side == "train" else HELD_OUT_TEXTURES)
    kind = "plain" if rng.random() < 0.5 else str(rng.choice(kinds))
    colour = (
        palette.neutral(rng) if rng.random() < 0.75 else str(rng.choice(sorted(palette.COLOURS)))
    )
    ground = palette.draw_texture(rng, kind, colour, float(rng.uniform(0, 0.2)), contrast)
    if abs(np.mean(ground.low) - np.mean(on.low)) < 0.12:
        factor = 0.35 if np.mean(ground.low) > 0.4 else 3.0
        low, high = palette.dark(ground.low, factor), palette.dark(ground.high, factor)
        ground = replace(ground, low=low, high=high)
        colour = "black" if factor < 1 else "white"
    return ground, colour


def _aim(rng: np.random.Generator, layers: tuple[Layer, ...], fill: float) -> tuple[float, float]:
    """A point that a close-up may be centred on: the part still covers most of the view."""
    middle, half = extent(layers)
    free = np.maximum(half - 0.75 / fill, 0)
    x, y = middle + free * rng.uniform(-1, 1, 2)
    return float(x), float(y)
