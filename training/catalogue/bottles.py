"""Bottles and their caps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import arc, clipped, profile, spun
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_CLEAR = ("green", "brown", "white", "cyan", "blue", "silver")
_CLOSURES = ("white", "red", "blue", "black", "gold", "green", "yellow")


def _bottle_above(p: Part) -> None:
    """From above: a stack of rings."""
    body = p.body(p.pick("glass", "glass", "plastic"), sh.circle(0, 0, 0.93), relief=1.0)
    radius = 0.93
    for shade in p.rng.uniform(0.15, 1.8, int(p.rng.integers(2, 5))):
        radius *= p.rng.uniform(0.78, 0.95)
        p.detail(sh.circle(0, 0, radius), like=body, shade=shade, relief=p.rng.uniform(-0.6, 0.6))
    p.detail(sh.circle(0, 0, radius * p.rng.uniform(0.5, 0.9)), like=body, shade=0.2, relief=-0.3)


def _bottle_side(p: Part) -> None:
    """Standing: shoulders and neck, what is in it, a label and the cap."""
    p.upright = p.rng.random() < 0.6
    w, neck = p.rng.uniform(0.22, 0.5), p.rng.uniform(0.09, 0.15)
    mouth, shoulder = p.rng.uniform(-0.82, -0.74), p.rng.uniform(-0.35, 0.0)
    waist = w * p.rng.uniform(0.78, 1.0)
    outline = profile(
        [
            (mouth, neck),
            (p.rng.uniform(mouth + 0.08, shoulder - 0.15), neck * p.rng.uniform(1, 1.25)),
            (shoulder, w),
            ((shoulder + 0.9) / 2, waist),
            (0.86, w),
            (0.95, w * 0.9),
        ]
    )
    glass = coloured_body(p, p.pick("glass", "glass", "plastic"), _CLEAR, outline, relief=1.0)
    level = p.rng.uniform(shoulder - 0.2, shoulder + 0.3)
    fluid = coloured(p, "glass", "brown", "orange", "red", "green", "white", "black")
    p.detail(clipped(outline * [0.86, 1], 1, level, 0.89), like=fluid, relief=0.1)
    top, bottom = shoulder + p.rng.uniform(0.08, 0.25), p.rng.uniform(0.5, 0.8)
    y, h, lw = (top + bottom) / 2, (bottom - top) / 2, waist * p.rng.uniform(0.75, 0.98)
    paper = coloured(p, "paper", "white", "beige", "yellow", "red", "blue")
    p.detail(sh.rounded(0, y, lw, h, float(p.rng.choice([0.01, 0.1]))), like=paper)
    crest = sh.ngon(0, y - h * 0.4, h * 0.35, int(p.rng.integers(3, 9)), 0.3)
    p.detail(crest, like=coloured(p, "plastic", "red", "blue", "green", "gold"), relief=0.05)
    size = lw * 0.22
    p.print(
        *sh.glyphs(p.rng, 0, y + h * 0.25, 4, size), *sh.glyphs(p.rng, 0, y + h * 0.7, 6, size / 2)
    )
    ch = p.rng.uniform(0.07, 0.13)
    cap = p.detail(
        sh.rounded(0, -0.95 + ch, neck * p.rng.uniform(1.1, 1.4), ch, 0.03),
        like=coloured(p, p.pick("plastic", "metal"), *_CLOSURES),
        relief=0.8,
    )
    ribs = [sh.rect(x, -0.95 + ch * 1.1, neck * 0.06, ch * 0.7) for x in row(6, neck)]
    p.detail(*ribs, like=cap, shade=0.65, relief=0.2)
    p.detail(sh.rounded(-w * 0.72, 0.35, w * 0.05, 0.4, 0.03), like=glass, shade=1.9, relief=0.0)


def _bottle_below(p: Part) -> None:
    """From below: a stippled resting ring, the raised dome, embossed marks and a seam."""
    square = p.rng.random() < 0.3
    foot = sh.rounded(0, 0, 0.92, 0.92, 0.4) if square else sh.circle(0, 0, 0.94)
    glass = coloured_body(p, p.pick("glass", "glass", "plastic"), _CLEAR, foot, relief=1.0)
    ring = p.rng.uniform(0.66, 0.8)
    p.detail(foot * (ring + 0.1), like=glass, shade=p.rng.uniform(1.2, 1.5), relief=-0.3)
    petals = int(p.rng.integers(5, 7))
    if p.rng.random() < 0.4:
        lobe = taper(0, 0, 0.28, 0.1, ring * 0.36)[:, ::-1]
        p.detail(*sh.ring_of(-lobe, petals, ring * 0.62), like=glass, shade=0.7, relief=0.9)
    else:
        dash = sh.rounded(0, 0, 0.05, p.rng.uniform(0.012, 0.025), 0.02)
        count = int(p.rng.integers(28, 56))
        p.detail(*sh.ring_of(dash, count, ring + 0.1), like=glass, shade=0.5, relief=0.5)
        p.detail(sh.circle(0, 0, ring), like=glass, shade=p.rng.uniform(0.5, 0.8), relief=-0.7)
    inner = ring * p.rng.uniform(0.35, 0.5)
    p.detail(sector(0, 0, inner, inner + 0.05), like=glass, shade=1.5, relief=0.5)
    marks = [
        g
        for k in range(int(p.rng.integers(2, 5)))
        for g in _mark_at(p, 1.57 + 1.4 * k, ring * 0.76)
    ]
    p.detail(*marks, like=glass, shade=1.7, relief=0.5)
    seam = [sh.rect(s * (inner + ring) / 2, 0, (ring - inner) * 0.35, 0.014) for s in (-1, 1)]
    p.detail(*[spun(s, 0.6) for s in seam], like=glass, shade=0.4, relief=0.3)
    p.detail(sh.circle(0, 0, p.rng.uniform(0.04, 0.1), 20), like=glass, shade=0.35, relief=-0.4)


def _mark_at(p: Part, angle: float, r: float) -> list[sh.Points]:
    """Two characters on a circle, upright towards its rim."""
    marks = sh.glyphs(p.rng, 0, 0, 2, 0.1)
    return [spun(g, angle + np.pi / 2, r * np.cos(angle), r * np.sin(angle)) for g in marks]


def _cap_above(p: Part) -> None:
    """From above: a knurled rim around a printed disc."""
    body = p.body(p.pick("plastic", "metal"), sh.cog(0, 0, 0.9, int(p.rng.integers(30, 60)), 0.04))
    p.detail(sh.circle(0, 0, 0.78), like=body, shade=p.rng.uniform(0.8, 1.2))
    if p.rng.random() < 0.7:
        p.print(*sh.glyphs(p.rng, 0, 0, int(p.rng.integers(3, 5)), p.rng.uniform(0.16, 0.24)))


def _cap_side(p: Part) -> None:
    """Standing: ribbed wall, a tear band on bridges, sometimes a spout or flip lid."""
    p.upright = True
    h, w, lean = p.rng.uniform(0.3, 0.55), p.rng.uniform(0.72, 0.9), p.rng.uniform(0.85, 1.0)
    wall = taper(0, 0, w * lean, w, h)
    crown = profile([(-h - 0.14, w * lean * 0.82), (-h - 0.08, w * lean * 0.95), (-h, w * lean)])
    body = p.body(p.pick("plastic", "plastic", "metal"), wall, crown, relief=1.0)
    count = int(p.rng.integers(9, 26))
    share = p.rng.uniform(0.2, 0.42)
    angles = np.linspace(-1.45, 1.45, count)
    # the ribs of a round wall crowd towards its sides
    ribs = [
        taper(w * 0.97 * np.sin(a), -0.02, t, t, h * 0.85)
        for a in angles
        for t in [w * share * 3 / count * (0.25 + 0.75 * np.cos(a))]
    ]
    p.detail(*ribs, like=body, shade=p.rng.uniform(0.6, 0.8), relief=-0.3)
    p.detail(sh.rect(0, -h, w * lean, 0.02), like=body, shade=1.3, relief=0.4)
    lid = p.rng.random()
    if lid < 0.35:
        spout = profile([(-h - 0.42, 0.1), (-h - 0.36, 0.16), (-h - 0.2, 0.18), (-h - 0.12, 0.34)])
        p.detail(spout, like=coloured(p, "plastic", *_CLOSURES), relief=0.9)
    elif lid < 0.6:
        p.detail(sh.rounded(0, -h - 0.17, w * 0.72, 0.05, 0.05), like=body, shade=1.15, relief=0.8)
        p.detail(sh.rounded(w * 0.8, -h - 0.1, 0.1, 0.07, 0.03), like=body, shade=0.7, relief=0.6)
    bottom, gap = p.rng.uniform(0.07, 0.12), 0.05
    p.detail(
        sh.rounded(0, h + gap + bottom, w * 1.02, bottom, 0.03), like=body, shade=0.95, relief=0.9
    )
    bridges = [sh.rect(x, h + gap * 0.5, 0.025, gap) for x in row(int(p.rng.integers(5, 10)), w)]
    p.detail(*bridges, like=body, shade=0.8)
    if p.rng.random() < 0.5:
        p.print(*sh.glyphs(p.rng, 0, 0, int(p.rng.integers(3, 6)), h * 0.4))


def _cap_inside(p: Part) -> None:
    """From inside: wall, runs of thread, liner or sealing ring; or the flutes of a crown cap."""
    crown = p.rng.random() < 0.45
    if crown:
        a = np.linspace(0, 2 * np.pi, 168, endpoint=False)
        radius = 0.88 + 0.06 * np.cos(21 * a)
        outline = np.stack([radius * np.cos(a), radius * np.sin(a)], axis=1)
        body = p.body("metal", outline, relief=0.6)
        groove = sh.rounded(0, 0, 0.1, 0.025, 0.02)
        p.detail(*sh.ring_of(groove, 21, 0.8, np.pi / 21), like=body, shade=0.45, relief=-0.3)
    else:
        body = p.body("plastic", sh.circle(0, 0, 0.93), relief=0.8)
        lug = sh.rounded(0, 0, 0.06, 0.035, 0.02)
        p.detail(
            *sh.ring_of(lug, int(p.rng.integers(8, 18)), 0.84), like=body, shade=1.25, relief=0.5
        )
    floor = p.rng.uniform(0.64, 0.72)
    p.detail(sh.circle(0, 0, floor), like=body, shade=p.rng.uniform(0.45, 0.7), relief=-1.0)
    runs = int(p.rng.integers(2, 5))
    if not crown:
        threads = [
            sh.stroke(
                arc(0, 0, floor - 0.03, k * 2 * np.pi / runs, (k + 0.75) * 2 * np.pi / runs), 0.06
            )
            for k in range(runs)
        ]
        p.detail(*threads, like=body, shade=1.1, relief=0.6)
    liner = coloured(p, "plastic", "white", "grey", "blue", "red", "black", "beige")
    p.detail(sh.circle(0, 0, floor * p.rng.uniform(0.8, 0.88)), like=liner, relief=0.3)
    ring = floor * p.rng.uniform(0.5, 0.7)
    p.detail(sector(0, 0, ring, ring + 0.05), like=liner, shade=0.6, relief=0.4)
    if p.rng.random() < 0.5:
        p.detail(*sh.glyphs(p.rng, 0, 0.0, 3, 0.12), like=liner, shade=0.5, relief=0.4)
    else:
        p.detail(sh.circle(0, 0, p.rng.uniform(0.04, 0.1), 20), like=liner, shade=0.5, relief=0.5)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "bottle": Variants(trained=(_bottle_above, _bottle_side), held_out=(_bottle_below,)),
    "cap": Variants(trained=(_cap_above, _cap_side), held_out=(_cap_inside,)),
}
