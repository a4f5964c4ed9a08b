"""Wheels, valves, pouches and syringes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.syringes import SYRINGES
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_STEEL = ("silver", "silver", "grey", "gold", "copper")
_PAINT = ("red", "blue", "green", "yellow", "black", "orange")


def _wheel_cast(p: Part) -> None:
    """A cast wheel: windows between its spokes, a hub with a bore and bolts."""
    count, rim = int(p.rng.integers(3, 9)), p.rng.uniform(0.66, 0.76)
    body = p.body(p.pick("metal", "plastic", "wood"), sh.circle(0, 0, 0.94), relief=0.7)
    p.detail(sector(0, 0, rim + 0.03, 0.9), like=body, shade=p.rng.uniform(0.3, 0.8), relief=0.5)
    hub, gap = p.rng.uniform(0.3, 0.4), p.rng.uniform(0.1, 0.25)
    step = 2 * np.pi / count
    windows = [
        sector(0, 0, hub, rim - 0.04, start=k * step + gap, end=(k + 1) * step - gap)
        for k in range(count)
    ]
    p.hole(*windows)
    p.detail(sh.circle(0, 0, hub * 0.82), like=body, shade=1.15, relief=0.6)
    bolts = sh.ring_of(sh.ngon(0, 0, hub * 0.13, 6), int(p.rng.integers(3, 7)), hub * 0.6)
    p.detail(*bolts, material="metal", relief=0.6)
    p.hole(sh.circle(0, 0, hub * p.rng.uniform(0.28, 0.4)))


def _wheel_tyre(p: Part) -> None:
    """A car wheel: a tyre with treads, a disc with slots, nuts, a cap and the valve."""
    treads, r = int(p.rng.integers(26, 50)), p.rng.uniform(0.6, 0.7)
    coloured_body(
        p, "rubber", ("black", "black", "grey"), sh.cog(0, 0, 0.95, treads, 0.035), relief=1.0
    )
    p.print(*sh.glyphs(p.rng, 0, -(r + 0.91) / 2, 5, 0.085))
    disc = p.detail(sh.circle(0, 0, r), like=coloured(p, "metal", *_STEEL), relief=0.4)
    p.detail(sh.circle(0, 0, r * 0.88), like=disc, shade=0.75, relief=-0.6)
    spokes, nuts = int(p.rng.integers(4, 9)), int(p.rng.integers(4, 6))
    if p.rng.random() < 0.5:
        arm = taper(0, 0, r * 0.08, r * 0.16, r * 0.31)[:, ::-1]
        arms = sh.ring_of(arm, spokes, r * 0.58)
        p.detail(*arms, sh.circle(0, 0, r * 0.4), like=disc, shade=1.1, relief=0.6)
    else:
        slot = sh.rounded(0, 0, r * 0.07, r * p.rng.uniform(0.1, 0.2), 0.08)
        p.detail(*sh.ring_of(slot, spokes + 4, r * 0.68), like=disc, shade=0.15, relief=-0.6)
    studs = sh.ring_of(sh.ngon(0, 0, r * 0.075, 6), nuts, r * 0.28, 0.3)
    p.detail(*studs, like=disc, shade=0.5, relief=0.7)
    p.detail(sh.circle(0, 0, r * 0.15), material=p.pick("plastic", "metal"), relief=0.6)
    a = p.rng.uniform(0, 2 * np.pi)
    stem = sh.ring_of(sh.rounded(0, 0, 0.07, 0.03, 0.03), 1, r * 0.84, a)
    p.detail(*stem, like=coloured(p, "rubber", "black"), relief=0.6)


def _wheel_spoked(p: Part) -> None:
    """A bicycle's wheel: thin tyre and rim, crossed wire spokes, hub and reflector."""
    p.body("rubber", sh.circle(0, 0, 0.95), relief=0.8)
    inner = p.rng.uniform(0.8, 0.87)
    rim = p.detail(sh.circle(0, 0, inner), like=coloured(p, "metal", *_STEEL), relief=0.5)
    p.hole(sh.circle(0, 0, inner - p.rng.uniform(0.05, 0.09)))
    pairs, hub = int(p.rng.integers(7, 14)), p.rng.uniform(0.09, 0.16)
    lean, reach = p.rng.uniform(0.1, 0.5), inner - 0.05
    spokes = []
    for k in range(2 * pairs):
        a = np.pi * k / pairs
        b = a + lean * (-1) ** k
        ends = np.array([[np.cos(b), np.sin(b)], [np.cos(a), np.sin(a)]]) * [[hub], [reach]]
        spokes.append(sh.stroke(ends, 0.028))
    p.detail(*spokes, like=rim, shade=1.1, relief=0.6)
    if p.rng.random() < 0.8:
        turn = p.rng.uniform(0, 6)
        glow = sh.ring_of(sh.rounded(0, 0, 0.07, 0.16, 0.05), int(p.pick("1", "2")), 0.55, turn)
        p.detail(*glow, like=coloured(p, "plastic", "orange", "yellow", "red"), relief=0.5)
    flange = p.detail(sh.circle(0, 0, hub * 1.35), like=rim, shade=0.8, relief=0.7)
    p.detail(sh.ngon(0, 0, hub * 0.75, 6), like=flange, shade=0.5, relief=0.6)
    p.detail(sh.circle(0, 0, hub * 0.35, 16), like=rim, shade=1.2, relief=0.6)


