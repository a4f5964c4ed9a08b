"""Coins and bearings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import arc, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, sector
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["ROUND"]

_COINAGE = ("silver", "gold", "copper", "grey", "silver", "brown")


def _legend(p: Part, radius: float, size: float, start: float, end: float) -> list[sh.Points]:
    """Characters along a circle, their feet towards its middle."""
    step = size * 1.45 / radius
    marks, a = [], start
    while a < end:
        if p.rng.random() > 0.12:
            turn = a + np.pi / 2
            place = (radius * np.cos(a), radius * np.sin(a))
            marks += [spun(g, turn, *place) for g in sh.glyphs(p.rng, 0, 0, 1, size)]
        a += step
    return marks


def _coin_plain(p: Part) -> None:
    """A sunken field within a rim, with a figure and a word."""
    body = p.body("metal", sh.circle(0, 0, 0.92), relief=0.6)
    p.detail(sh.circle(0, 0, 0.8), like=body, shade=0.9, relief=-0.4)
    p.detail(
        sh.blob(p.rng, 0, 0.1, 0.35, 0.5),
        *sh.glyphs(p.rng, 0, -0.55, 4, 0.12),
        like=body,
        shade=1.15,
        relief=0.6,
    )


def _coin_two_metals(p: Part) -> None:
    """A ring of one metal around a core of another: large value, rays, stars, milled edge."""
    outer = coloured_body(
        p, "metal", _COINAGE, sh.cog(0, 0, 0.94, int(p.rng.integers(60, 100)), 0.02), relief=0.8
    )
    p.detail(sh.circle(0, 0, 0.87, 60), like=outer, shade=0.8, relief=-0.4)
    r = p.rng.uniform(0.58, 0.7)
    core = p.detail(
        sh.circle(0, 0, r, 60), like=coloured(p, "metal", "gold", "silver", "copper"), relief=0.2
    )
    p.detail(sector(0, 0, r - 0.03, r), like=core, shade=0.4, relief=-0.4)
    middle, size = (r + 0.87) / 2, (0.87 - r) * p.rng.uniform(0.22, 0.36)
    count = int(p.rng.integers(8, 15))
    star = sh.cog(0, 0, size, 5, size * 0.55)
    p.detail(*sh.ring_of(star, count, middle), like=outer, shade=1.3, relief=0.6)
    side = float(p.rng.choice([-1, 1]))
    rays = [
        sh.stroke(np.array([[side * r * 0.15, y], [side * r * 0.85, y * 1.2]]), 0.02)
        for y in np.linspace(-r * 0.5, r * 0.5, int(p.rng.integers(4, 8)))
    ]
    p.detail(*rays, like=core, shade=0.8, relief=0.3)
    value = sh.glyphs(p.rng, -side * r * 0.3, -r * 0.1, 1, r * 0.75, weight=0.28)
    year = sh.glyphs(p.rng, 0, r * 0.72, 4, r * 0.14)
    p.detail(*value, *year, like=core, shade=1.4, relief=0.8)


def _head(p: Part, side: float) -> tuple[sh.Points, sh.Points]:
    """A bust in profile, and the hair on it; it looks to the right for ``side`` 1."""
    nose, chin = p.rng.uniform(0.03, 0.09), p.rng.uniform(-0.02, 0.04)
    face = np.array(
        [
            [0.02, -0.6],
            [0.2, -0.54],
            [0.29, -0.38],
            [0.29, -0.24],
            [0.33 + nose, -0.08],
            [0.3, -0.04],
            [0.34, 0.03],
            [0.3, 0.08],
            [0.32 + chin, 0.18],
            [0.24, 0.26],
            [0.1, 0.24],
            [0.12, 0.42],
            [0.34, 0.58],
            [-0.02, 0.68],
            [-0.4, 0.56],
            [-0.24, 0.36],
            [-0.24, 0.14],
            [-0.36, -0.06],
            [-0.37, -0.3],
            [-0.22, -0.52],
        ]
    )
    back, low = p.rng.uniform(0.36, 0.48), p.rng.uniform(0.0, 0.24)
    hair = np.array(
        [
            [0.22, -0.56],
            [0.14, -0.4],
            [-0.02, -0.24],
            [-0.08, 0.0],
            [-0.2, low],
            [-back, low * 0.8],
            [-back, -0.3],
            [-0.24, -0.57],
            [0.02, -0.66],
        ]
    )
    flip = np.array([side, 1.0])
    return face * flip, hair * flip


def _coin_portrait(p: Part) -> None:
    """Many-cornered, scalloped or round: a head in profile, words around it, a beaded border."""
    corners, a = int(p.rng.integers(7, 13)), np.linspace(0, 2 * np.pi, 144, endpoint=False)
    bulge = np.abs(np.sin(corners * a / 2))
    radius = {
        "corners": 0.9 + 0.05 * (1 - bulge),
        "scallops": 0.87 + 0.08 * np.sqrt(bulge),
        "round": np.full(144, 0.94),
    }[p.pick("corners", "scallops", "round", "corners")]
    outline = radius[:, None] * np.stack([np.cos(a), np.sin(a)], axis=1)
    body = coloured_body(p, "metal", _COINAGE, outline, relief=0.9)
    p.detail(outline * 0.93, like=body, shade=p.rng.uniform(0.6, 0.85), relief=-0.4)
    p.detail(outline * 0.9, like=body, shade=p.rng.uniform(0.85, 1.05), relief=-0.1)
    bead = sh.circle(0, 0, 0.018, 8)
    beads = sh.ring_of(bead, int(p.rng.integers(20, 27)), 0.78)
    size, gap = p.rng.uniform(0.1, 0.12), p.rng.uniform(0.9, 1.2)
    words = _legend(p, 0.65, size, np.pi / 2 + gap, 5 * np.pi / 2 - gap)
    year = sh.glyphs(p.rng, 0, 0.66, 3, 0.085)
    p.detail(*beads, *words, *year, like=body, shade=1.45, relief=0.5)
    face, hair = _head(p, float(p.rng.choice([-1, 1])))
    k = p.rng.uniform(0.74, 0.84)
    skin = p.detail(face * k, like=body, shade=p.rng.uniform(1.15, 1.35), relief=1.0)
    p.detail(hair * k, like=skin, shade=0.7, relief=0.5)
    way = float(np.sign(face[4, 0]))
    locks = [
        sh.stroke(arc(-0.05 * k, -0.2 * k, r * k, q, q + 1.4, n=8), 0.022)
        for r, q in ((0.2, 3.3), (0.27, 3.6), (0.34, 4.0))
    ]
    eye = sh.ellipse(0.18 * k, -0.2 * k, 0.035, 0.02, 10)
    p.detail(*[s * [way, 1] for s in (*locks, eye)], like=skin, shade=0.42, relief=-0.2)


def _bearing_balls(p: Part) -> None:
    """Two rings with balls in the groove between them."""
    body = p.body("metal", sh.circle(0, 0, 0.93), relief=0.6)
    p.detail(sh.circle(0, 0, 0.75), like=body, shade=0.3, relief=-0.5)
    p.detail(
        *sh.ring_of(sh.circle(0, 0, 0.13), int(p.rng.integers(7, 11)), 0.58),
        like=body,
        shade=1.1,
        relief=0.8,
    )
    p.detail(sh.circle(0, 0, 0.42), like=body, relief=0.5)
    p.hole(sh.circle(0, 0, 0.25))


def _bearing_rollers(p: Part) -> None:
    """Rollers in the windows of a cage, lying along the radius, around a wide bore."""
    bore, lip = p.rng.uniform(0.34, 0.5), p.rng.uniform(0.05, 0.09)
    body = coloured_body(p, "metal", ("silver", "grey", "silver"), sh.circle(0, 0, 0.94, 60))
    inner, outer = bore + lip, 0.94 - p.rng.uniform(0.06, 0.12)
    p.detail(sector(0, 0, outer - 0.02, outer + 0.01), like=body, shade=0.35, relief=-0.4)
    cage = coloured(
        p, p.pick("metal", "plastic"), *p.pick("gold copper", "black white", "grey").split()
    )
    p.detail(sector(0, 0, inner, outer - 0.02), like=cage, relief=0.2)
    count = int(p.rng.integers(12, 25))
    middle, long = (inner + outer) / 2, (outer - inner) / 2 - 0.04
    wide = min(np.pi * (middle - long * 0.6) / count * p.rng.uniform(0.62, 0.8), 0.12)
    # Window, roller and the light along its back, each an outline lying along x.
    window = sh.rounded(0, 0, long, wide * 1.2, 0.02)
    p.detail(*sh.ring_of(window, count, middle), like=body, shade=0.2, relief=-0.6)
    roller = sh.rounded(0, 0, long * 0.9, wide, wide * p.rng.uniform(0.2, 0.8))
    p.detail(*sh.ring_of(roller, count, middle), like=body, shade=1.1, relief=1.0)
    gleam = sh.rounded(0, 0, long * 0.75, wide * 0.25, 0.02)
    p.detail(*sh.ring_of(gleam, count, middle), like=body, shade=1.6, relief=0.1)
    p.detail(sector(0, 0, bore, inner), like=body, shade=1.2, relief=0.6)
    p.hole(sh.circle(0, 0, bore, 48))


def _bearing_block(p: Part) -> None:
    """A cast pillow block on its foot: bolt slots, grease nipple, sealed insert with set screw."""
    foot, rise = p.rng.uniform(0.16, 0.24), p.rng.uniform(-0.1, 0.04)
    r = p.rng.uniform(0.56, 0.66)
    shoulder = np.array(
        [[-r, rise], [r, rise], [r * 1.25, 0.8 - 2 * foot], [-r * 1.25, 0.8 - 2 * foot]]
    )
    cast = coloured_body(
        p,
        "metal",
        ("grey", "grey", "black", "silver", "grey"),
        sh.rounded(0, 0.8 - foot, 0.95, foot, 0.06),
        sh.circle(0, rise, r),
        shoulder,
        sh.rounded(0, rise - r - 0.03, 0.09, 0.08, 0.03),
        relief=1.0,
    )
    nipple = coloured(p, "metal", "gold", "silver", "copper")
    p.detail(sh.rounded(0, rise - r - 0.14, 0.05, 0.07, 0.03), like=nipple, relief=0.7)
    seats = [sh.rounded(s * 0.75, 0.8 - foot, 0.15, foot * 0.68, 0.1) for s in (-1, 1)]
    p.detail(*seats, like=cast, shade=1.3, relief=0.4)
    p.hole(*[sh.rounded(s * 0.75, 0.8 - foot, 0.1, foot * 0.36, 0.1) for s in (-1, 1)])
    line = sh.rounded(0, 0.8 - foot * 0.5, 0.42, 0.02, 0.02)
    p.detail(line, sector(0, rise, r * 0.86, r * 0.91), like=cast, shade=0.4, relief=-0.5)
    steel = coloured(p, "metal", "silver", "silver", "grey")
    p.detail(sh.circle(0, rise, r * 0.84, 48), like=steel, relief=0.4)
    seal = coloured(p, "rubber", "black", "red", "black") if p.rng.random() < 0.7 else steel
    p.detail(sector(0, rise, r * 0.5, r * 0.74), like=seal, shade=0.8, relief=-0.4)
    words = _legend(p, r * 0.62, r * 0.1, 3.6, p.rng.uniform(4.6, 5.8))
    p.detail(*[shifted(w, 0, rise) for w in words], like=steel, shade=1.3, relief=0.1)
    bore = r * p.rng.uniform(0.28, 0.36)
    p.detail(sector(0, rise, bore, r * 0.47), like=steel, shade=1.2, relief=0.8)
    p.hole(sh.circle(0, rise, bore, 36))
    a = p.rng.uniform(0.2, 2.9)
    x, y = (bore + r * 0.47) / 2 * np.cos(a), (bore + r * 0.47) / 2 * np.sin(a)
    p.detail(sh.circle(x, rise + y, r * 0.05, 12), like=steel, shade=0.2, relief=-0.6)


ROUND: dict[str, Variants[Callable[[Part], None]]] = {
    "bearing": Variants(trained=(), held_out=(_bearing_balls, _bearing_rollers, _bearing_block)),
    "coin": Variants(trained=(_coin_plain, _coin_two_metals), held_out=(_coin_portrait,)),
}
