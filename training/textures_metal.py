"""Metal: sheets, meshes, knurls, dots, foil and the commutator."""

from __future__ import annotations

import numpy as np

from training.texture_noise import (
    Field,
    Maker,
    Texture,
    between,
    centred,
    fringe,
    hexagons,
    hump,
    noise,
    spectral,
    step,
    wave,
)

__all__ = ["METAL"]


def _circular(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Turned on a lathe: circles about one centre, and the fan of light they throw."""
    x, y = u - np.float32(2 * t.knobs[1] - 1), v - np.float32(2 * t.knobs[2] - 1)
    r = np.hypot(x, y)
    lines = noise(rng, r, 0 * r, between(t.knobs[0], 18, 40), 1, octaves=2)
    fan = (x * x - y * y) / (r * r + np.float32(1e-4))
    return 0.5 + 0.16 * lines + (0.1 + 0.2 * t.knobs[3]) * fan, 0.05 * lines


def _orange_peel(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Lacquer that levelled badly: waves of one size."""

    def ring(fu: Field, fv: Field) -> Field:
        return np.exp(-(((np.hypot(fu, fv) - 0.22) / 0.08) ** 2))

    n = spectral(rng, u, v, between(t.knobs[0], 20, 50), ring)
    return 0.55 + 0.05 * n, (0.15 + 0.3 * t.knobs[1]) * n


def _cast(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Sand-cast skin: coarse grain with pits."""
    f = between(t.knobs[0], 8, 20)
    grain = noise(rng, u, v, f, f, octaves=2)
    pit = np.clip((noise(rng, u, v, 9, 9) - 1.5 - t.knobs[1]) * 3, 0, 1)
    return 0.5 + 0.12 * grain - 0.35 * pit, 0.22 * grain - 0.5 * pit


def _tread(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Tread plate: raised lozenges that lean to either side in turn."""
    f = between(t.knobs[0], 2, 5)
    x, y = u * f, v * f
    lean = 2 * np.mod(np.floor(x) + np.floor(y), 2) - 1
    a, b = (centred(x) + lean * centred(y)) * 0.707, (centred(x) - lean * centred(y)) * 0.707
    long, wide = 0.5 + 0.06 * t.knobs[1], 0.12 + 0.05 * t.knobs[2]
    inside = 1 - np.sqrt((a / long) ** 2 + 0.002) - (b / wide) ** 2
    stud = np.clip(inside * 2.5, 0, 1)
    scuff = noise(rng, u, v, 30, 3, octaves=2)
    return 0.35 + 0.35 * stud + 0.07 * scuff, 1.1 * stud + 0.03 * scuff


def _studs(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Domes pressed up in staggered rows."""
    f = between(t.knobs[0], 2.5, 7)
    y = v * f * 1.155
    x = u * f + 0.5 * np.mod(np.floor(y), 2)
    radius = 0.22 + 0.2 * t.knobs[1]
    square = (centred(x) ** 2 + (centred(y) / 1.155) ** 2) / radius**2
    dome, rim = hump(square), np.exp(-((square - 1) ** 2) * 12)
    tone = 0.5 + 0.25 * dome - 0.3 * rim + 0.04 * noise(rng, u, v, 8, 8)
    return tone, (3.5 / f) * dome


def _ring_dots(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Large rings and small full dots in turn, as on a chequered board."""
    f = between(t.knobs[0], 2.5, 6)
    x, y = u * f, v * f
    soft = max(0.05, fringe(x, y))
    r = np.hypot(centred(x), centred(y))
    large = np.mod(np.floor(x) + np.floor(y), 2) > 0
    ring = step(0.07 + 0.04 * t.knobs[1] - np.abs(r - 0.3 - 0.06 * t.knobs[2]), soft)
    dot = step(0.1 + 0.08 * t.knobs[3] - r, soft)
    mark = np.where(large, ring, dot)
    tone = 0.15 + 0.75 * mark if t.knobs[4] > 0.5 else 0.85 - 0.75 * mark
    return tone + 0.04 * noise(rng, u, v, 4, 4, octaves=2), -0.5 * mark


def _hex_mesh(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 2.5, 8)
    x, y = u * f, v * f
    border, _, _ = hexagons(x, y)
    wire = step(0.05 + 0.1 * t.knobs[1] - border, max(0.04, fringe(x, y)))
    return 0.05 + 0.75 * wire + 0.05 * noise(rng, u, v, 8, 8), 0.5 * wire


def _expanded(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Expanded metal: a slit sheet drawn apart, its strands tilted."""
    f, flat = between(t.knobs[0], 2.5, 6), 1.6 + t.knobs[1]
    a, b = u * f + v * f * flat * 0.5, u * f - v * f * flat * 0.5
    near = np.maximum(np.abs(centred(a)), np.abs(centred(b)))
    strand = step(near - (0.36 - 0.14 * t.knobs[2]), max(0.05, fringe(a, b)))
    up = centred(v * f * flat)
    tone = 0.05 + strand * (0.6 + 0.5 * up + 0.06 * noise(rng, u, v, 12, 12))
    return tone, strand * (0.6 + 0.8 * up)


def _chain_link(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Zigzag wires, each hooked into the next."""
    f, bend = between(t.knobs[0], 1.8, 4.5), 0.04 * noise(rng, u, v, 1.5, 1.5)
    x, y = u * f + bend, v * f * (0.8 + 0.4 * t.knobs[1]) + bend
    sway = np.clip(1.25 * (2 * wave(y) - 1), -1.08, 1.08) * np.float32(0.5)
    thick = 0.09 + 0.06 * t.knobs[2]
    wires = []
    for shift, sign in ((0.0, 1), (1.0, -1)):
        off = np.mod(x - shift - sign * sway + 1, 2) - 1
        wires.append(hump((off / (thick * 1.6)) ** 2))
    top = np.where(np.mod(y, 1) > 0.5, wires[0], wires[1])
    wire = np.where(top > 0.15, top, np.maximum(wires[0], wires[1]) * 0.8)
    return 0.04 + 0.85 * wire + 0.03 * noise(rng, u, v, 20, 20), 0.9 * wire


def _ribbed(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Straight knurl: sharp ribs side by side, with marks of the tool across."""
    f = between(t.knobs[0], 6, 13)
    rib = 1 - wave(u * f)
    mark = noise(rng, u, v, 3, 40)
    worn = np.minimum(rib, 0.6 + 0.4 * t.knobs[1])
    return 0.25 + 0.5 * worn + 0.06 * mark, (4 / f) * worn


def _rhombs(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Flat slender rhombs between narrow grooves that cross at a sharp angle."""
    f, lean = between(t.knobs[0], 4, 9), 0.35 + 0.2 * t.knobs[1]
    a, b = (u + lean * v) * f, (u - lean * v) * f
    soft, groove = max(0.08, fringe(a, b)), 0.06 + 0.08 * t.knobs[2]
    cut = np.maximum(
        step(groove - 0.5 + np.abs(centred(a)), soft), step(groove - 0.5 + np.abs(centred(b)), soft)
    )
    own = noise(rng, np.floor(a), np.floor(b), 0.7, 0.7)
    return 0.75 + 0.06 * own - 0.6 * cut + 0.05 * noise(rng, u, v, 30, 4), -0.6 * cut


def _crumpled(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Foil crushed and smoothed out: folded over and over, so creases bend where they cross."""
    size = np.float32(between(t.knobs[0], 1.5, 3))
    x, y = u * size, v * size
    for _ in range(14):
        a = 6.283 * rng.random()
        c, s = np.float32(np.cos(a)), np.float32(np.sin(a))
        beyond = 2 * np.minimum(c * x + s * y + np.float32(rng.uniform(-0.1, 0.7)), 0)
        x, y = x - c * beyond, y - s * beyond
    fine = noise(rng, u, v, 6, 6)
    height = (9 + 10 * t.knobs[2]) * x / size + 0.15 * fine
    return 0.5 + (0.1 + 0.15 * t.knobs[1]) * (y - y.mean()) + 0.03 * fine, height


def _wrinkled(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Film under tension: long soft folds with thin bright ridges."""
    f, bend = between(t.knobs[0], 3.5, 8), 0.12 * noise(rng, u, v, 1.2, 1.2)
    n = noise(rng, u + bend, v, f, f * (0.12 + 0.2 * t.knobs[1]), octaves=2)
    ridge = np.clip(1 - 2 * np.abs(n), 0, 1) ** 2
    return 0.45 + 0.12 * n + 0.4 * ridge, 0.5 * n + 0.8 * ridge


def _embossed(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Foil pressed into a honeycomb of small pillows, with a broad sheen."""
    f = 6.283 * between(t.knobs[0], 3, 7)
    x, y = np.float32(f) * u, np.float32(f * 0.866) * v
    pillow = (np.cos(x) + 2 * np.cos(0.5 * x) * np.cos(y)) / 3
    shine = np.sin(x) * 0.6 + np.sin(0.5 * x) * np.cos(y)
    sheen = noise(rng, u, v, 1.2, 0.6, octaves=2)
    tone = 0.5 + (0.1 + 0.14 * t.knobs[1]) * shine * (1 + 0.4 * sheen) + 0.1 * sheen
    return tone, (32 / f) * pillow + 0.3 * sheen


def _banded(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """A machined cylinder's side: soft bands of light across, faint marks along."""
    band = np.sin(6.283 * (v * np.float32(0.3 + 0.5 * t.knobs[0]) + np.float32(t.knobs[1])))
    band = band + np.float32(t.knobs[2]) * np.sin(6.283 * 1.7 * v + np.float32(9 * t.knobs[3]))
    marks = noise(rng, u, v, between(t.knobs[4], 18, 40), 1.2, octaves=2)
    grain = noise(rng, u, v, 40, 40)
    return 0.5 + 0.18 * band + (0.04 + 0.08 * t.knobs[5]) * marks + 0.05 * grain, 0.03 * marks


def _sintered(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Pressed copper and graphite: flat flakes, bright and dark, wiped in one direction."""
    f = between(t.knobs[0], 9, 18)
    n = noise(rng, u, v, f * (1.6 + t.knobs[1]), f)
    flake = np.clip((np.abs(n) - 1.1) * 3, 0, 1) * np.sign(n)
    wiped = noise(rng, u, v, 7, 0.5, octaves=2)
    slope = noise(rng, u, v, 0.2, 0.7)
    return 0.5 + 0.22 * flake + 0.07 * wiped + 0.12 * slope, 0.05 * flake


METAL: dict[str, Maker] = {
    "banded": _banded,
    "cast": _cast,
    "chain link": _chain_link,
    "circular": _circular,
    "crumpled": _crumpled,
    "embossed": _embossed,
    "expanded": _expanded,
    "hex mesh": _hex_mesh,
    "orange peel": _orange_peel,
    "rhombs": _rhombs,
    "ribbed": _ribbed,
    "ring dots": _ring_dots,
    "sintered": _sintered,
    "studs": _studs,
    "tread": _tread,
    "wrinkled": _wrinkled,
}