def _valve_side(p: Part) -> None:
    """A gate valve from the side: flanged pipe, bonnet with bolts, spindle and wheel."""
    h, flange = p.rng.uniform(0.18, 0.28), p.rng.uniform(0.38, 0.5)
    y = 0.93 - flange
    body = p.body(
        p.pick("metal", "metal", "plastic"),
        sh.rect(0, y, 0.85, h),
        sh.ellipse(0, y, p.rng.uniform(0.36, 0.5), h * p.rng.uniform(1.2, 1.5)),
        taper(0, (y - 0.45) / 2, 0.16, 0.3, (y + 0.45) / 2),
        *[sh.rounded(s * 0.86, y, 0.08, flange, 0.03) for s in (-1, 1)],
        relief=0.9,
    )
    p.detail(sh.rounded(0, y - h - 0.12, 0.4, 0.07, 0.03), like=body, shade=0.8, relief=0.6)
    spots = [(s * 0.76, y + k * flange * 0.72) for s in (-1, 1) for k in (-1, 1)]
    spots += [(s * 0.3, y - h - 0.2) for s in (-1, 1)]
    p.detail(*[sh.rect(a, b, 0.045, 0.04) for a, b in spots], material="metal", relief=0.6)
    steel = p.detail(sh.rect(0, -0.63, 0.045, 0.24), like=coloured(p, "metal", *_STEEL), relief=0.6)
    turns = [sh.rect(0, k, 0.045, 0.012) for k in np.arange(-0.6, -0.42, 0.05)]
    p.detail(*turns, like=steel, shade=0.4, relief=-0.2)
    wide = p.rng.uniform(0.4, 0.62)
    wheel = [sh.rounded(0, -0.78, wide, 0.06, 0.06), sh.rounded(0, -0.87, 0.07, 0.06, 0.02)]
    grip = p.detail(*wheel, like=coloured(p, "metal", *_PAINT), relief=0.9)
    knobs = [sh.rounded(x, -0.78, 0.035, 0.075, 0.03) for x in row(int(p.rng.integers(4, 8)), wide)]
    p.detail(*knobs, like=grip, shade=0.7, relief=0.3)
    if p.rng.random() < 0.6:
        p.print(*sh.glyphs(p.rng, 0, y, 4, h * 0.6))


def _valve_wheel(p: Part) -> None:
    """A valve from above: the hand wheel over a pipe with bolted flanges."""
    h, r = p.rng.uniform(0.18, 0.3), p.rng.uniform(0.52, 0.7)
    flange = p.rng.uniform(0.4, 0.6)
    body = p.body(
        "metal",
        sh.rect(0, 0, 0.85, h),
        sh.circle(0, 0, r * 0.72),
        *[sh.rounded(s * 0.87, 0, 0.075, flange, 0.02) for s in (-1, 1)],
        relief=0.9,
    )
    count = int(p.rng.integers(3, 5))
    bolts = [sh.rect(s * 0.765, k, 0.04, 0.045) for s in (-1, 1) for k in row(count, flange)]
    p.detail(*bolts, like=coloured(p, "metal", *_STEEL), relief=0.7)
    p.detail(*sh.ring_of(sh.ngon(0, 0, 0.05, 6), 6, r * 0.56, 0.5), like=body, shade=0.6)
    arms, turn = int(p.rng.integers(3, 7)), p.rng.uniform(0, 3)
    thick = p.rng.uniform(0.09, 0.15)
    paint = p.detail(
        sector(0, 0, r - thick, r),
        *sh.ring_of(sh.rect(0, 0, (r - thick) / 2, thick * 0.42), arms, (r - thick) / 2, turn),
        like=coloured(p, "metal", *_PAINT),
        relief=1.0,
    )
    p.detail(sh.circle(0, 0, r * 0.24), like=paint, shade=0.85, relief=0.6)
    p.detail(sh.ngon(0, 0, r * 0.15, int(p.pick("4", "6")), turn), material="metal", relief=0.7)
    if p.rng.random() < 0.5:
        dents = sh.ring_of(sh.circle(0, 0, thick * 0.3, 14), arms * 3, r - thick / 2, turn)
        p.detail(*dents, like=paint, shade=0.6, relief=-0.3)


