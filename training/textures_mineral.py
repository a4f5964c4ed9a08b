"""Mineral surfaces: concrete, terrazzo, tile and brick; and scales."""

from __future__ import annotations

import numpy as np

from training.texture_noise import (
    Field,
    Maker,
    Texture,
    between,
    centred,
    flag,
    fringe,
    hexagons,
    noise,
    per_cell,
    step,
    voronoi,
)

__all__ = ["MINERAL"]


def _formwork(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Concrete that took the grain and the joints of the boards it was cast against."""
    x = u * between(t.knobs[0], 1.5, 4)
    board = per_cell(rng, np.floor(x), 0 * x) - 0.5
    grain = noise(rng, u, v + board, 22, 1.5, octaves=2)
    joint = step(0.03 - 0.5 + np.abs(centred(x)), max(0.04, fringe(x, x)))
    pore = np.clip((noise(rng, u, v, 16, 16) - 2.2 + 0.6 * t.knobs[1]) * 4, 0, 1)
    tone = 0.55 + 0.25 * board + 0.09 * grain - 0.3 * joint - 0.4 * pore
    return tone, 0.08 * grain + 0.5 * joint - 0.5 * pore + 0.3 * board


def _aggregate(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Washed concrete: round pebbles that stand out of the cement."""
    f = between(t.knobs[0], 4, 9)
    near, border, own = voronoi(rng, u * f, v * f, jitter=0.8)
    room = np.minimum(border - 0.05 - 0.06 * t.knobs[1], 0.46 - near)
    pebble = np.clip(room * 9, 0, 1)
    dome = pebble * np.sqrt(np.maximum(1 - 1.6 * near * near, 0))
    sand = noise(rng, u, v, 30, 30)
    tone = 0.3 + 0.08 * sand + pebble * (0.65 * own - 0.02 - 0.06 * sand)
    return tone, 1.2 * dome + 0.06 * sand * (1 - pebble)


def _chips(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Terrazzo of close, angular chips of a few kinds."""
    f = between(t.knobs[0], 4, 9)
    x, y = u * f, v * f
    _, border, own = voronoi(rng, x, y)
    chip = step(border - 0.1 * flag(own < 0.75) - 0.03, max(0.05, fringe(x, y)))
    kind = np.floor(own * (3 + 3 * t.knobs[1])) * np.float32(0.37)
    tone = np.where(own > 0.3, kind - np.floor(kind), np.float32(0.55))
    return 0.55 + chip * (tone - 0.55) + 0.03 * noise(rng, u, v, 30, 30), np.zeros_like(u)


def _shards(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Palladian terrazzo: few large broken slabs in fine speckled cement."""
    f = between(t.knobs[0], 1.5, 3)
    x, y = u * f * (0.6 + 0.3 * t.knobs[1]), v * f
    _, border, own = voronoi(rng, x, y, jitter=1)
    slab = step(border - 0.07 - 0.12 * t.knobs[2], fringe(x, y)) * flag(own > 0.2)
    vein = np.clip(1 - 5 * np.abs(noise(rng, u + own, v, 3, 2)), 0, 1)
    fine = np.clip((np.abs(noise(rng, u, v, 16, 16)) - 1.2) * 4, 0, 1)
    return 0.35 + 0.3 * fine + slab * (0.15 + 0.5 * own - 0.15 * vein - 0.3 * fine), 0 * slab


def _hex_tile(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 1.5, 4.5)
    x, y = u * f, v * f
    border, cx, cy = hexagons(x, y)
    joint = step(0.02 + 0.03 * t.knobs[1] - border, max(0.03, fringe(x, y)))
    own = per_cell(rng, np.round(2 * cx), np.round(cy / 0.866)) - 0.5
    glaze = noise(rng, u, v, 3, 3, octaves=2)
    tone = 0.75 + 0.4 * t.knobs[2] * own + 0.04 * glaze
    return tone * (1 - joint) + joint * (0.1 if t.knobs[3] < 0.7 else 1.0), -0.6 * joint


def _mosaic(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Hand-laid tesserae: small, none quite square, each of its own shade and tilt."""
    f, bend = between(t.knobs[0], 4, 9), 0.14 * noise(rng, u, v, 3, 3)
    x, y = u * f + bend, v * f - bend
    i, j = np.floor(x), np.floor(y)
    own, tilt = per_cell(rng, i, j), per_cell(rng, i, j) - 0.5
    reach = np.maximum(np.abs(centred(x)), np.abs(centred(y)) + 0.08 * tilt * centred(x))
    stone = step(0.44 - 0.08 * tilt * t.knobs[1] - reach, max(0.06, fringe(x, y)))
    tone = 0.1 + stone * (0.2 + 0.65 * own + 0.04 * noise(rng, u, v, 20, 20))
    return tone, stone * (0.5 + 1.2 * tilt * centred(x) + (own - 0.5) * centred(y))


def _wall(t: Texture, rough: Field, x: Field, y: Field, own: Field) -> tuple[Field, Field]:
    """Bricks in unit cells of ``x``, ``y``; each has its ``own`` shade, -0.5..0.5."""
    mortar = 0.05 + 0.06 * t.knobs[2]
    soft = max(0.05, fringe(y, x))
    inside = np.minimum(0.5 - mortar - np.abs(centred(y)), (0.5 - np.abs(centred(x))) * 2 - mortar)
    brick = step(inside, soft)
    joint = 1.0 if t.knobs[6] > 0.4 else 0.08
    tone = 0.4 + (0.2 + 0.35 * t.knobs[5]) * own + 0.08 * rough
    return joint + brick * (tone - joint) + 0.04 * rough, 0.7 * brick + 0.08 * rough


def _brick(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Running bond: each course half a brick on."""
    f = between(t.knobs[0], 2.5, 6)
    y = v * f
    x = u * f / (2.1 + 0.8 * t.knobs[1]) + 0.5 * np.mod(np.floor(y), 2)
    own = per_cell(rng, np.floor(x), np.floor(y)) - 0.5
    return _wall(t, noise(rng, u, v, 14, 14, octaves=2), x, y, own)


def _clinker(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Long thin bricks with hand-made edges and burnt ends, each course anywhere."""
    f, bend = between(t.knobs[0], 4, 7), noise(rng, u, v, 5, 5)
    y = v * f + 0.05 * bend
    x = u * f / (4 + 2 * t.knobs[1]) + per_cell(rng, 0 * y, np.floor(y)) + 0.008 * bend
    own = per_cell(rng, np.floor(x), np.floor(y)) - 0.5
    tone, height = _wall(t, noise(rng, u, v, 20, 9), x, y, own)
    burnt = np.clip(noise(rng, u, v, 2.5, 5) - 0.8, 0, 1) * (0.15 + 0.3 * t.knobs[3])
    return tone - burnt * flag(tone < 0.9), height


def _flemish(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Flemish bond: headers and stretchers in turn, the headers darker, edges rounded."""
    f = between(t.knobs[0], 2.2, 5)
    y = v * f + 0.02 * noise(rng, u, v, 4, 4)
    row = np.floor(y)
    place = u * f / 3.3 + 0.5 * np.mod(row, 2)
    local = place - np.floor(place)
    header = flag(local > 0.667)
    side = np.minimum(np.abs(local - 0.667), np.minimum(local, 1 - local)) * 3.3
    inside = np.minimum(0.5 - np.abs(centred(y)), side)
    brick = np.clip((inside - 0.04 - 0.04 * t.knobs[1]) * 7, 0, 1)
    own = per_cell(rng, 2 * np.floor(place) + header, row) - 0.5
    pits = np.clip(noise(rng, u, v, 18, 18) - 1.1, 0, 1)
    tone = 0.55 + 0.2 * own - (0.15 + 0.2 * t.knobs[2]) * header - 0.25 * pits
    joint = 0.95 if t.knobs[3] > 0.3 else 0.15
    return joint + np.minimum(brick * 3, 1) * (tone - joint), 0.9 * brick - 0.3 * pits


def _keeled(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Snake: pointed lozenges, each with a keel along its middle."""
    f = between(t.knobs[0], 3, 6)
    long = 0.5 + 0.25 * t.knobs[1]
    a, b = (u + v * long) * f, (u - v * long) * f
    inside = 0.5 - np.maximum(np.abs(centred(a)), np.abs(centred(b)))
    keel = np.abs(centred(a) + centred(b))
    tip = centred(a) - centred(b)
    scale = np.clip(inside * 8, 0, 1)
    own = per_cell(rng, np.floor(a), np.floor(b)) - 0.5
    ridge = np.clip(1 - 6 * keel, 0, 1)
    tone = 0.05 + scale * (0.42 + 0.2 * own + 0.15 * tip + 0.35 * ridge)
    return tone, scale * (0.8 + 0.8 * ridge + 0.2 * tip)


def _fans(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Fish: round scales, each lying over the next row, with growth rings."""
    f = between(t.knobs[0], 2.5, 6)
    x, y = u * f, v * f * 2 * (0.8 + 0.4 * t.knobs[1])
    top = np.floor(y) - 1
    over = np.hypot(centred(x + 0.5 * np.mod(top, 2)) / 0.55, (y - top) / 1.95)
    under = np.hypot(centred(x + 0.5 * np.mod(top + 1, 2)) / 0.55, (y - top - 1) / 1.95)
    upper = over < 1
    r, row = np.where(upper, over, under), top + ~upper
    own = per_cell(rng, np.floor(x + 0.5 * np.mod(row, 2)), row) - 0.5
    rings = np.sin(r * (12 + 14 * t.knobs[2]))
    tone = 0.35 + 0.5 * r + 0.07 * rings - 0.75 * np.clip(r * 7 - 6, 0, 1) + 0.15 * own
    return tone, 0.9 * r


MINERAL: dict[str, Maker] = {
    "aggregate": _aggregate,
    "brick": _brick,
    "chips": _chips,
    "clinker": _clinker,
    "fans": _fans,
    "flemish bond": _flemish,
    "formwork": _formwork,
    "hex tile": _hex_tile,
    "keeled": _keeled,
    "mosaic": _mosaic,
    "shards": _shards,
}
