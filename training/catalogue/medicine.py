"""Capsules and pills."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import arc, clipped, profile, scattered, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, sector
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_SHELLS = ("red", "blue", "green", "yellow", "orange", "white", "pink", "purple", "brown", "cyan")


def _capsule_halves(p: Part) -> None:
    """Lying: two halves, one printed."""
    h = p.rng.uniform(0.28, 0.4)
    p.body("plastic", sh.rounded(0, 0, 0.93, h, h), relief=1.0)
    left = sh.rounded(-0.45, 0, 0.48, h, h)
    left[:, 0] = np.minimum(left[:, 0], 0)
    p.detail(left, relief=1.0)
    if p.rng.random() < 0.6:
        p.print(*sh.glyphs(p.rng, 0.4, 0, 3, 0.1))


def _capsule_soft(p: Part) -> None:
    """A soft gelatine capsule: oval or drop, its welded seam, clear filling, bubbles, a glint."""
    ry, drop = p.rng.uniform(0.38, 0.62), p.rng.random() < 0.3
    outline = sh.ellipse(0, 0, 0.93, ry, 60)
    if drop:
        outline[:, 1] *= np.interp(outline[:, 0], [-0.93, 0.1, 0.93], [1.0, 0.95, 0.3])
    gel = coloured_body(
        p, "glass", ("orange", "yellow", "brown", "red", "green", "gold"), outline, relief=1.0
    )
    clear, shift = p.rng.uniform(0.72, 0.84), p.rng.uniform(-0.04, 0.04)
    p.detail(
        shifted(outline * clear, shift, 0.05), like=gel, shade=p.rng.uniform(1.3, 1.8), relief=0.2
    )
    x = np.linspace(-0.9, 0.75 if drop else 0.9, 24)
    seam = np.stack([x, p.rng.uniform(-0.1, 0.1) * np.cos(1.6 * x)], axis=1)
    p.detail(sh.stroke(seam, 0.035), like=gel, shade=0.55, relief=0.7)
    bubbles = scattered(p.rng, int(p.rng.integers(2, 7)), 0.55, ry * 0.55, 0.16)
    p.detail(
        *[sh.circle(a, b, p.rng.uniform(0.03, 0.09), 18) for a, b in bubbles],
        like=gel,
        shade=0.6,
        relief=0.4,
    )
    pale = coloured(p, "glass", "white")
    p.detail(
        sh.stroke(arc(0, 0, 0.7, 3.6, 4.5) * [0.95, ry * 0.9], p.rng.uniform(0.05, 0.1)),
        like=pale,
        relief=0.0,
    )
    if p.rng.random() < 0.5:
        p.print(*sh.glyphs(p.rng, -0.1, ry * 0.35, int(p.rng.integers(2, 5)), 0.12))


def _capsule_pellets(p: Part) -> None:
    """Upright: a wider cap locked over a clear body that shows its pellets."""
    w, joint = p.rng.uniform(0.28, 0.38), p.rng.uniform(-0.2, 0.12)
    turn = p.rng.uniform(-0.8, 0.8)
    lower = profile([(joint - 0.1, w * 0.93), (0.55, w * 0.92), (0.72, w * 0.86)])
    tip = clipped(sh.ellipse(0, 0.6, w * 0.92, 0.35), 1, 0.6, 1.0)
    clear = coloured_body(
        p,
        "plastic",
        ("white", "beige", "silver", "cyan", "yellow"),
        spun(lower, turn),
        spun(tip, turn),
        relief=1.0,
    )
    grains = scattered(p.rng, int(p.rng.integers(30, 55)), w * 0.8, (0.8 - joint) / 2, 0.06)
    middle, size = (joint + 0.88) / 2, p.rng.uniform(0.035, 0.06)
    pellets = [spun(sh.circle(x, y + middle, size, 12), turn) for x, y in grains]
    half = len(pellets) // 2
    p.detail(*pellets[:half], like=coloured(p, "plastic", *_SHELLS), relief=0.5)
    p.detail(*pellets[half:], like=coloured(p, "plastic", *_SHELLS), relief=0.5)
    dome = clipped(sh.ellipse(0, -0.58, w, 0.37), 1, -1.0, -0.58)
    cap = p.detail(
        spun(sh.rect(0, (joint - 0.58) / 2, w, (joint + 0.6) / 2), turn),
        spun(dome, turn),
        like=coloured(p, "plastic", *_SHELLS),
        relief=1.0,
    )
    grooves = [sh.rect(0, joint - k, w, 0.015) for k in (0.05, p.rng.uniform(0.14, 0.22))]
    p.detail(*[spun(g, turn) for g in grooves], like=cap, shade=0.6, relief=-0.5)
    dimples = [sh.ellipse(s * w * 0.5, joint - 0.3, 0.05, 0.03, 16) for s in (-1, 1)]
    p.detail(*[spun(d, turn) for d in dimples], like=cap, shade=0.7, relief=-0.6)
    p.detail(
        spun(sh.rounded(-w * 0.5, -0.4, 0.025, 0.2, 0.02), turn), like=cap, shade=1.7, relief=0
    )
    p.print(*[spun(g, turn) for g in sh.glyphs(p.rng, 0, -0.45, 3, w * 0.28)])
    p.detail(
        spun(sh.rounded(w * 0.55, 0.45, 0.025, 0.25, 0.02), turn), like=clear, shade=1.5, relief=0
    )


def _pill_oval(p: Part) -> None:
    """From above: round or oval, scored or printed."""
    ry = p.rng.uniform(0.5, 0.9)
    body = p.body(p.pick("ceramic", "plastic"), sh.ellipse(0, 0, 0.9, ry), relief=1.0)
    if p.rng.random() < 0.6:
        p.detail(sh.rect(0, 0, 0.03, ry * 0.95), like=body, shade=0.6, relief=-0.4)
    else:
        p.print(*sh.glyphs(p.rng, 0, 0, 3, 0.16))


def _pill_bevelled(p: Part) -> None:
    """A pressed tablet: bar, shield or many corners, a bevel, notches and sunken characters."""
    long = p.rng.random() < 0.55
    h = p.rng.uniform(0.3, 0.45)
    corners = int(p.rng.integers(3, 9))
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    # corners of a pressed tablet are round
    wave = 0.86 + 0.3 / corners**1.3 * np.cos(corners * angle)
    outline = (
        sh.rounded(0, 0, 0.94, h, h * p.rng.uniform(0.5, 1.0))
        if long
        else wave[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    )
    body = p.body(p.pick("ceramic", "plastic", "stone"), outline, relief=0.8)
    face = p.rng.uniform(0.8, 0.9)
    inner = sh.rounded(0, 0, 0.94 - h * (1 - face), h * face, h * 0.6) if long else outline * face
    p.detail(inner, like=body, shade=p.rng.uniform(1.1, 1.25), relief=0.4)
    marks: list[sh.Points] = []
    if long:
        p.detail(sh.rect(0, 0, 0.03, h * 0.9), like=body, shade=0.55, relief=-0.6)
        notch = [sh.ngon(0, s * h, 0.09, 3, np.pi / 2 * -s) for s in (-1, 1)]
        p.detail(*notch, like=body, shade=0.5, relief=-0.5)
        for x in (-0.45, 0.45):
            marks += sh.glyphs(p.rng, x, 0, int(p.rng.integers(1, 4)), h * 0.5)
    else:
        ring = p.rng.uniform(0.45, 0.6)
        p.detail(sector(0, 0, ring, ring + 0.04), like=body, shade=0.6, relief=-0.4)
        marks += sh.glyphs(p.rng, 0, -0.12, int(p.rng.integers(1, 3)), 0.2)
        marks += sh.glyphs(p.rng, 0, 0.24, int(p.rng.integers(2, 4)), 0.12)
    p.detail(*marks, like=body, shade=0.55, relief=-0.5)
    if p.rng.random() < 0.4:
        specks = scattered(p.rng, 40, 0.85 if long else 0.6, h * 0.8 if long else 0.6, 0.05)
        dots = [sh.circle(x, y, 0.018, 8) for x, y in specks]
        p.detail(*dots, like=coloured(p, "plastic", "blue", "green", "orange", "brown"), relief=0.0)


def _pill_standing(p: Part) -> None:
    """Seen aslant: the face as an ellipse with a cross score, the edge below in layers."""
    ry, thick = p.rng.uniform(0.36, 0.6), p.rng.uniform(0.28, 0.5)
    y = -thick / 2
    wall = np.concatenate(
        [
            shifted(arc(0, 0, 1, np.pi, 2 * np.pi) * [0.93, ry], 0, y),
            shifted(arc(0, 0, 1, 0, np.pi) * [0.93, ry], 0, y + thick),
        ]
    )
    body = p.body(p.pick("ceramic", "plastic", "stone"), wall, relief=0.9)
    layers = int(p.rng.integers(1, 4))
    for k in range(layers - 1):
        top, low = (k + 1) / layers * thick, (k + 2) / layers * thick
        front = arc(0, 0, 1, 0, np.pi) * [0.93, ry]
        band = np.concatenate([shifted(front, 0, y + top), shifted(front[::-1], 0, y + low)])
        p.detail(band, like=coloured(p, "ceramic", *_SHELLS), relief=0.2)
    if layers == 1:
        belt = shifted(arc(0, 0, 1, 0.03, np.pi - 0.03) * [0.93, ry], 0, y + thick * 0.5)
        p.detail(sh.stroke(belt, thick * 0.25), like=body, shade=0.7, relief=0.3)
    rim = p.detail(sh.ellipse(0, y, 0.93, ry, 60), like=body, shade=1.1, relief=0.5)
    p.detail(sh.ellipse(0, y, 0.82, ry * 0.87, 60), like=rim, shade=1.1, relief=0.4)
    cross = p.rng.uniform(0, np.pi)
    scores = []
    for a in (cross, cross + np.pi / 2)[: int(p.rng.integers(1, 3))]:
        end = np.array([np.cos(a) * 0.8, np.sin(a) * ry * 0.84])
        scores.append(sh.stroke(shifted(np.stack([-end, end]), 0, y), 0.055))
    p.detail(*scores, like=rim, shade=0.5, relief=-0.6)
    spots = [
        (0.42 * np.cos(cross + b), 0.42 * ry * np.sin(cross + b)) for b in (0.8, 2.36, 3.93, 5.5)
    ]
    marks = [
        shifted(g * [1, ry], u, y + v)
        for u, v in spots[: int(p.rng.integers(1, 5))]
        for g in sh.glyphs(p.rng, 0, 0, 1, 0.22)
    ]
    p.detail(*marks, like=rim, shade=0.55, relief=-0.4)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "capsule": Variants(trained=(_capsule_halves, _capsule_soft), held_out=(_capsule_pellets,)),
    "pill": Variants(trained=(_pill_oval, _pill_bevelled), held_out=(_pill_standing,)),
}
