"""Switches, sockets and lamps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["FITTINGS"]


def _screws(p: Part, *places: tuple[float, float], r: float = 0.07) -> None:
    heads = p.detail(*[sh.circle(x, y, r, 20) for x, y in places], material="metal", relief=0.5)
    turn = p.rng.uniform(0, 3)
    slots = [sh.moved(sh.rect(x, y, r * 0.8, r * 0.18), 0, 0, turn) for x, y in places]
    p.detail(*slots, like=heads, shade=0.3, relief=-0.3)


def _switch_rocker(p: Part) -> None:
    """A wall switch: one to three rockers in a frame, half pressed in."""
    w, h = p.rng.uniform(0.62, 0.92), p.rng.uniform(0.75, 0.93)
    plate = p.body("plastic", sh.rounded(0, 0, w, h, p.rng.uniform(0.03, 0.18)), relief=0.6)
    iw, ih = w * p.rng.uniform(0.5, 0.72), h * p.rng.uniform(0.45, 0.68)
    p.detail(sh.rounded(0, 0, iw + 0.05, ih + 0.05, 0.04), like=plate, shade=0.45, relief=-0.5)
    places = row(int(p.rng.integers(1, 4)), iw)
    half = iw / len(places) - 0.02
    same = plate if p.rng.random() < 0.5 else None
    keys = p.detail(*[sh.rect(x, 0, half, ih) for x in places], like=same, relief=0.7)
    downs = [sh.rect(x, float(p.rng.choice([-0.5, 0.5])) * ih, half, ih / 2) for x in places]
    p.detail(*downs, like=keys, shade=0.72, relief=-0.5)
    if p.rng.random() < 0.6:
        lights = [sh.circle(x, -ih * 0.72, 0.045, 16) for x in places]
        p.detail(*lights, like=coloured(p, "plastic", "red", "green", "orange"), relief=0.3)
    else:
        marks = [sh.rect(x, -ih * 0.6, 0.018, 0.08) for x in places]
        p.print(*marks, *[sector(x, ih * 0.6, 0.05, 0.085) for x in places])
    if ih < 0.85 * h - 0.15:
        _screws(p, (0, -(h + ih) / 2 - 0.01), (0, (h + ih) / 2 + 0.01), r=0.05)


def _switch_toggle(p: Part) -> None:
    """A bat lever in a threaded bush with a hexagon nut, on a plate with two screw holes."""
    w, lean = p.rng.uniform(0.45, 0.66), float(p.rng.choice([-1, 1])) * p.rng.uniform(0.45, 0.62)
    p.body(p.pick("metal", "plastic", "metal"), sh.rounded(0, 0, w, 0.94, p.rng.uniform(0.02, 0.2)))
    p.hole(*[sh.circle(0, y, p.rng.uniform(0.07, 0.1), 20) for y in (-0.8, 0.8)])
    r = p.rng.uniform(0.32, 0.42)
    nut = p.detail(sh.ngon(0, 0, r, 6, p.rng.uniform(0, 1)), material="metal", relief=0.8)
    p.detail(sh.circle(0, 0, r * 0.66), like=nut, shade=0.5, relief=0.3)
    p.detail(sh.circle(0, 0, r * 0.5), like=nut, shade=1.15, relief=0.5)
    t = np.linspace(0, 1, 8)
    lever = np.stack([t * p.rng.uniform(-0.04, 0.04), t * lean], axis=1)
    thick = p.rng.uniform(0.12, 0.17)
    bat = p.detail(
        sh.stroke(lever, thick + t * thick * 0.9),
        sh.circle(float(lever[-1, 0]), lean, thick * 0.95),
        material=p.pick("metal", "plastic"),
        relief=1.0,
    )
    p.detail(sh.circle(float(lever[-1, 0]), lean, thick * 0.55), like=bat, shade=1.2, relief=0.4)
    side = w * 0.68
    p.print(
        *sh.glyphs(p.rng, side * 0.7, -0.58, 2, 0.12), *sh.glyphs(p.rng, side * 0.7, 0.58, 2, 0.12)
    )


def _switch_dip(p: Part) -> None:
    """A block of small sliders, each up or down, with numbers below."""
    count, h = int(p.rng.integers(3, 10)), p.rng.uniform(0.4, 0.58)
    w = min(0.94, 0.25 + 0.12 * count)
    block = coloured_body(
        p,
        "plastic",
        ("red", "red", "blue", "black", "white", "orange"),
        sh.rounded(0, 0, w, h, 0.04),
        relief=0.9,
    )
    places = row(count, w - 0.06)
    legs = [sh.rect(x, s * (h + 0.07), 0.03, 0.07) for x in places for s in (-1, 1)]
    p.detail(*legs, like=coloured(p, "metal", "silver", "grey"), relief=0.4)
    half = min((w - 0.06) / count * 0.55, 0.1)
    tall = h * 0.45
    p.detail(*[sh.rect(x, -0.02, half, tall) for x in places], like=block, shade=0.3, relief=-0.8)
    up = p.rng.choice([-1.0, 1.0], count)
    knobs = [
        sh.rect(x, -0.02 + s * tall * 0.5, half * 0.85, tall * 0.42)
        for x, s in zip(places, up, strict=True)
    ]
    p.detail(*knobs, like=coloured(p, "plastic", "white", "white", "yellow", "beige"), relief=0.8)
    digits = [g for x in places for g in sh.glyphs(p.rng, x, h * 0.74, 1, min(0.1, half * 1.2))]
    p.print(*digits, *sh.glyphs(p.rng, -w * 0.6, -h * 0.76, 2, 0.1))


def _socket_round(p: Part) -> None:
    """A round recess with two holes and two earth clips; one or two gangs."""
    gangs = int(p.pick("1", "1", "2"))
    size = p.rng.uniform(0.78, 0.93) if gangs == 1 else 0.48
    plate = p.body(
        "plastic", sh.rounded(0, 0, 0.95 if gangs == 2 else size, size, p.rng.uniform(0.04, 0.2))
    )
    middles = (0.0,) if gangs == 1 else (-0.47, 0.47)
    r = size * p.rng.uniform(0.68, 0.82)
    p.detail(*[sh.circle(x, 0, r) for x in middles], like=plate, shade=1.1, relief=0.4)
    p.detail(*[sh.circle(x, 0, r * 0.87) for x in middles], like=plate, shade=0.7, relief=-0.9)
    spread, pin = r * 0.4, r * p.rng.uniform(0.11, 0.15)
    upright = p.rng.random() < 0.3
    spots = [
        (x, s * spread) if upright else (x + s * spread, 0.0) for x in middles for s in (-1, 1)
    ]
    p.detail(*[sh.circle(x, y, pin, 20) for x, y in spots], like=plate, shade=0.12, relief=-0.8)
    clip = (r * 0.16, r * 0.1)
    clips = [
        sh.rect(x + s * r * 0.8, 0, clip[1], clip[0]) if upright else sh.rect(x, s * r * 0.8, *clip)
        for x in middles
        for s in (-1, 1)
    ]
    p.detail(*clips, like=coloured(p, "metal", "silver", "gold", "copper"), relief=0.6)
    _screws(p, *[(x, 0.0) for x in middles], r=r * 0.1)


def _socket_duplex(p: Part) -> None:
    """Two outlets above each other, each with two upright slots and an earth hole."""
    w = p.rng.uniform(0.5, 0.64)
    plate = p.body(
        p.pick("plastic", "plastic", "metal"), sh.rounded(0, 0, w, 0.95, 0.07), relief=0.6
    )
    face = w * p.rng.uniform(0.56, 0.68)
    corner = p.rng.uniform(0.05, 0.32)
    same = plate if p.rng.random() < 0.5 else None
    faces = [sh.rounded(0, y, face, 0.32, corner) for y in (-0.44, 0.44)]
    front = p.detail(*faces, like=same, shade=1.15, relief=0.6)
    slot, tall = face * 0.09, p.rng.uniform(0.09, 0.13)
    slots = [
        sh.rect(s * face * 0.42, y - 0.08, slot, tall + 0.015 * s)
        for y in (-0.44, 0.44)
        for s in (-1, 1)
    ]
    slots += [sh.rounded(0, y + 0.16, 0.065, 0.075, 0.06) for y in (-0.44, 0.44)]
    p.detail(*slots, like=front, shade=0.1, relief=-0.8)
    _screws(p, (0, 0), r=0.06)
    if p.rng.random() < 0.4:
        p.print(*sh.glyphs(p.rng, 0, 0.86, 4, 0.07))


def _socket_square(p: Part) -> None:
    """Three rectangular openings a gang, a small rocker with a lamp, and a screw on either side."""
    gangs = int(p.pick("1", "2", "2"))
    w, h = (0.95, p.rng.uniform(0.52, 0.6)) if gangs == 2 else (0.85, p.rng.uniform(0.78, 0.88))
    plate = p.body(p.pick("plastic", "plastic", "metal"), sh.rounded(0, 0, w, h, 0.05), relief=0.6)
    middles, k = ((-0.43, 0.43), 0.62) if gangs == 2 else ((0.0,), 1.0)
    inset = [sh.rounded(x, 0.1 * k, 0.52 * k, 0.56 * k, 0.05) for x in middles]
    front = p.detail(*inset, like=plate, shade=p.rng.uniform(0.75, 1.2), relief=-0.4)
    slots = [sh.rect(x, -0.16 * k, 0.07 * k, 0.15 * k) for x in middles]
    slots += [
        sh.rect(x + s * 0.25 * k, 0.34 * k, 0.14 * k, 0.07 * k) for x in middles for s in (-1, 1)
    ]
    p.detail(*slots, like=front, shade=0.1, relief=-0.9)
    keys = [sh.rect(x + 0.16 * k, -0.64 * k, 0.1 * k, 0.14 * k) for x in middles]
    p.detail(*keys, like=plate, shade=0.85, relief=0.8)
    lamps = [sh.rect(x + 0.16 * k, -0.72 * k, 0.07 * k, 0.03 * k) for x in middles]
    p.detail(*lamps, like=coloured(p, "plastic", "red", "red", "orange", "green"), relief=0.2)
    _screws(p, (-w + 0.08 * k + 0.02, 0), (w - 0.08 * k - 0.02, 0), r=0.06 * k + 0.01)
    p.print(*sh.glyphs(p.rng, middles[0] - 0.25 * k, -0.66 * k, 3, 0.09 * k))


def _thread(p: Part, w: float, top: float, bottom: float) -> None:
    """The screw base of a lamp between two heights, with its contact."""
    base = p.detail(
        sh.rounded(0, (top + bottom) / 2, w, (bottom - top) / 2, 0.04),
        like=coloured(p, "metal", "silver", "gold", "grey", "copper"),
        relief=0.9,
    )
    steps = np.linspace(top, bottom, int(p.rng.integers(4, 7)))[1:-1]
    turns = [sh.stroke(np.array([[-w, y + 0.02], [0, y], [w, y - 0.02]]), 0.03) for y in steps]
    p.detail(*turns, like=base, shade=0.45, relief=-0.4)
    p.detail(taper(0, bottom + 0.03, w * 0.8, w * 0.4, 0.035), like=coloured(p, "rubber", "black"))


def _lamp_bulb(p: Part) -> None:
    """A glass bulb with a filament on its two wires."""
    r, w = p.rng.uniform(0.46, 0.62), p.rng.uniform(0.17, 0.25)
    middle = -0.95 + r
    neck = (0.5 + middle) / 2 + 0.1
    tall = p.rng.uniform(0.85, 1.15)
    glass = coloured_body(
        p,
        "glass",
        ("white", "cyan", "white", "brown", "green"),
        sh.ellipse(0, middle, r * tall, r),
        taper(0, neck, r * 0.75 * tall, w, 0.5 - neck),
        relief=1.0,
    )
    p.detail(taper(0, 0.32, 0.05, w * 0.7, 0.2), like=glass, shade=0.8, relief=0.3)
    spread, high = r * p.rng.uniform(0.35, 0.55), middle + p.rng.uniform(-0.1, 0.15)
    posts = [
        sh.stroke(
            np.array([[s * 0.04, 0.2], [s * spread * 0.8, (high + 0.2) / 2], [s * spread, high]]),
            0.03,
        )
        for s in (-1, 1)
    ]
    p.detail(*posts, material="metal", relief=0.3)
    n = int(p.rng.integers(9, 19))
    coil = np.stack([np.linspace(-spread, spread, n), high + 0.06 * (-1.0) ** np.arange(n)], axis=1)
    p.detail(sh.stroke(coil, 0.04), like=coloured(p, "metal", "copper", "gold"), relief=0.3)
    _thread(p, w, 0.5, 0.88)


def _lamp_spot(p: Part) -> None:
    """A spot from the front: light diodes on a round plate within a finned rim."""
    fins, deep = int(p.rng.integers(14, 44)), p.rng.uniform(0.02, 0.1)
    rim = sh.cog(0, 0, 0.94, fins, deep) if p.rng.random() < 0.6 else sh.circle(0, 0, 0.94)
    bezel = p.body(p.pick("metal", "metal", "plastic"), rim, relief=0.6)
    r = p.rng.uniform(0.66, 0.78)
    p.detail(sh.circle(0, 0, r), like=bezel, shade=p.rng.uniform(0.3, 0.7), relief=-0.6)
    outer = int(p.rng.integers(5, 12))
    size = min(0.17, r * 1.8 / outer)
    rings = [(outer, r - size - 0.04, p.rng.uniform(0, 3))]
    inner = r - 3.4 * size - 0.04
    rings.append((max(1, int(inner * 2.4 / size)), inner, 0.3) if inner > size else (1, 0.0, 0.0))
    square, lens, dots = p.rng.random() < 0.4, [], []
    for count, reach, turn in rings:
        one = sh.rect(0, 0, size * 0.75, size * 0.75) if square else sh.circle(0, 0, size)
        lens += sh.ring_of(one, count, reach, turn)
        dots += sh.ring_of(sh.circle(0, 0, size * 0.45, 16), count, reach, turn)
    p.detail(*lens, like=coloured(p, "glass", "white", "white", "cyan"), relief=0.8)
    p.detail(*dots, like=coloured(p, "plastic", "yellow", "yellow", "orange"), relief=0.3)
    bolts = int(p.rng.integers(2, 5))
    heads = sh.ring_of(sh.circle(0, 0, 0.045, 16), bolts, (r + 0.84) / 2, p.rng.uniform(0, 3))
    p.detail(*heads, like=bezel, shade=0.4)


def _lamp_tubes(p: Part) -> None:
    """An energy-saving lamp: a wound or folded tube on a housing with vents."""
    w, base = p.rng.uniform(0.32, 0.46), p.rng.uniform(0.17, 0.22)
    case = coloured_body(
        p,
        "plastic",
        ("white", "white", "beige", "grey", "black"),
        taper(0, 0.36, w, base * 1.1, 0.22),
        relief=0.9,
    )
    tube = coloured(p, "plastic", "white", "white", "beige")
    if p.rng.random() < 0.6:
        count = int(p.rng.integers(3, 6))
        step = 1.05 / count
        x = np.linspace(-1, 1, 9)
        for k in reversed(range(count)):
            y, reach = 0.04 - step * k, w * p.rng.uniform(0.98, 1.08) * (1 - 0.05 * k)
            line = np.stack(
                [x * reach, y + 0.5 * step * (-x * 0.5 - 0.5 + 0.25 * (1 - x * x))], axis=1
            )
            p.detail(
                sh.stroke(line, step * 0.66 * (1 - 0.4 * np.abs(x) ** 6)),
                like=tube,
                shade=1 - 0.05 * (k % 2),
                relief=0.9,
            )
    else:
        places, top = row(int(p.rng.integers(2, 4)), w), p.rng.uniform(-0.93, -0.7)
        half = w / len(places) * 0.86
        p.detail(
            *[sh.rounded(x, (top + 0.14) / 2, half, (0.14 - top) / 2, half) for x in places],
            like=tube,
            relief=0.9,
        )
        p.detail(
            *[
                sh.rect(x, 0.15 + top / 2 + 0.05, half * 0.12, (0.1 - top) / 2 - 0.1)
                for x in places
            ],
            like=tube,
            shade=0.45,
            relief=-0.6,
        )
    vents = [
        sh.rounded(x, 0.26, 0.025, 0.07, 0.02) for x in row(int(p.rng.integers(4, 8)), w * 0.8)
    ]
    p.detail(*vents, like=case, shade=0.3, relief=-0.5)
    p.print(*sh.glyphs(p.rng, 0, 0.43, 4, 0.08))
    _thread(p, base, 0.58, 0.9)


FITTINGS: dict[str, Variants[Callable[[Part], None]]] = {
    "lamp": Variants((_lamp_bulb, _lamp_spot), (_lamp_tubes,)),
    "socket": Variants((_socket_round, _socket_duplex), (_socket_square,)),
    "switch": Variants((_switch_rocker, _switch_toggle), (_switch_dip,)),
}
