"""Batteries, cables and connectors; with the fittings of `electric_fittings`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.electric_fittings import FITTINGS
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]


def _battery_cell(p: Part) -> None:
    h = p.rng.uniform(0.3, 0.45)
    p.body(p.pick("metal", "plastic"), sh.rounded(-0.03, 0, 0.85, h, 0.06), relief=1.0)
    p.detail(sh.rect(-0.6, 0, 0.28, h), relief=0.6)
    p.detail(sh.rect(0.88, 0, 0.07, h * 0.35), material="metal", relief=0.6)
    p.print(*sh.glyphs(p.rng, 0.2, 0, 4, 0.16))


def _battery_block(p: Part) -> None:
    """A nine-volt block with its two snap terminals on top."""
    w, band = p.rng.uniform(0.42, 0.62), p.rng.uniform(0.12, 0.3)
    p.body(p.pick("metal", "plastic"), sh.rounded(0, 0.1, w, 0.82, 0.08), relief=0.9)
    p.detail(sh.rect(0, 0.1 + p.rng.uniform(-0.2, 0.5), w, band), relief=0.2)
    s = w * p.rng.uniform(0.45, 0.55)
    r = p.rng.uniform(0.11, 0.16)
    p.detail(
        *[sh.rect(-s, -0.8, r * 0.6, 0.1), sh.rounded(-s, -0.9, r * 0.85, 0.05, 0.04)],
        *[taper(s, -0.83, r * 1.3, r * 0.8, 0.12)],
        material="metal",
        relief=0.6,
    )
    p.detail(sh.rounded(0, -0.69, w * 0.97, 0.05, 0.04), material="metal", relief=0.4)
    minus = sh.rect(s, -0.5, 0.09, 0.025)
    plus = [sh.rect(-s, -0.5, 0.09, 0.025), sh.rect(-s, -0.5, 0.025, 0.09)]
    p.print(minus, *plus, *sh.glyphs(p.rng, 0, -0.2, 4, w * 0.28))


def _battery_car(p: Part) -> None:
    """A starter battery from above: vent caps, two posts, a handle and a label."""
    h = p.rng.uniform(0.5, 0.68)
    box = coloured_body(
        p, "plastic", ("black", "black", "grey", "white", "blue"), sh.rounded(0, 0, 0.95, h, 0.08)
    )
    p.detail(sh.rounded(0, 0, 0.87, h - 0.07, 0.06), like=box, shade=1.35, relief=0.5)
    side = float(p.rng.choice([-1, 1]))
    post = side * (h - 0.22)
    collars = [sh.circle(x, post, 0.17) for x in (-0.68, 0.68)]
    p.detail(collars[0], like=coloured(p, "plastic", "red", "red", "orange"), relief=0.3)
    p.detail(collars[1], like=coloured(p, "plastic", "blue", "black", "green"), relief=0.3)
    posts = [sh.circle(x, post, 0.1) for x in (-0.68, 0.68)]
    p.detail(*posts, like=coloured(p, "metal", "silver", "grey"), relief=1.0)
    caps = row(int(p.rng.integers(3, 7)), 0.8)
    y = -side * 0.06
    plugs = p.detail(*[sh.circle(x, y, 0.1) for x in caps], relief=0.7)
    turn = p.rng.uniform(0, 3)
    slots = [sh.moved(sh.rect(x, y, 0.065, 0.018), 0, 0, turn) for x in caps]
    p.detail(*slots, like=plugs, shade=0.4, relief=-0.2)
    p.detail(sh.rounded(0, -side * (h - 0.17), 0.6, 0.09, 0.03), material="paper", relief=0.1)
    p.print(*sh.glyphs(p.rng, 0, -side * (h - 0.17), 7, 0.1))


def _cable_section(p: Part) -> None:
    p.body(p.pick("rubber", "plastic"), sh.circle(0, 0, 0.93))
    cores = sh.ring_of(sh.circle(0, 0, 0.36), 3, 0.46, p.rng.uniform(0, 6))
    for core in cores:
        p.detail(core)
    wire = [
        sh.circle(x, y, 0.06, 12)
        for x in np.arange(-0.18, 0.2, 0.12)
        for y in np.arange(-0.18, 0.2, 0.12)
    ]
    p.detail(*[w + c.mean(axis=0) for c in cores for w in wire], material="metal", relief=0.6)


def _cable_lead(p: Part) -> None:
    """A winding lead with a plug at either end."""
    x = np.linspace(-0.62, 0.62, 40)
    y = p.rng.uniform(0.2, 0.5) * np.sin(x * p.rng.uniform(2.5, 7.5) + p.rng.uniform(0, 6))
    bend = np.interp(np.abs(x), [0.4, 0.62], [1.0, 0.0]) ** 2
    ends = p.rng.uniform(-0.3, 0.3, 2)
    y = y * bend + np.interp(x, [-0.62, 0.62], ends) * (1 - bend)
    line, width = np.stack([x, y], axis=1), p.rng.uniform(0.09, 0.2)
    sleeve = p.body(p.pick("rubber", "plastic"), sh.stroke(line, width), relief=1.0)
    h = width * p.rng.uniform(0.8, 1.2)
    boots = [sh.rounded(s * 0.68, ends[i], 0.12, h, 0.05) for i, s in ((0, -1), (1, 1))]
    boot = p.detail(*boots, like=sleeve if p.rng.random() < 0.5 else None, shade=0.8, relief=0.8)
    ribs = [
        sh.rect(s * (0.62 + 0.045 * k), ends[i], 0.012, h)
        for i, s in ((0, -1), (1, 1))
        for k in range(3)
    ]
    p.detail(*ribs, like=boot, shade=0.5, relief=-0.2)
    tips = [sh.rect(s * 0.87, ends[i], 0.085, h * 0.7) for i, s in ((0, -1), (1, 1))]
    p.detail(*tips, material="metal", relief=0.6)
    if p.rng.random() < 0.6:
        ties = [
            sh.stroke(line[k : k + 3], width * 1.35)
            for k in p.rng.choice([8, 14, 20, 26, 30], 2, False)
        ]
        p.detail(*ties, relief=0.4)


def _cable_coil(p: Part) -> None:
    """A bundle of turns held by ties, with two loose ends."""
    inner, turns = p.rng.uniform(0.38, 0.55), int(p.rng.integers(3, 7))
    step = (0.84 - inner) / turns
    tails = [
        sh.stroke(
            np.array([[0.1, s * 0.7], [0.4, s * 0.82], [0.68, s * 0.86], [0.95, s * 0.9]]),
            step * 0.8,
        )
        for s in ((-1, 1) if p.rng.random() < 0.5 else (1,))
    ]
    p.body(p.pick("rubber", "plastic", "metal"), sh.circle(0, 0, 0.84), *tails, relief=0.8)
    sleeve = p.layers[0].texture
    p.hole(sh.circle(0, 0, inner))
    gaps = [
        sector(0, 0, inner + step * k - 0.012, inner + step * k + 0.012) for k in range(1, turns)
    ]
    p.detail(*gaps, like=sleeve, shade=0.35, relief=-0.6)
    tie = sh.rounded(0, 0, (0.84 - inner) / 2 + 0.04, p.rng.uniform(0.03, 0.08), 0.02)
    ties = sh.ring_of(tie, int(p.rng.integers(2, 5)), (0.84 + inner) / 2, p.rng.uniform(0.5, 2))
    p.detail(*ties, relief=0.5)


def _cable_stripped(p: Part) -> None:
    """The end of a cable: coloured cores fan out of the sheath and end in bare copper."""
    count, h = int(p.rng.integers(2, 6)), p.rng.uniform(0.2, 0.34)
    cut = p.rng.uniform(-0.35, -0.1)
    sheath = p.body(
        p.pick("rubber", "plastic"),
        sh.rounded((cut - 0.96) / 2, 0, (cut + 0.96) / 2, h, 0.04),
        relief=1.0,
    )
    pitch, thick = 2 * h / count, min(1.5 * h / count, 0.2)
    fan = p.rng.uniform(1.5, 0.8 / h) if h < 0.5 else 1.5
    t = np.linspace(0, 1, 14)
    lines = []
    for i in range(count):
        y0 = (i - (count - 1) / 2) * pitch
        ease = t * t * (3 - 2 * t)
        end = p.rng.uniform(0.82, 0.95)
        lines.append(np.stack([cut + (end - cut) * t, y0 * (1 + (fan - 1) * ease)], axis=1))
    p.detail(
        *[sh.stroke(k[9:], thick * 0.55) for k in lines],
        like=coloured(p, "metal", "copper", "gold", "silver"),
    )
    hues = [
        str(c)
        for c in p.rng.permutation(
            ["brown", "blue", "green", "yellow", "black", "red", "white", "grey"]
        )
    ]
    for line, hue in zip(lines, hues, strict=False):
        p.detail(sh.stroke(line[:10], thick), like=coloured(p, "plastic", hue), relief=0.8)
    p.detail(sh.rect(cut - 0.02, 0, 0.03, h), like=sheath, shade=0.6, relief=0.2)
    p.print(*sh.glyphs(p.rng, (cut - 0.96) / 2, 0, 4, (cut + 0.96) * 0.14))


def _connector_block(p: Part) -> None:
    rows, columns = int(p.rng.integers(1, 4)), int(p.rng.integers(4, 9))
    h = 0.2 + 0.16 * rows
    body = p.body("plastic", sh.rounded(0, 0, 0.95, h, 0.08))
    p.detail(sh.rounded(0, 0, 0.85, h - 0.1, 0.05), like=body, shade=0.6, relief=-0.5)
    step = 1.5 / columns
    pins = [
        sh.rect(-0.75 + step * (i + 0.5), 0.28 * (j - (rows - 1) / 2), step * 0.28, 0.08)
        for i in range(columns)
        for j in range(rows)
    ]
    p.detail(*pins, material="metal", relief=0.6)


def _connector_d(p: Part) -> None:
    """Two rows of round pins in a D-shaped shell, with a screw on either side."""
    h, count = p.rng.uniform(0.36, 0.55), int(p.rng.integers(4, 9))
    plate = p.body(p.pick("metal", "metal", "plastic"), sh.rounded(0, 0, 0.95, h, 0.1), relief=0.4)
    top, low, tall = 0.66, p.rng.uniform(0.54, 0.6), h * 0.72
    p.detail(taper(0, 0, top, low, tall), like=plate, shade=1.15, relief=0.9)
    p.detail(taper(0, 0, top - 0.06, low - 0.06, tall - 0.05), relief=-0.7)
    r, y = min(0.07, 0.36 / count), tall * 0.38
    step = 1.04 / count
    pins = [sh.circle(step * (i - (count - 1) / 2), -y, r, 16) for i in range(count)]
    pins += [sh.circle(step * (i - count / 2 + 1), y, r, 16) for i in range(count - 1)]
    if p.rng.random() < 0.7:
        p.detail(*pins, like=coloured(p, "metal", "gold", "silver"), relief=0.8)
    else:
        p.detail(*pins, like=coloured(p, "rubber", "black"), relief=-0.8)
    p.detail(*[sh.ngon(x, 0, 0.12, 6, 0.5) for x in (-0.8, 0.8)], material="metal", relief=0.8)
    p.hole(*[sh.circle(x, 0, 0.055, 16) for x in (-0.8, 0.8)])


def _connector_port(p: Part) -> None:
    """One or two shielded ports: a tongue with contacts, springs, dimples and solder legs."""
    ports = int(p.pick("1", "1", "2"))
    w, h = p.rng.uniform(0.72, 0.78), p.rng.uniform(0.5, 0.6) if ports == 1 else 0.78
    silver = ("silver", "silver", "grey", "gold")
    ears = [sh.rounded(s * w, -0.1, 0.18, p.rng.uniform(0.16, 0.24), 0.1) for s in (-1, 1)]
    outline = sh.rounded(0, -0.1, w, h, p.rng.uniform(0.05, 0.14))
    shell = coloured_body(p, "metal", silver, outline, *ears, relief=0.7)
    p.hole(*[sh.circle(s * (w + 0.08), -0.1, 0.06, 20) for s in (-1, 1)])
    below = h - 0.1
    legs = [sh.rect(x, below + 0.09, 0.03, 0.09) for x in row(int(p.rng.integers(4, 8)), w * 0.6)]
    legs += [sh.rounded(s * (w - 0.09), below + 0.1, 0.06, 0.13, 0.04) for s in (-1, 1)]
    p.detail(*legs, like=coloured(p, "metal", "gold", "silver"), relief=0.5)
    deep = h * 0.62 if ports == 1 else h * 0.35
    middles = (-0.2,) if ports == 1 else (-0.1 - h * 0.52, -0.1 + h * 0.32)
    cavity = coloured(p, "plastic", "black", "black", "grey")
    frames = [sh.rounded(0, y, w - 0.1, deep, 0.09) for y in middles]
    p.detail(*frames, like=cavity, shade=0.8, relief=-0.9)
    count, thick = int(p.rng.integers(4, 8)), deep * p.rng.uniform(0.3, 0.38)
    lift = -deep * p.rng.uniform(0.2, 0.4)
    tongue = coloured(p, "plastic", "blue", "white", "cyan", "green", "purple", "red")
    bars = [sh.rounded(0, y + lift, w - 0.2, thick, 0.04) for y in middles]
    p.detail(*bars, like=tongue, relief=0.9)
    wide = (w - 0.26) / count * p.rng.uniform(0.45, 0.6)
    contacts = [
        sh.rounded(x, y + lift, wide, thick * 0.66, 0.02)
        for y in middles
        for x in row(count, w - 0.26)
    ]
    p.detail(*contacts, like=coloured(p, "metal", "gold", "gold", "copper"), relief=0.5)
    reach = w * p.rng.uniform(0.35, 0.5)
    springs = [
        taper(s * reach, y + deep * 0.75, 0.06, 0.11, deep * 0.25) for y in middles for s in (-1, 1)
    ]
    dimples = [sh.circle(s * (w - 0.05), y, 0.03, 16) for y in middles for s in (-1, 1)]
    p.detail(*springs, *dimples, like=shell, shade=1.2, relief=0.7)
    p.print(*sh.glyphs(p.rng, 0, (middles[-1] + deep + below) / 2, 5, 0.08))


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "battery": Variants((_battery_cell, _battery_block), (_battery_car,)),
    "cable": Variants((_cable_section, _cable_lead, _cable_coil), (_cable_stripped,)),
    "connector": Variants((_connector_block, _connector_d), (_connector_port,)),
    **FITTINGS,
}
