"""Soft goods: carpet, cloth, leather, paper and rubber."""

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
    hump,
    noise,
    per_cell,
    step,
    voronoi,
    wave,
)

__all__ = ["WOVEN"]


def _loop_pile(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f, n = between(t.knobs[0], 6, 12), noise(rng, u, v, 5, 5)
    x, y = u * f * (0.7 + 0.5 * t.knobs[1]) + 0.18 * n, v * f + 0.12 * n
    x = x + 0.5 * np.mod(np.floor(y), 2)
    loop = hump((centred(x) / 0.52) ** 2 + (centred(y) / 0.56) ** 2)
    own = per_cell(rng, np.floor(x), np.floor(y)) - 0.5
    fuzz = noise(rng, u, v, 45, 20)
    return 0.1 + 0.65 * loop + (0.1 + 0.4 * t.knobs[2]) * own + 0.06 * fuzz, 0.8 * loop


def _herringbone(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    columns, f = between(t.knobs[0], 1.5, 4), between(t.knobs[1], 7, 13)
    x = u * columns
    lean = 2 * np.mod(np.floor(x), 2) - 1
    phase = v * f + lean * (0.8 + 0.6 * t.knobs[2]) * u * f + 0.1 * noise(rng, u, v, 6, 6)
    rib = np.sin(np.pi * phase) ** 2
    seam = step(np.abs(centred(x)) - 0.46, 0.06)
    twist = 0.5 + 0.5 * np.sin(2 * np.pi * (u * f * 1.5 - lean * v * f * 0.75))
    fuzz = noise(rng, u, v, 30, 30)
    return 0.12 + rib * (0.55 + 0.2 * twist) - 0.2 * seam + 0.06 * fuzz, 0.45 * rib * (1 - seam)


def _twill(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Warp over two and under two, one step further in each row, as in denim."""
    f = between(t.knobs[0], 7, 14)
    x, y = u * f + 0.12 * noise(rng, u, v, 3, 3), v * f + 0.12 * noise(rng, u, v, 3, 3)
    i, j = np.floor(x), np.floor(y)
    over = np.mod(i - j, 4) < 2
    yarn = np.where(over, np.cos(np.pi * centred(x)), np.cos(np.pi * centred(y)))
    own = np.where(over, per_cell(rng, i, 0 * i), per_cell(rng, j, 0 * j)) - 0.5
    weft = 0.15 + 0.5 * t.knobs[1]
    up = flag(over)
    return 0.1 + yarn * (weft + (0.75 - weft) * up + 0.25 * own), 0.35 * yarn + 0.2 * up


def _knit(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Stocking stitch: columns of nested V."""
    f, n = between(t.knobs[0], 3, 6.5), noise(rng, u, v, 3, 3)
    x = u * f + 0.06 * n
    half = np.abs(centred(x)) * 2
    y = v * f * (1.1 + 0.5 * t.knobs[1]) + 0.06 * n + half * (0.8 + 0.4 * t.knobs[2])
    strand = np.sqrt(np.abs(np.sin(np.pi * y))) * hump((half - 0.5) ** 2 / 0.27)
    ply = np.sin(2 * np.pi * (2.5 * y - 2 * half))
    fuzz = noise(rng, u, v, 40, 40)
    return 0.05 + strand * (0.75 + 0.12 * ply) + 0.05 * fuzz, 0.9 * strand


def _pebbled(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Full-grain leather: rounded pebbles between fine creases."""
    f, bend = between(t.knobs[0], 6, 14), 0.25 * noise(rng, u, v, 4, 4)
    _, border, own = voronoi(rng, u * f + bend, v * f * (0.75 + 0.5 * t.knobs[1]) - bend)
    pebble = np.sqrt(np.minimum(border * (3 - t.knobs[2]), 1))
    pores = noise(rng, u, v, 40, 40)
    return 0.2 + 0.55 * pebble + 0.15 * (own - 0.5) + 0.04 * pores, 0.5 * pebble


def _croco(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Crocodile: wide flat plates in uneven rows, deep furrows, hair creases on the plates."""
    f, bend = between(t.knobs[0], 2, 4), 0.2 * noise(rng, u, v, 2, 2)
    y = v * f * 1.3 + bend
    row = np.floor(y)
    x = u * f * (0.7 + 0.4 * t.knobs[1]) + 0.5 * np.mod(row, 2) - bend
    x = x + 0.3 * per_cell(rng, 0 * row, row)
    inside = 0.5 - (np.abs(centred(x)) ** 3 + np.abs(centred(y)) ** 3) ** (1 / 3)
    plate = np.clip(inside * 5, 0, 1) ** 0.7
    hair = np.clip(1 - 6 * np.abs(noise(rng, u, v, 7, 3)), 0, 1)
    own = per_cell(rng, np.floor(x), row) - 0.5
    tone = 0.08 + plate * (0.68 + 0.25 * own - 0.16 * hair)
    return tone, 1.6 * plate - 0.12 * hair * plate


def _paper_fibres(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f, bend = between(t.knobs[0], 22, 40), 0.05 * noise(rng, u, v, 5, 5)
    fibres = np.zeros_like(u)
    for turn in (0.3, 1.8):
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        n = noise(rng, c * u + s * v + bend, c * v - s * u, f, 4)
        fibres += np.clip(np.abs(n) - 1.1, 0, 1) * np.sign(n)
    cloud = noise(rng, u, v, 4, 4, octaves=2)
    tone = 0.6 + 0.07 * cloud + (0.06 + 0.16 * t.knobs[1]) * fibres
    return tone, 0.05 * cloud + 0.15 * t.knobs[2] * fibres


def _laid_paper(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Close lines of the mould's wires, and a wider spaced chain line across them."""
    f, bend = between(t.knobs[0], 9, 16), 0.15 * noise(rng, u, v, 2, 2)
    laid = np.sin(2 * np.pi * (v * f + bend)) * (0.75 + 0.25 * noise(rng, u, v, 6, 12))
    chain = step(0.03 - np.abs(centred(u * (1.2 + 1.5 * t.knobs[1]) + 0.05 * bend)), 0.06)
    cloud = noise(rng, u, v, 5, 5, octaves=2)
    depth = 0.1 + 0.16 * t.knobs[2]
    return 0.62 + depth * laid - 0.3 * chain + 0.07 * cloud, 0.12 * laid - 0.2 * chain


def _rib_squares(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """A mat of squares whose ribs run in turn along and across."""
    f, ribs = between(t.knobs[0], 1.5, 4), 3 + int(2.99 * t.knobs[1])
    x, y = u * f, v * f
    along = np.mod(np.floor(x) + np.floor(y), 2) > 0
    rib = np.clip((1 - wave(np.where(along, x, y) * ribs)) * 2.2, 0, 1)
    inset = np.maximum(np.abs(centred(x)), np.abs(centred(y)))
    rib = rib * step(0.46 - inset, max(0.04, fringe(x, y)))
    return 0.2 + 0.5 * rib + 0.05 * noise(rng, u, v, 12, 12), 0.9 * rib


def _rubber_crumb(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Bonded granules with gaps between, some of another colour."""
    f = between(t.knobs[0], 7, 13)
    near, border, own = voronoi(rng, u * f, v * f)
    gap = np.clip(border * 4, 0, 1)
    fleck = flag(own > 0.95 - 0.3 * t.knobs[1])
    tone = (0.12 + 0.3 * own + 0.6 * fleck) * (0.35 + 0.65 * gap)
    return tone + 0.04 * noise(rng, u, v, 30, 30), 0.8 * gap - 0.5 * near


WOVEN: dict[str, Maker] = {
    "croco": _croco,
    "herringbone": _herringbone,
    "knit": _knit,
    "laid paper": _laid_paper,
    "loop pile": _loop_pile,
    "paper fibres": _paper_fibres,
    "pebbled": _pebbled,
    "rib squares": _rib_squares,
    "rubber crumb": _rubber_crumb,
    "twill": _twill,
}
