"""Boards and what is soldered onto them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.passives import PASSIVES
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_BOARD = ("green", "green", "blue", "black", "red", "white", "purple")
_TIN = ("silver", "grey", "gold")


def _board_traces(p: Part) -> None:
    body = p.body("plastic", sh.rounded(0, 0, 0.95, p.rng.uniform(0.65, 0.95), 0.05))
    traces = []
    for _ in range(int(p.rng.integers(4, 10))):
        x, y = p.rng.uniform(-0.8, 0.8), p.rng.uniform(-0.6, 0.6)
        dx, dy = p.rng.uniform(-0.5, 0.5, 2)
        line = np.array([[x, y], [x + dx, y], [x + dx * 1.2, y + dy]])
        traces.append(sh.stroke(np.clip(line, -0.88, 0.88) * [1, 0.65], 0.035))
    p.detail(*traces, like=body, shade=1.5, relief=0.05)
    spots = [(x, y) for x in (-0.6, -0.2, 0.2, 0.6) for y in (-0.4, 0.0, 0.4)]
    p.rng.shuffle(spots)
    chips, tins = spots[:3], spots[3:9]
    p.detail(*[sh.rect(x, y, 0.15, 0.12) for x, y in chips], material="rubber", relief=0.8)
    p.detail(*[sh.rounded(x, y, 0.1, 0.06, 0.03) for x, y in tins[:3]], relief=0.6)
    p.detail(*[sh.circle(x, y, 0.06) for x, y in tins[3:]], material="metal", relief=0.5)


def _board_controller(p: Part) -> None:
    """A controller board: mounting holes, a large chip, a row of pins, a port, small parts."""
    h, side = p.rng.uniform(0.5, 0.72), float(p.rng.choice([-1, 1]))
    coloured_body(p, "plastic", _BOARD, sh.rounded(0, 0, 0.93, h, p.rng.uniform(0.02, 0.14)))
    p.hole(*[sh.circle(x, y * (h - 0.1), 0.055, 20) for x in (-0.83, 0.83) for y in (-1, 1)])
    pins = row(int(p.rng.integers(7, 13)), 0.68)
    edges = (-1, 1) if p.rng.random() < 0.6 else (-1,)
    pads = [sh.rect(x, s * (h - 0.1), 0.032, 0.045) for x in pins for s in edges]
    p.detail(*pads, like=coloured(p, "metal", "gold", "gold", "silver"), relief=0.5)
    x, y, half = p.rng.uniform(-0.25, 0.25), p.rng.uniform(-0.1, 0.1), p.rng.uniform(0.17, 0.24)
    places = row(int(p.rng.integers(4, 7)), half * 0.9)
    legs = [sh.rect(x + k, y, 0.016, half + 0.04) for k in places]
    legs += [sh.rect(x, y + k, half + 0.04, 0.016) for k in places]
    metal = p.detail(*legs, like=coloured(p, "metal", *_TIN), relief=0.2)
    port = sh.rounded(side * 0.86, p.rng.uniform(-0.1, 0.1), 0.13, p.rng.uniform(0.13, 0.22), 0.03)
    p.detail(port, like=metal, shade=1.1, relief=0.8)
    black = p.detail(sh.rect(x, y, half, half), like=coloured(p, "plastic", "black"), relief=0.7)
    spots = [(a, b) for a in (-0.68, -0.5, 0.5, 0.68) for b in (-0.24, -0.08, 0.08, 0.24)]
    spots = [s for s in spots if abs(s[0] - side * 0.86) > 0.28]
    p.rng.shuffle(spots)
    few = int(p.rng.integers(3, len(spots) - 2))
    tan = coloured(p, "plastic", "beige", "brown", "white", "grey")
    p.detail(*[sh.rect(a, b, 0.06, 0.035) for a, b in spots[:few]], like=tan, relief=0.5)
    p.detail(*[sh.rect(a, b, 0.05, 0.04) for a, b in spots[few:]], like=black, relief=0.5)
    p.print(
        *sh.glyphs(p.rng, x, y, 3, half * 0.4), *sh.glyphs(p.rng, -side * 0.4, h - 0.24, 4, 0.07)
    )


def _board_module(p: Part) -> None:
    """A long memory board: gold fingers with a key notch, a row of chips, a paper label."""
    h, count = p.rng.uniform(0.32, 0.5), int(p.rng.integers(4, 8))
    coloured_body(p, "plastic", _BOARD, sh.rounded(0, 0, 0.96, h, 0.02))
    notch = p.rng.uniform(-0.3, 0.3)
    p.hole(
        sh.rounded(notch, h, 0.035, 0.12, 0.03),
        *[sh.circle(s * 0.96, p.rng.uniform(-0.02, 0.06), 0.05, 20) for s in (-1, 1)],
    )
    fingers = [k for k in row(int(p.rng.integers(16, 23)), 0.9) if abs(k - notch) > 0.07]
    gold = [sh.rect(k, h - 0.06, 0.024, 0.05) for k in fingers]
    p.detail(*gold, like=coloured(p, "metal", "gold", "gold", "copper"), relief=0.2)
    places, half = row(count, 0.82), 0.82 / count * p.rng.uniform(0.66, 0.82)
    tall = p.rng.uniform(0.5, 0.66) * h
    y = -h + tall + 0.05
    chips = [sh.rect(k, y, half, tall) for k in places]
    p.detail(*chips, like=coloured(p, "plastic", "black", "black", "grey"), relief=0.9)
    dots = [sh.circle(k - half * 0.65, y - tall * 0.72, 0.018, 10) for k in places]
    p.detail(*dots, like=coloured(p, "plastic", "grey", "white"), relief=-0.2)
    low = (y + tall + h - 0.1) / 2
    caps = [sh.rect(k, low, 0.025, 0.016) for k in row(count, 0.76) if abs(k - notch) > 0.08]
    p.detail(*caps, like=coloured(p, "plastic", "beige", "brown"), relief=0.4)
    start = int(p.rng.integers(0, count - 2))
    x, wide = (places[start] + places[start + 2]) / 2, half * 2.2
    p.detail(sh.rect(x, y, wide, tall * 0.62), like=coloured(p, "paper", "white"), relief=0.1)
    lines = [g for s in (-0.25, 0.25) for g in sh.glyphs(p.rng, x, y + s * tall, 5, wide * 0.2)]
    p.detail(*lines, like=coloured(p, "plastic", "black"), relief=0, role="print")


def _transistor_flat(p: Part) -> None:
    legs = int(p.rng.integers(3, 8))
    xs = np.linspace(-0.45, 0.45, legs)
    p.body("metal", *[sh.rect(x, 0.55, 0.05, 0.4) for x in xs], relief=0.4)
    case = p.detail(sh.rounded(0, -0.3, 0.62, 0.5, 0.08), material="rubber", relief=0.8)
    p.detail(sh.circle(-0.45, -0.65, 0.06), like=case, shade=0.4)
    p.print(*sh.glyphs(p.rng, 0, -0.3, 4, 0.13))


def _transistor_diamond(p: Part) -> None:
    """A power can from above: a diamond flange with two mounting holes, two pins at its side."""
    r, ear = p.rng.uniform(0.5, 0.6), p.rng.uniform(0.14, 0.2)
    a = np.linspace(-0.9, 0.9, 14)
    arc = np.stack([np.sin(a), -np.cos(a)], axis=1) * (r + 0.06)
    t = np.linspace(-1.1, 1.1, 10)
    tip = np.stack([np.cos(t), np.sin(t)], axis=1) * ear + [0.95 - ear, 0]
    outline = np.concatenate([arc, tip, -arc, -tip])
    flange = p.body("metal", outline, relief=0.4)
    p.hole(*[sh.circle(s * (0.93 - ear), 0, ear * 0.55, 20) for s in (-1, 1)])
    p.detail(sh.circle(0, 0, r), like=flange, shade=0.8, relief=0.5)
    p.detail(sh.circle(0, 0, r * 0.86), like=flange, shade=1.15, relief=0.9)
    glass = coloured(p, "glass", "green", "black", "brown")
    beads = [sh.circle(0, s * r * 0.5, r * 0.16, 20) for s in (-1, 1)]
    if p.rng.random() < 0.5:  # from below, where the pins come out of glass beads
        p.detail(*beads, like=glass, relief=0.3)
        p.detail(*[sh.circle(0, s * r * 0.5, r * 0.08, 14) for s in (-1, 1)], like=flange, relief=1)
    else:
        p.print(*sh.glyphs(p.rng, 0, -0.1, 3, 0.15), *sh.glyphs(p.rng, 0, 0.18, 4, 0.1))


def _transistor_can(p: Part) -> None:
    """A small can from the side: brim, tab, and three or four long legs that spread."""
    w, top = p.rng.uniform(0.3, 0.46), p.rng.uniform(-0.95, -0.85)
    low = p.rng.uniform(-0.25, 0.0)
    middle, half = (top + low) / 2, (low - top) / 2
    if p.rng.random() < 0.6:
        can = p.body("metal", sh.rounded(0, middle, w, half, 0.1), relief=1.0)
    else:
        can = coloured_body(
            p, "plastic", ("black", "black", "grey"), sh.rounded(0, middle, w, half, w * 0.6)
        )
    brim = [sh.rounded(0, low, w * 1.22, 0.055, 0.03), sh.rect(w * 1.32, low, w * 0.2, 0.04)]
    p.detail(*brim, like=can, shade=0.85, relief=0.6)
    count, spread = int(p.pick("3", "3", "4")), p.rng.uniform(1.0, 1.7)
    bend = p.rng.uniform(0.15, 0.3)
    legs = []
    for x in row(count, w * 0.9):
        ends = np.array(
            [[x, low + 0.04], [x, low + bend], [x * spread, low + bend + 0.2], [x * spread, 0.95]]
        )
        legs.append(sh.stroke(ends, p.rng.uniform(0.055, 0.075)))
    p.detail(*legs, like=coloured(p, "metal", *_TIN), relief=0.6)
    p.detail(
        sh.rounded(-w * 0.62, middle, w * 0.08, half * 0.7, 0.03), like=can, shade=1.35, relief=0
    )
    y = middle + p.rng.uniform(-0.05, 0.1)
    p.print(
        *sh.glyphs(p.rng, 0.04, y - 0.09, 3, w * 0.34),
        *sh.glyphs(p.rng, 0.04, y + 0.14, 4, w * 0.22),
    )


def _chip_two_rows(p: Part) -> None:
    """A dual in-line package: notch, mark of the first pin, legs on both long sides."""
    count, h = int(p.rng.integers(4, 13)), p.rng.uniform(0.3, 0.46)
    w = min(0.94, 0.2 + 0.1 * count)
    case = coloured_body(
        p,
        "plastic",
        ("black", "black", "black", "grey", "brown", "purple"),
        sh.rounded(0, 0, w, h, 0.04),
    )
    places, leg = row(count, w - 0.04), p.rng.uniform(0.1, 0.2)
    thin = w / count * p.rng.uniform(0.28, 0.42)
    legs = [
        taper(x, s * (h + leg), thin if s > 0 else thin * 0.6, thin * 0.6 if s > 0 else thin, leg)
        for x in places
        for s in (-1, 1)
    ]
    p.detail(*legs, like=coloured(p, "metal", *_TIN), relief=0.4)
    p.detail(sector(-w, 0, 0, h * 0.3, start=-1.57, end=1.57), like=case, shade=0.4, relief=-0.6)
    p.detail(sh.circle(-w + 0.13, h - 0.12, 0.05, 20), like=case, shade=1.8, relief=-0.3)
    size = min(0.12, w / 6)
    p.print(*sh.glyphs(p.rng, 0.08, -0.1, 5, size), *sh.glyphs(p.rng, 0.08, 0.14, 6, size * 0.7))


def _chip_four_sides(p: Part) -> None:
    """A square flat package with fine legs around and, at times, a bare metal pad."""
    half, count = p.rng.uniform(0.6, 0.76), int(p.rng.integers(5, 11))
    cut = p.rng.uniform(0.02, 0.12)
    corners = [
        (1, cut),
        (cut, 1),
        (-cut, 1),
        (-1, cut),
        (-1, -cut),
        (-cut, -1),
        (cut, -1),
        (1, -cut),
    ]
    square = np.array(
        [
            [
                np.sign(x) * (1 - cut) if abs(x) == cut else x,
                np.sign(y) * (1 - cut) if abs(y) == cut else y,
            ]
            for x, y in corners
        ]
    )
    case = coloured_body(
        p, "plastic", ("black", "black", "grey", "blue"), square * half, relief=0.8
    )
    leg, thin = (0.95 - half) / 2, half / count * p.rng.uniform(0.4, 0.6)
    legs = [
        sh.rect(x, s * (half + leg), thin, leg) for x in row(count, half * 0.92) for s in (-1, 1)
    ]
    legs += [shape[:, ::-1] for shape in legs]
    p.detail(*legs, like=coloured(p, "metal", *_TIN), relief=0.4)
    p.detail(sh.circle(-half * 0.76, half * 0.76, 0.07, 20), like=case, shade=1.7, relief=-0.3)
    if p.rng.random() < 0.4:
        pad = half * p.rng.uniform(0.35, 0.5)
        p.detail(sh.rect(0, 0, pad, pad), like=coloured(p, "metal", *_TIN), relief=0.2)
    else:
        y = p.rng.uniform(-0.1, 0.1)
        p.print(
            *[
                g
                for k in (-0.18, 0.18)
                for g in sh.glyphs(p.rng, 0, y + k, int(p.rng.integers(3, 5)), 0.15)
            ]
        )


def _chip_open(p: Part) -> None:
    """An open ceramic package: the die in its well, bond wires, and gold pads around."""
    coloured_body(
        p, "ceramic", ("white", "beige", "grey", "blue"), sh.rounded(0, 0, 0.93, 0.93, 0.04)
    )
    base, n = p.layers[0].texture, int(p.rng.integers(4, 8))
    well, die = p.rng.uniform(0.54, 0.64), p.rng.uniform(0.24, 0.34)
    gold = coloured(p, "metal", "gold", "gold", "silver")
    rim = [sh.rect(x, s * 0.86, 0.6 / n * 0.9, 0.06) for x in row(n, 0.78) for s in (-1, 1)]
    p.detail(*rim, *[shape[:, ::-1] for shape in rim], like=gold, relief=0.3)
    p.detail(sh.rounded(0, 0, well + 0.1, well + 0.1, 0.05), like=gold, shade=0.8, relief=0.2)
    p.detail(sh.rounded(0, 0, well, well, 0.03), like=base, shade=0.55, relief=-0.9)
    p.detail(
        sh.rect(0, 0, die, die),
        like=coloured(p, "glass", "black", "green", "brown", "cyan"),
        relief=0.4,
    )
    blocks = [
        sh.rect(x * die, y * die, die * p.rng.uniform(0.15, 0.3), die * p.rng.uniform(0.15, 0.3))
        for x in (-0.4, 0.4)
        for y in (-0.4, 0.4)
    ]
    p.detail(*blocks, like=coloured(p, "metal", "copper", "silver"), shade=0.7, relief=0.1)
    ends = list(zip(row(n, die * 0.95), row(n, well * 0.85), strict=True))
    wires = [
        sh.stroke(np.array([[a, s * die * 0.9], [b, s * well * 0.93]]), 0.026)
        for a, b in ends
        for s in (-1, 1)
    ]
    p.detail(*wires, *[wire[:, ::-1] for wire in wires], like=gold, shade=1.2, relief=0.5)
    p.detail(np.array([[-0.93, 0.72], [-0.72, 0.93], [-0.93, 0.93]]), like=gold, relief=0.1)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "board": Variants((_board_traces, _board_controller), (_board_module,)),
    "microchip": Variants((_chip_two_rows, _chip_four_sides), (_chip_open,)),
    "transistor": Variants((_transistor_flat, _transistor_diamond), (_transistor_can,)),
    **PASSIVES,
}