def _valve_ball(p: Part) -> None:
    """A ball valve: hexagon ends around a round house, a long lever on the spindle."""
    h, y = p.rng.uniform(0.24, 0.32), 0.35
    house = p.body(
        "metal", sh.ellipse(0, y, 0.44, h * 1.45), sh.rect(0, y, 0.66, h * 0.85), relief=1
    )
    ends = [sh.rounded(s * 0.74, y, 0.21, h * 1.15, 0.04) for s in (-1, 1)]
    p.detail(*ends, like=house, shade=1.1, relief=0.8)
    faces = [sh.rect(s * 0.74, y + k * h * 0.45, 0.2, 0.014) for s in (-1, 1) for k in (-1, 1)]
    p.detail(*faces, like=house, shade=0.45, relief=-0.3)
    top = y - h * 1.45
    p.detail(taper(0, top - 0.02, 0.12, 0.19, 0.12), like=house, shade=0.85, relief=0.7)
    side, tilt = float(p.rng.choice([-1, 1])), p.rng.uniform(0.0, 0.4)
    x = np.array([-0.18, 0.1, 0.25, 0.5, 0.92]) * side
    lift = np.array([0, 0, 0.4, 0.7, 1.0]) * tilt
    line = np.stack([x, top - 0.16 - lift], axis=1)
    wide = p.rng.uniform(0.1, 0.15)
    p.detail(sh.stroke(line, wide), like=coloured(p, "metal", "silver", "grey"), relief=0.7)
    grip = sh.stroke(line[2:], wide * p.rng.uniform(1.25, 1.6))
    sleeve = p.detail(grip, like=coloured(p, "plastic", *_PAINT), relief=0.8)
    marks = [
        np.interp(t, [0, 1], [0.4, 0.85]) for t in np.linspace(0, 1, int(p.rng.integers(3, 7)))
    ]
    order = np.argsort(line[:, 0])
    ribs = [
        sh.rect(
            side * m, float(np.interp(side * m, line[order, 0], line[order, 1])), 0.018, wide / 2
        )
        for m in marks
    ]
    p.detail(*ribs, like=sleeve, shade=0.5, relief=-0.3)
    p.detail(sh.rect(0, top - 0.21, 0.09, 0.07), like=house, shade=1.2, relief=0.8)
    p.print(*sh.glyphs(p.rng, 0, y + 0.02, 3, h * 0.55))


def _zigzag(w: float, h: float, teeth: int) -> sh.Points:
    """A sheet whose upper and lower edges were cut with teeth."""
    x = np.linspace(-w, w, 2 * teeth + 1)
    y = h - 0.05 * (np.arange(2 * teeth + 1) % 2)
    return np.concatenate([np.stack([x, -y], axis=1), np.stack([x, y], axis=1)[::-1]])


def _pouch_sealed(p: Part) -> None:
    """A flat pouch: toothed edges, embossed seals, a tear notch and a label."""
    w, h = p.rng.uniform(0.55, 0.8), p.rng.uniform(0.85, 0.95)
    foil = p.body(
        p.pick("plastic", "plastic", "paper", "metal"),
        _zigzag(w, h, int(p.rng.integers(9, 20))),
        relief=0.6,
    )
    p.hole(*[sh.ngon(w, s * (h - 0.26), 0.055, 3, np.pi) for s in p.rng.choice([-1, 1], 1)])
    lines = [
        sh.rect(0, s * (h - 0.08 - 0.045 * k), w * 0.97, 0.011) for s in (-1, 1) for k in range(3)
    ]
    p.detail(*lines, like=foil, shade=0.6, relief=-0.5)
    p.detail(sh.ellipse(0, 0, w * 0.85, h * 0.66), like=foil, shade=1.08, relief=0.9)
    lw, lh = w * p.rng.uniform(0.5, 0.78), h * p.rng.uniform(0.2, 0.4)
    y = p.rng.uniform(-0.2, 0.2)
    p.detail(sh.rounded(0, y, lw, lh, p.rng.uniform(0, 0.3)), relief=0.1)
    if p.rng.random() < 0.6:
        p.detail(sh.blob(p.rng, 0, y + lh * 0.35, lh * 0.4), relief=0.05)
    p.print(*[g for k in (-0.5, -0.1) for g in sh.glyphs(p.rng, 0, y + k * lh, 5, lw * 0.2)])


