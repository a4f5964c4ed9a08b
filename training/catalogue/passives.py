"""Capacitors and resistors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.pieces import coloured, coloured_body, row, taper
from training.catalogue.variants import Variants
from training.layers import Part
from training.palette import COLOURS

__all__ = ["PASSIVES"]

_TIN = ("silver", "grey", "gold", "copper")


def _capacitor_can(p: Part) -> None:
    """An electrolytic can from the side: sleeve with a stripe of minus signs, two legs."""
    w, low = p.rng.uniform(0.32, 0.52), p.rng.uniform(0.25, 0.5)
    top = -0.93
    middle, half = (top + low) / 2, (low - top) / 2
    sleeve = coloured_body(
        p,
        "plastic",
        ("black", "blue", "brown", "purple", "green", "gold"),
        sh.rounded(0, middle, w, half, 0.08),
        relief=1.0,
    )
    p.detail(
        sh.rounded(0, top + 0.07, w * 0.95, 0.06, 0.05), like=coloured(p, "metal", "silver", "grey")
    )
    p.detail(sh.rect(0, low - 0.11, w * 0.97, 0.025), like=sleeve, shade=0.5, relief=-0.5)
    side, pale = (
        float(p.rng.choice([-1, 1])),
        coloured(p, "plastic", "white", "silver", "gold", "beige"),
    )
    p.detail(sh.rect(side * w * 0.62, middle, w * 0.2, half - 0.13), like=pale, relief=0.05)
    signs = [
        sh.rect(side * w * 0.62, y, w * 0.1, 0.025)
        for y in middle + np.array(row(int(p.rng.integers(3, 6)), half - 0.15))
    ]
    p.detail(*signs, like=sleeve, shade=0.7, relief=0)
    spread = w * p.rng.uniform(0.35, 0.6)
    reach = 0.95 - p.rng.uniform(0, 0.2)
    ends = [(-spread, 0.95), (spread, reach)]
    legs = [sh.stroke(np.array([[x, low], [x, (low + y) / 2], [x, y]]), 0.07) for x, y in ends]
    p.detail(*legs, like=coloured(p, "metal", *_TIN), relief=0.5)
    x = -side * w * 0.3
    p.print(
        *[
            g
            for k in (-0.25, 0, 0.25)
            for g in sh.glyphs(p.rng, x, middle + k * half * 2, 3, w * 0.24)
        ]
    )


def _capacitor_top(p: Part) -> None:
    """A surface-mount can from above: a base with two cut corners, a round top with a dark side."""
    half, r = p.rng.uniform(0.76, 0.86), p.rng.uniform(0.66, 0.76)
    cut = p.rng.uniform(0.2, 0.45)
    base = (
        np.array([[-1, -1], [1 - cut, -1], [1, cut - 1], [1, 1 - cut], [1 - cut, 1], [-1, 1]])
        * half
    )
    foot = coloured_body(p, "plastic", ("black", "black", "brown", "grey"), base)
    tabs = [sh.rect(s * (half + 0.07), 0, 0.08, p.rng.uniform(0.1, 0.18)) for s in (-1, 1)]
    p.detail(*tabs, like=coloured(p, "metal", *_TIN), relief=0.3)
    p.detail(sh.circle(0, 0, r + 0.04), like=foot, shade=0.5, relief=-0.3)
    can = p.detail(
        sh.circle(0, 0, r),
        like=coloured(p, "metal", "silver", "silver", "grey", "gold"),
        relief=1.0,
    )
    turn = p.rng.uniform(0.6, 0.95)
    a = np.linspace(np.pi - turn, np.pi + turn, 20)
    dark = np.stack([np.cos(a), np.sin(a)], axis=1) * r * 0.97
    p.detail(
        dark, like=coloured(p, "plastic", "black", "blue", "purple", "red", "brown"), relief=0.05
    )
    if p.rng.random() < 0.4:  # the vent that lets a can burst gently
        vent = [sh.moved(sh.rect(0, 0, r * 0.6, 0.02), r * 0.1, 0, k) for k in (0.8, -0.8)]
        p.detail(*vent, like=can, shade=0.5, relief=-0.5)
    else:
        p.print(*[g for k in (-0.24, 0.02, 0.28) for g in sh.glyphs(p.rng, r * 0.28, k, 3, 0.15)])


def _capacitor_disc(p: Part) -> None:
    """A dipped disc, drop or box on two legs, with its code."""
    kind, w = p.pick("disc", "disc", "drop", "box"), p.rng.uniform(0.4, 0.58)
    low = 2 * w - 0.95
    outline = {
        "disc": sh.ellipse(0, low - w, w, w),
        "drop": sh.ellipse(0, low - 0.9 * w, w * 0.78, w * 1.08),
        "box": sh.rounded(0, low - w, w * 1.1, w * 0.85, 0.14),
    }[kind]
    spread, skirt = w * p.rng.uniform(0.35, 0.6), p.rng.uniform(0.05, 0.14)
    foot = low + (0.0 if kind != "box" else -0.15 * w)
    body = coloured_body(
        p,
        p.pick("ceramic", "plastic"),
        ("orange", "brown", "blue", "red", "beige", "yellow", "green"),
        outline,
        *[taper(s * spread, foot - 0.1 + skirt / 2, 0.14, 0.06, 0.1 + skirt) for s in (-1, 1)],
        relief=1.0,
    )
    start = foot + skirt * 1.2
    kink = p.rng.uniform(-0.12, 0.12)
    legs = []
    for s in (-1, 1):
        x = s * spread
        ends = np.array(
            [
                [x, start],
                [x, start + 0.12],
                [x + s * kink, start + 0.24],
                [x, start + 0.36],
                [x, 0.95],
            ]
        )
        legs.append(sh.stroke(ends, 0.055))
    p.detail(*legs, like=coloured(p, "metal", *_TIN), relief=0.5)
    if p.rng.random() < 0.6:
        cap = outline[outline[:, 1] < low - w * p.rng.uniform(1.45, 1.65)]
        p.detail(cap, like=coloured(p, "plastic", *sorted(COLOURS)), relief=0.1)
    else:
        p.detail(
            sh.ellipse(-w * 0.3, low - w * 1.35, w * 0.16, w * 0.09),
            like=body,
            shade=1.35,
            relief=0,
        )
    p.print(*sh.glyphs(p.rng, 0, low - w, 3, w * 0.36), sh.rect(0, low - w * 0.55, w * 0.35, 0.02))


def _resistor_banded(p: Part) -> None:
    """A body with swollen ends and four to six colour rings, on a wire."""
    w, h = p.rng.uniform(0.45, 0.62), p.rng.uniform(0.17, 0.28)
    x = np.linspace(-1, 1, 33)
    knob = np.where(np.abs(np.abs(x) - 0.8) < 0.2, p.rng.uniform(0, 0.22), 0.0)
    ends = np.sqrt(np.clip((1.005 - np.abs(x)) * 12, 0, 1))
    swell = np.asarray(h * (0.78 + knob) * ends, np.float64)
    line = np.stack([x * w, 0 * x], axis=1)
    coloured_body(
        p,
        p.pick("ceramic", "plastic"),
        ("beige", "beige", "blue", "brown", "cyan", "green"),
        sh.stroke(line, 2 * swell),
        relief=1.0,
    )
    wire = p.rng.uniform(0.05, 0.08)
    wires = [sh.rect(s * (0.95 + w) / 2, 0, (0.96 - w) / 2, wire / 2) for s in (-1, 1)]
    if p.rng.random() < 0.35:  # formed for insertion
        wires = [sh.rect(s * (0.84 + w) / 2, 0, (0.86 - w) / 2, wire / 2) for s in (-1, 1)]
        wires += [sh.rect(s * 0.83, 0.3, wire / 2, 0.3 + wire / 2) for s in (-1, 1)]
    p.detail(*wires, like=coloured(p, "metal", *_TIN), relief=0.6)
    count = int(p.rng.integers(4, 7))
    places = row(count, w * 0.7)
    places[-1] += w * 0.12
    thick = w * 0.7 / count * p.rng.uniform(0.4, 0.6)
    hues = p.rng.choice(
        [
            "black",
            "brown",
            "red",
            "orange",
            "yellow",
            "green",
            "blue",
            "purple",
            "grey",
            "white",
            "gold",
        ],
        count,
    )
    for k, hue in zip(places, hues, strict=True):
        tall = float(np.interp(k / w, x, swell))
        p.detail(sh.rect(k, 0, thick, tall), like=coloured(p, "plastic", str(hue)), relief=0.05)


def _resistor_flat(p: Part) -> None:
    """A surface-mount resistor: dark film with a code, metal caps, at times solder."""
    h = p.rng.uniform(0.38, 0.58)
    coloured_body(
        p, "ceramic", ("white", "white", "beige"), sh.rounded(0, 0, 0.86, h, 0.03), relief=0.7
    )
    caps, tin = p.rng.uniform(0.12, 0.2), coloured(p, "metal", *_TIN)
    p.detail(
        *[sh.rounded(s * (0.9 - caps), 0, caps, h, 0.04) for s in (-1, 1)], like=tin, relief=0.6
    )
    film = coloured(p, "plastic", "black", "black", "blue", "green", "brown")
    w = 0.9 - 2 * caps - p.rng.uniform(0.02, 0.08)
    p.detail(sh.rect(0, 0, w, h * p.rng.uniform(0.86, 0.95)), like=film, relief=0.3)
    ink = coloured(p, "plastic", "white", "white", "silver", "yellow")
    digits = sh.glyphs(p.rng, 0, 0, int(p.rng.integers(3, 5)), w * 0.32)
    p.detail(*digits, like=ink, relief=0, role="print")
    if p.rng.random() < 0.4:
        p.detail(
            sh.rect(p.rng.uniform(-0.3, 0.3) * w, h * 0.6, w * 0.12, h * 0.05),
            like=film,
            shade=0.4,
            relief=-0.5,
        )
    if p.rng.random() < 0.4:
        p.detail(
            *[sh.rect(s * 0.9, 0, 0.05, h * 0.9) for s in (-1, 1)], like=tin, shade=0.8, relief=0.3
        )


def _resistor_wound(p: Part) -> None:
    """A power resistor: wire wound on a ceramic tube, clamps with lugs, a sliding tap."""
    w, h = p.rng.uniform(0.72, 0.86), p.rng.uniform(0.16, 0.26)
    coloured_body(
        p,
        "ceramic",
        ("white", "beige", "grey", "green", "brown"),
        sh.rounded(0, 0, 0.95, h, 0.06),
        relief=1.0,
    )
    p.hole(*[sh.circle(s * 0.88, 0, h * 0.3, 20) for s in (-1, 1)])
    n = int(p.rng.integers(14, 30))
    lean = p.rng.uniform(0.01, 0.03)
    turns = [
        sh.stroke(np.array([[x - lean, -h], [x, 0], [x + lean, h]]), w / n * 1.1)
        for x in row(n, w * 0.82)
    ]
    p.detail(*turns, like=coloured(p, "metal", "copper", "grey", "copper", "silver"), relief=0.6)
    clamp = coloured(p, "metal", "silver", "grey", "gold")
    lug, band = p.rng.uniform(0.08, 0.12), p.rng.uniform(0.045, 0.07)
    tap = p.rng.uniform(-0.4, 0.4) * w
    spots = [(-w * 0.86, 1.0), (w * 0.86, 1.0), (tap, float(p.rng.choice([-1, 1])))]
    p.detail(*[sh.rect(x, 0, band, h + 0.03) for x, _ in spots], like=clamp, relief=0.8)
    long = p.rng.uniform(0.12, 0.2)
    lugs = [sh.rounded(x, s * (h + long), lug, long, 0.05) for x, s in spots]
    p.detail(*lugs, like=clamp, shade=0.9, relief=0.5)
    p.hole(*[sh.circle(x, s * (h + long * 1.3), lug * 0.5, 20) for x, s in spots])
    heads = [sh.ngon(x, s * (h - 0.02), lug * 0.5, 6) for x, s in spots]
    p.detail(*heads, like=clamp, shade=0.6, relief=0.6)


PASSIVES: dict[str, Variants[Callable[[Part], None]]] = {
    "capacitor": Variants((_capacitor_can, _capacitor_top), (_capacitor_disc,)),
    "resistor": Variants((_resistor_banded, _resistor_flat), (_resistor_wound,)),
}
