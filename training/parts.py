"""Part families: each draws the layers of one part program, in canonical coordinates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.electric_parts import ELECTRIC_PARTS
from training.layers import Part

__all__ = ["PARTS"]


def _washer(p: Part) -> None:
    inner = p.rng.uniform(0.3, 0.65)
    p.body(p.pick("metal", "metal", "rubber", "plastic"), sh.circle(0, 0, 0.9))
    p.hole(sh.circle(0, 0, 0.9 * inner))


def _ring(p: Part) -> None:
    inner = p.rng.uniform(0.68, 0.86)
    p.body(p.pick("metal", "rubber", "plastic"), sh.circle(0, 0, 0.9), relief=1.0)
    p.hole(sh.circle(0, 0, 0.9 * inner))


def _gear(p: Part) -> None:
    teeth = int(p.rng.integers(8, 25))
    body = p.body(p.pick("metal", "plastic"), sh.cog(0, 0, 0.92, teeth, p.rng.uniform(0.1, 0.2)))
    if p.rng.random() < 0.6:
        p.detail(sh.circle(0, 0, 0.55), like=body, shade=p.rng.uniform(0.7, 1.25))
    p.hole(sh.circle(0, 0, p.rng.uniform(0.12, 0.25)))
    if p.rng.random() < 0.5:
        p.hole(*sh.ring_of(sh.circle(0, 0, 0.09), int(p.rng.integers(3, 7)), 0.42))


def _nut(p: Part) -> None:
    material, corners = p.pick("metal", "metal", "plastic"), int(p.pick("6", "6", "4"))
    body = p.body(material, sh.ngon(0, 0, 0.95, corners))
    p.detail(sh.circle(0, 0, 0.75), like=body, shade=1.15)
    radius = p.rng.uniform(0.35, 0.55)
    p.hole(sh.circle(0, 0, radius))


def _bolt(p: Part) -> None:
    hexagonal = p.rng.random() < 0.5
    head = sh.ngon(0, 0, 0.9, 6) if hexagonal else sh.circle(0, 0, 0.9)
    body = p.body(p.pick("metal", "metal", "plastic"), head, relief=0.8)
    p.detail(sh.circle(0, 0, 0.7), like=body, shade=1.12)
    w = p.rng.uniform(0.06, 0.12)
    drive = p.pick("slot", "cross", "hex")
    if drive == "hex":
        p.detail(sh.ngon(0, 0, 0.35, 6), like=body, shade=0.3, relief=-0.5)
    else:
        bars = [sh.rect(0, 0, 0.5, w)] + ([sh.rect(0, 0, w, 0.5)] if drive == "cross" else [])
        p.detail(*bars, like=body, shade=0.3, relief=-0.5)


def _screw(p: Part) -> None:
    w, length = p.rng.uniform(0.14, 0.24), 0.95
    head = sh.rounded(-0.78, 0, 0.16, w * p.rng.uniform(1.7, 2.3), 0.08)
    tip = np.array([[-0.7, -w], [length - 0.2, -w], [length, 0], [length - 0.2, w], [-0.7, w]])
    body = p.body("metal", head, tip, relief=0.9)
    pitch = p.rng.uniform(0.07, 0.12)
    turns = [
        sh.stroke(np.array([[x, -w * 1.15], [x + 0.04, 0], [x + 0.06, w * 1.15]]), pitch * 0.5)
        for x in np.arange(-0.35, 0.72, pitch)
    ]
    p.detail(*turns, like=body, shade=0.55, relief=0.3)


def _cap(p: Part) -> None:
    body = p.body(p.pick("plastic", "metal"), sh.cog(0, 0, 0.9, int(p.rng.integers(30, 60)), 0.04))
    p.detail(sh.circle(0, 0, 0.78), like=body, shade=p.rng.uniform(0.8, 1.2))
    if p.rng.random() < 0.7:
        p.print(*sh.glyphs(p.rng, 0, 0, int(p.rng.integers(3, 5)), p.rng.uniform(0.16, 0.24)))


def _bottle(p: Part) -> None:
    body = p.body(p.pick("glass", "glass", "plastic"), sh.circle(0, 0, 0.93), relief=1.0)
    radius = 0.93
    for shade in p.rng.uniform(0.15, 1.8, int(p.rng.integers(2, 5))):
        radius *= p.rng.uniform(0.78, 0.95)
        p.detail(sh.circle(0, 0, radius), like=body, shade=shade, relief=p.rng.uniform(-0.6, 0.6))
    p.detail(sh.circle(0, 0, radius * p.rng.uniform(0.5, 0.9)), like=body, shade=0.2, relief=-0.3)


def _plate(p: Part) -> None:
    w, h = p.rng.uniform(0.7, 0.92), p.rng.uniform(0.45, 0.92)
    material = p.pick("metal", "metal", "plastic", "ceramic")
    p.body(material, sh.rounded(0, 0, w, h, p.rng.uniform(0, 0.3)))
    r, inset = p.rng.uniform(0.06, 0.13), 0.2
    corners = [(x * (w - inset), y * (h - inset)) for x in (-1, 1) for y in (-1, 1)]
    p.hole(*[sh.circle(x, y, r) for x, y in corners])
    if p.rng.random() < 0.5:
        p.hole(sh.rounded(0, 0, w * 0.35, h * 0.3, 0.1))
    elif p.rng.random() < 0.5:
        p.print(*sh.glyphs(p.rng, 0, 0, 4, 0.16))


def _bracket(p: Part) -> None:
    t = p.rng.uniform(0.25, 0.4)
    a, b = sh.rounded(-0.9 + t, 0, t, 0.9, 0.1), sh.rounded(0, 0.9 - t, 0.9, t, 0.1)
    p.body(p.pick("metal", "plastic"), a, b)
    r = t * p.rng.uniform(0.3, 0.5)
    p.hole(
        *[
            sh.circle(x, y, r)
            for x, y in [(-0.9 + t, -0.65), (-0.9 + t, 0.0), (0.05, 0.9 - t), (0.65, 0.9 - t)]
        ]
    )


def _capsule(p: Part) -> None:
    h = p.rng.uniform(0.28, 0.4)
    p.body("plastic", sh.rounded(0, 0, 0.93, h, h), relief=1.0)
    left = sh.rounded(-0.45, 0, 0.48, h, h)
    left[:, 0] = np.minimum(left[:, 0], 0)
    p.detail(left, relief=1.0)
    if p.rng.random() < 0.6:
        p.print(*sh.glyphs(p.rng, 0.4, 0, 3, 0.1))


def _pill(p: Part) -> None:
    ry = p.rng.uniform(0.5, 0.9)
    body = p.body(p.pick("ceramic", "plastic"), sh.ellipse(0, 0, 0.9, ry), relief=1.0)
    if p.rng.random() < 0.6:
        p.detail(sh.rect(0, 0, 0.03, ry * 0.95), like=body, shade=0.6, relief=-0.4)
    else:
        p.print(*sh.glyphs(p.rng, 0, 0, 3, 0.16))


def _cookie(p: Part) -> None:
    outline = sh.blob(p.rng, 0, 0, 0.88, 0.03)
    body = p.body("dough", np.clip(outline, -0.95, 0.95), relief=1.0)
    if p.rng.random() < 0.6:
        chips = [
            sh.blob(p.rng, p.rng.uniform(-0.55, 0.55), p.rng.uniform(-0.55, 0.55), 0.08)
            for _ in range(9)
        ]
        p.detail(*chips, like=body, shade=0.3)
    elif p.rng.random() < 0.5:
        p.hole(*[sh.circle(x, y, 0.05) for x in (-0.3, 0, 0.3) for y in (-0.3, 0, 0.3)])


def _button(p: Part) -> None:
    body = p.body(p.pick("plastic", "wood", "metal"), sh.circle(0, 0, 0.9), relief=0.9)
    p.detail(sh.circle(0, 0, 0.65), like=body, shade=0.85, relief=-0.5)
    p.hole(*sh.ring_of(sh.circle(0, 0, 0.1), int(p.pick("2", "4", "4")), 0.24, 0.785))


def _zipper(p: Part) -> None:
    p.upright = True
    p.body("fabric", sh.rect(0, 0, 0.95, 0.6), relief=0.2)
    step = p.rng.uniform(0.09, 0.14)
    teeth = [
        sh.rect(x, (-1) ** k * 0.07, step * 0.36, 0.11)
        for k, x in enumerate(np.arange(-0.88, 0.9, step))
    ]
    p.detail(*teeth, material=p.pick("metal", "plastic"), relief=0.8)


def _label(p: Part) -> None:
    p.upright = True
    p.body("paper", sh.rounded(0, 0, 0.95, 0.7, 0.06), relief=0.1)
    x, bars = -0.7, []
    while x < 0.6:
        w = p.rng.uniform(0.015, 0.05)
        bars.append(sh.rect(x + w, 0.32, w, 0.22))
        x += 2 * w + p.rng.uniform(0.03, 0.08)
    p.print(*bars, *sh.glyphs(p.rng, 0, -0.45, 6, 0.14), *sh.glyphs(p.rng, 0, -0.12, 8, 0.09))


def _key(p: Part) -> None:
    teeth = np.array(
        [[-0.3, -0.12], [0.95, -0.12], [0.95, 0.02]]
        + [[0.9 - 0.12 * k, 0.02 + p.rng.uniform(0.02, 0.2)] for k in range(8)]
        + [[-0.3, 0.12]]
    )
    p.body("metal", sh.circle(-0.58, 0, 0.38), teeth)
    p.hole(sh.circle(-0.7, 0, 0.12))


def _coin(p: Part) -> None:
    body = p.body("metal", sh.circle(0, 0, 0.92), relief=0.6)
    p.detail(sh.circle(0, 0, 0.8), like=body, shade=0.9, relief=-0.4)
    p.detail(
        sh.blob(p.rng, 0, 0.1, 0.35, 0.5),
        *sh.glyphs(p.rng, 0, -0.55, 4, 0.12),
        like=body,
        shade=1.15,
        relief=0.6,
    )


def _brush(p: Part) -> None:
    p.body(p.pick("plastic", "wood"), sh.rounded(0, 0, 0.95, 0.4, 0.3), relief=0.7)
    tufts = [
        sh.circle(x, y, 0.07, 14) for x in np.arange(-0.7, 0.75, 0.2) for y in (-0.2, 0.0, 0.2)
    ]
    p.detail(*tufts, relief=0.9)


def _bearing(p: Part) -> None:
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


def _comb(p: Part) -> None:
    xs = np.arange(-0.82, 0.85, p.rng.uniform(0.11, 0.16))
    p.body(
        p.pick("plastic", "wood", "metal"),
        sh.rounded(0, -0.5, 0.95, 0.2, 0.08),
        *[sh.rect(x, 0.1, 0.03, 0.5) for x in xs],
    )


PARTS: dict[str, Callable[[Part], None]] = {
    **ELECTRIC_PARTS,
    "bearing": _bearing,
    "bolt": _bolt,
    "bottle": _bottle,
    "bracket": _bracket,
    "brush": _brush,
    "button": _button,
    "cap": _cap,
    "capsule": _capsule,
    "coin": _coin,
    "comb": _comb,
    "cookie": _cookie,
    "gear": _gear,
    "key": _key,
    "label": _label,
    "nut": _nut,
    "pill": _pill,
    "plate": _plate,
    "ring": _ring,
    "screw": _screw,
    "washer": _washer,
    "zipper": _zipper,
}