def _pouch_standing(p: Part) -> None:
    """A stand-up pouch: round bottom fold, zip, hang hole or spout, and a window."""
    w, waist = p.rng.uniform(0.55, 0.72), p.rng.uniform(0.82, 0.95)
    spout = p.rng.random() < 0.5
    top = -0.72 if spout else -0.93
    t = np.linspace(-1, 1, 15)
    floor = np.stack([t[::-1] * w, 0.93 - 0.1 * t**2], axis=1)
    left = np.stack(
        [-w + (1 - waist) * np.sin(np.linspace(0, np.pi, 9)), np.linspace(0.8, top, 9)], axis=1
    )
    foil = p.body(
        p.pick("plastic", "plastic", "paper"),
        np.concatenate([floor, left, (left * [-1, 1])[::-1]]),
        relief=0.8,
    )
    fold = np.stack([t * w * 0.97, 0.72 - 0.16 * (1 - t**2)], axis=1)
    p.detail(sh.stroke(fold, 0.03), like=foil, shade=0.55, relief=-0.5)
    p.detail(*[sh.rect(s * (w * 0.95), 0, 0.02, 0.7) for s in (-1, 1)], like=foil, shade=0.7)
    if spout:
        cap = coloured(p, "plastic", *_PAINT, "white")
        r = p.rng.uniform(0.12, 0.18)
        p.detail(sh.rect(0, -0.74, r * 0.7, 0.06), like=foil, shade=1.2, relief=0.6)
        p.detail(sh.rounded(0, -0.85, r, 0.09, 0.03), like=cap, relief=0.8)
        p.detail(
            *[sh.rect(x, -0.85, 0.01, 0.08) for x in row(5, r)], like=cap, shade=0.5, relief=-0.3
        )
    else:
        p.hole(sh.circle(0, top + 0.13, 0.06, 20))
        zips = [sh.rect(0, top + 0.28 + k, w * 0.93, 0.018) for k in (0, 0.06)]
        p.detail(*zips, like=foil, shade=1.4, relief=0.6)
    y = p.rng.uniform(0.1, 0.3)
    shape = (
        sh.ellipse(0, y, w * 0.55, 0.26)
        if p.rng.random() < 0.5
        else sh.rounded(0, y, w * 0.6, 0.2, 0.08)
    )
    p.detail(shape, material=p.pick("glass", "paper", "plastic"), relief=0.1)
    p.print(*sh.glyphs(p.rng, 0, -0.22, int(p.rng.integers(3, 6)), w * 0.24))


def _pouch_drawn(p: Part) -> None:
    """A cloth pouch gathered by a cord: folds, frill, toggles on the two ends."""
    w, neck = p.rng.uniform(0.62, 0.8), p.rng.uniform(0.22, 0.36)
    y = np.linspace(0.9, -0.5, 16)
    x = neck + (w - neck) * np.sin(np.clip((y + 0.5) / 1.4 * 2.2, 0, np.pi)) ** 0.7
    frill = np.array([[-neck * 1.7, -0.86], [-neck * 0.8, -0.8], [-neck * 0.3, -0.9]])
    half = np.concatenate([np.stack([-x, y], axis=1), frill])
    bag = p.body(
        p.pick("fabric", "fabric", "leather"),
        np.concatenate([half, (half * [-1, 1])[::-1]]),
        relief=1.0,
    )
    folds = []
    for k in row(int(p.rng.integers(4, 8)), neck * 0.95):
        long = p.rng.uniform(0.2, 0.55)
        folds.append(
            sh.stroke(
                np.array([[k * 1.4, -0.78], [k, -0.5], [k * 1.9, -0.5 + long]]),
                np.array([0.02, 0.035, 0.008]),
            )
        )
    p.detail(*folds, like=bag, shade=0.55, relief=-0.4)
    cord = coloured(p, "fabric", *_PAINT, "white", "brown")
    p.detail(sh.rounded(0, -0.5, neck + 0.04, 0.045, 0.04), like=cord, relief=0.8)
    tails, beads = [], []
    for s in (-1, 1):
        long, reach = p.rng.uniform(0.25, 0.5), p.rng.uniform(0.15, 0.4)
        t = np.linspace(0, 1, 8)
        tails.append(
            sh.stroke(np.stack([s * (0.06 + reach * t), -0.48 + long * t**1.5], axis=1), 0.045)
        )
        beads.append(sh.circle(s * (0.06 + reach), -0.48 + long, 0.06, 20))
    p.detail(*tails, like=cord, shade=0.9, relief=0.6)
    p.detail(*beads, material=p.pick("wood", "plastic", "metal"), relief=0.9)
    patch = [sh.rounded(0, 0.38, w * 0.42, 0.22, 0.05)]
    p.detail(*patch, material=p.pick("fabric", "leather"), relief=0.3)
    p.print(*sh.glyphs(p.rng, 0, 0.38, 3, w * 0.2))


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "pouch": Variants((_pouch_sealed, _pouch_standing), (_pouch_drawn,)),
    "valve": Variants((_valve_side, _valve_wheel), (_valve_ball,)),
    "wheel": Variants((_wheel_cast, _wheel_tyre), (_wheel_spoked,)),
    **SYRINGES,
}
