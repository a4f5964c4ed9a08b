"""Panels and bodies: wood, plastic, solar cells, foam and dough."""

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
    noise,
    per_cell,
    spectral,
    step,
    voronoi,
    wave,
)

__all__ = ["PANEL"]


def _planks(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Boards side by side, each cut from another part of the log."""
    x = u * between(t.knobs[0], 1.2, 3.5)
    board = per_cell(rng, np.floor(x), 0 * x)
    y = v * 0.35 + 7 * board
    ends = y * (1 + t.knobs[1])
    own = per_cell(rng, np.floor(x), np.floor(ends)) - 0.5
    grain = wave(u * between(t.knobs[2], 2, 5) + 5 * board + 0.6 * noise(rng, u + board, y, 2, 2))
    fibre = noise(rng, u, v, 40, 2)
    soft = max(0.04, fringe(x, x))
    joint = np.maximum(
        step(np.abs(centred(x)) - 0.475, soft), step(np.abs(centred(ends)) - 0.493, soft / 4)
    )
    return (
        0.45 + 0.35 * own + 0.22 * grain + 0.09 * fibre - 0.5 * joint,
        -0.6 * joint + 0.03 * fibre,
    )


def _oak(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Straight grain with short dark pores and pale flecks."""
    band = noise(rng, u, v, between(t.knobs[0], 2, 5), 0.15, octaves=2)
    pores = np.clip((noise(rng, u, v, 60, 4) - 0.8 - 0.4 * band) * 1.2, 0, 1)
    flecks = np.clip(noise(rng, u, v, 5, 3) - 1.6 - t.knobs[1], 0, 1)
    return 0.6 + 0.12 * band - (0.25 + 0.25 * t.knobs[2]) * pores + 0.15 * flecks, -0.15 * pores


def _end_grain(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """A sawn trunk: rings about the pith, rays and drying cracks that run to it."""
    x, y = u - np.float32(1.2 * t.knobs[1] - 0.6), v - np.float32(1.2 * t.knobs[2] - 0.6)
    r, a = np.hypot(x, y) + np.float32(1e-3), np.arctan2(y, x)
    # cos and sin of the direction go into the noise, so that it closes around the pith
    uneven = noise(rng, x / r, y / r, 1.2, 1.2) * 0.06 * np.minimum(r, 1)
    ring = (r + uneven + 0.02 * noise(rng, u, v, 2, 2)) * between(t.knobs[0], 5, 10)
    late = (ring - np.floor(ring)) ** 2
    ray = noise(rng, x / r, y / r, 26, 26) * np.minimum(r, 1)
    turn = a * np.float32(3 / 6.283) + np.float32(t.knobs[3])
    gape = (0.5 - np.abs(centred(turn))) * r - 0.015 * (
        r - 0.2 - per_cell(rng, np.floor(turn), 0 * a)
    )
    crack = step(-gape + 0.004, 0.03) * flag(r > 0.15)
    saw = noise(rng, u, v, 3, 30)
    return 0.75 - 0.45 * late + 0.06 * ray + 0.04 * saw - 0.45 * crack, -0.4 * crack - 0.1 * late


def _moulded(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """The spark-eroded grain of an injection mould."""
    f = between(t.knobs[0], 12, 30)
    n = noise(rng, u, v, f, f, octaves=2)
    flow = noise(rng, u, v, 1.5, 0.5)
    return 0.5 + 0.05 * n + 0.06 * t.knobs[1] * flow, (0.1 + 0.2 * t.knobs[2]) * np.clip(n, -1, 1)


def _printed(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """3-D print: round tracks side by side, each laid a little too thick or thin."""
    f = between(t.knobs[0], 6, 13)
    y = v * f + 0.1 * noise(rng, u, v, 1.5, 4)
    row = np.floor(y)
    track = np.sqrt(1 - (1.9 * centred(y)) ** 2)
    own = per_cell(rng, 0 * row, row) - 0.5
    blobs = np.clip(noise(rng, u, v, 5, f) - 1.9, 0, 1) * (0.2 + t.knobs[1])
    return 0.2 + 0.45 * track + 0.15 * own + 0.2 * blobs, (3 / f) * track + 0.4 * blobs + 0.3 * own


def _busbars(t: Texture, u: Field, soft: float) -> tuple[Field, Field]:
    """Two to five bars along v in a cell two units wide, and how far a pixel is between two."""
    x = u * np.float32(1 + 0.375 * int(3.99 * t.knobs[1]))
    return step(0.035 - np.abs(centred(x)), max(0.02, soft)), np.abs(centred(x)) * 2


def _mono(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Monocrystalline cells: even, with cut corners, bars and fine fingers."""
    soft = fringe(u, v)
    bars, _ = _busbars(t, u, soft)
    fingers = np.clip(wave(v * between(t.knobs[0], 9, 14)) * 3 - 2, 0, 1)
    x, y = np.abs(centred(u / 2 + t.knobs[2])) * 2, np.abs(centred(v / 2 + t.knobs[3])) * 2
    gap = np.maximum(step(np.maximum(x, y) - 0.985, soft), step(x + y - 1.8, soft))
    cloud = noise(rng, u, v, 0.8, 0.8, octaves=2)
    tone = 0.2 + 0.05 * cloud + 0.22 * fingers + 0.02 * noise(rng, u, v, 40, 40)
    tone = tone + bars * (0.9 - tone)
    return tone + gap * ((0.95 if t.knobs[4] > 0.4 else 0.0) - tone), 0.2 * bars


def _glowing(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """A cell under current: cloudy glow, dark bars, and fingers that are fed unevenly."""

    def cloud(fu: Field, fv: Field) -> Field:
        return 1 / (0.03 + np.hypot(fu, fv)) ** (1 + t.knobs[2])

    bars, between_bars = _busbars(t, u, fringe(u, v))
    f = between(t.knobs[0], 8, 14)
    fed = per_cell(rng, np.floor(u * 2 + 0.5), np.floor(v * f))
    weak = np.clip(fed * 12 - 11.2 + t.knobs[3], 0, 1) * (0.05 + 0.15 * t.knobs[4])
    fingers = np.clip(wave(v * f) * 2 - 1, 0, 1)
    glow = spectral(rng, u, v, 16, cloud)
    flaws = np.clip(1 - 2.5 * np.abs(noise(rng, u, v, 3, 3, octaves=2)), 0, 1) * t.knobs[5]
    tone = 0.7 + 0.1 * glow - 0.15 * (1 - between_bars) - 0.1 * fingers - weak - 0.15 * flaws
    return tone * (1 - 0.9 * bars), np.zeros_like(u)


def _poly(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Polycrystalline cells: straight-edged crystals, some of them twinned, under thin bars."""
    f = between(t.knobs[0], 2, 5)
    _, _, own = voronoi(rng, u * f, v * f * (0.6 + 0.6 * t.knobs[2]), jitter=1)
    angle = own * np.float32(97)
    twin = flag(np.sin((np.cos(angle) * u + np.sin(angle) * v) * 22) > 0.6) * flag(own > 0.5)
    soft = fringe(u, v)
    bars, _ = _busbars(t, u, soft)
    fingers = np.clip(wave(v * between(t.knobs[3], 9, 14)) * 3 - 2, 0, 1)
    kind = own * np.float32(7.3)
    tone = 0.12 + 0.5 * (kind - np.floor(kind)) + 0.12 * twin + 0.12 * fingers
    return tone + bars * (0.95 - tone), 0.1 * bars


def _open_foam(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Filter foam: dark cells in a net of struts."""
    f, bend = between(t.knobs[0], 4, 10), 0.15 * noise(rng, u, v, 8, 8)
    near, border, own = voronoi(rng, u * f + bend, v * f, jitter=0.8)
    strut = np.clip(1.15 - border * (5 + 3 * t.knobs[1]), 0, 1)
    back = np.clip(near - 0.2, 0, 1) * own
    return 0.05 + 0.75 * strut + 0.35 * back * (1 - strut), 1.0 * strut


def _beads(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Bead foam: white beads pressed flat against each other."""
    f = between(t.knobs[0], 3, 8)
    near, border, own = voronoi(rng, u * f, v * f, jitter=0.7)
    seam = np.clip(1 - border * (9 + 6 * t.knobs[1]), 0, 1)
    gap = np.clip((near - 0.62) * 12, 0, 1)
    fine = noise(rng, u, v, 25, 25)
    tone = 0.8 + 0.15 * (own - 0.5) - 0.3 * seam - 0.4 * gap + 0.03 * fine
    return tone, -0.5 * seam - 0.6 * gap - 0.5 * near


def _egg_crate(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Sound-absorbing foam: rows of soft peaks."""
    f = np.float32(6.283 * between(t.knobs[0], 1, 2.6))
    peak = 0.5 + 0.5 * np.sin(f * u) * np.sin(f * v)
    shape = peak ** (0.8 + 1.2 * t.knobs[1])
    pores = noise(rng, u, v, 25, 25)
    tone = 0.02 + 0.8 * shape + 0.05 * pores
    return tone, (45 / f) * shape + 0.08 * pores


def _cracker(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Flat baked dough: docking holes in rows, blisters that browned."""
    f = between(t.knobs[0], 1.6, 3.5)
    y = v * f
    x = u * f + (0.5 * np.mod(np.floor(y), 2) if t.knobs[1] > 0.5 else 0)
    r = np.hypot(centred(x), centred(y)) + 0.02 * noise(rng, u, v, 6, 6)
    hole, dish = step(0.07 - r, 0.06), np.exp(-((r / 0.2) ** 2))
    bake = noise(rng, u, v, 2, 2)
    blister = np.clip(noise(rng, u, v, 5, 5) - 0.9, 0, 1) * (0.4 + 0.6 * t.knobs[2])
    flour = noise(rng, u, v, 25, 25)
    tone = 0.72 + 0.08 * bake - 0.35 * blister - 0.55 * hole + 0.04 * flour
    return tone, 0.7 * blister - 0.8 * dish - 0.5 * hole + 0.05 * flour


def _crust(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """A crust that burst: floury plates with brown gaps between."""
    f, bend = between(t.knobs[0], 1.5, 3.5), 0.2 * noise(rng, u, v, 4, 4)
    _, border, own = voronoi(rng, u * f + bend, v * f - 0.7 * bend, jitter=1)
    width = 0.02 + 0.06 * t.knobs[1] + 0.06 * own
    plate = np.clip((border - width) * 7, 0, 1)
    flour = noise(rng, u, v, 14, 14, octaves=2)
    tone = 0.12 + plate * (0.6 + 0.12 * flour) + 0.05 * flour
    return tone, 0.9 * np.sqrt(plate) + 0.08 * flour


PANEL: dict[str, Maker] = {
    "beads": _beads,
    "cracker": _cracker,
    "crust": _crust,
    "egg crate": _egg_crate,
    "end grain": _end_grain,
    "glowing": _glowing,
    "mono": _mono,
    "moulded": _moulded,
    "oak": _oak,
    "open foam": _open_foam,
    "planks": _planks,
    "poly": _poly,
    "printed": _printed,
}
