"""Cookies and bread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import profile, scattered, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, row
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_CRUSTS = ("brown", "brown", "copper", "orange", "gold")
_ICING = ("white", "pink", "brown", "yellow", "cyan", "black")


def _cookie_chips(p: Part) -> None:
    """Round, with chips or holes."""
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


def _cookie_butter(p: Part) -> None:
    """A butter biscuit: a rectangle with lobes around, docking holes, stamped frame and words."""
    w, h = p.rng.uniform(0.78, 0.9), p.rng.uniform(0.5, 0.85)
    nx, ny = int(p.rng.integers(7, 13)), int(p.rng.integers(5, 9))
    rx, ry = w / nx, h / ny
    lobes = [sh.ellipse(x, s * h, rx * 1.02, 0.07, 14) for x in row(nx, w) for s in (-1, 1)]
    lobes += [sh.ellipse(s * w, y, 0.07, ry * 1.02, 14) for y in row(ny, h) for s in (-1, 1)]
    body = p.body("dough", sh.rect(0, 0, w, h), *lobes, relief=0.7)
    p.detail(sh.rounded(0, 0, w * 0.88, h * 0.86, 0.06), like=body, shade=0.75, relief=-0.4)
    p.detail(sh.rounded(0, 0, w * 0.83, h * 0.8, 0.05), like=body, shade=1.1, relief=0.3)
    words = sh.glyphs(p.rng, 0, 0, int(p.rng.integers(4, 7)), h * 0.28)
    p.detail(*words, like=body, shade=0.6, relief=-0.5)
    columns = int(p.rng.integers(4, 8))
    docks = [
        sh.circle(x, y, 0.032, 12)
        for x in row(columns, w * 0.8)
        for y in (-h * 0.62, -h * 0.38, h * 0.38, h * 0.62)
    ]
    p.detail(*docks, like=body, shade=0.25, relief=-0.7)


def _cookie_flower(p: Part) -> None:
    """A flower with jam in its middle, zigzag icing and sprinkles."""
    petals, wave = int(p.rng.integers(5, 13)), p.rng.uniform(0.05, 0.12)
    a = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radius = 0.94 - wave + wave * np.abs(np.cos(petals * a / 2)) * 2 - wave
    body = p.body("dough", radius[:, None] * np.stack([np.cos(a), np.sin(a)], 1), relief=1.0)
    groove = sh.stroke(np.array([[0.45, 0], [0.78, 0]]), 0.035)
    p.detail(
        *sh.ring_of(shifted(groove, -0.6, 0), petals, 0.6, np.pi / petals),
        like=body,
        shade=0.6,
        relief=-0.4,
    )
    if p.rng.random() < 0.65:
        lines, x = int(p.rng.integers(5, 12)), np.linspace(-0.7, 0.7, 60)
        y = p.rng.uniform(0.3, 0.6) * np.sin(lines * x * np.pi / 1.4) * np.sqrt(1 - x * x)
        zigzag = spun(np.stack([x, y], axis=1), p.rng.uniform(0, 3))
        p.detail(
            sh.stroke(zigzag, p.rng.uniform(0.05, 0.08)),
            like=coloured(p, "plastic", *_ICING),
            relief=0.6,
        )
    hollow = p.rng.uniform(0.24, 0.38)
    p.detail(sh.circle(0, 0, hollow + 0.07), like=body, shade=1.25, relief=0.5)
    jam = coloured(p, "glass", "red", "orange", "purple", "brown", "yellow")
    p.detail(sh.blob(p.rng, 0, 0, hollow, 0.06), like=jam, relief=0.2)
    grains = [
        spun(sh.rounded(0, 0, 0.045, 0.018, 0.018), p.rng.uniform(0, 3), x, y)
        for x, y in scattered(p.rng, int(p.rng.integers(12, 40)), 0.72, 0.72, 0.1)
        if np.hypot(x, y) > hollow + 0.1
    ]
    p.detail(*grains, like=coloured(p, "plastic", *_ICING, "red", "green"), relief=0.4)


def _bread_slice(p: Part) -> None:
    """A slice of tin bread: crust around a crumb with pores, seeds in the crust."""
    w, top = p.rng.uniform(0.6, 0.78), p.rng.uniform(0.72, 0.9)
    bulge, waist = p.rng.uniform(0.02, 0.16), p.rng.uniform(-0.45, -0.2)
    outline = profile(
        [
            (-top, w * 0.3),
            (-top + 0.07, w * 0.75),
            ((waist - top) / 2, w + bulge),
            (waist + 0.08, w),
            (0.8, w),
            (0.9, w * 0.9),
        ]
    )
    crust = coloured_body(p, "dough", _CRUSTS, outline, relief=0.8)
    inset = p.rng.uniform(0.86, 0.93)
    crumb = coloured(p, "dough", "beige", "white", "beige", "yellow", "brown")
    p.detail(outline * inset, like=crumb, shade=p.rng.uniform(0.9, 1.2), relief=-0.2)
    pores = scattered(p.rng, int(p.rng.integers(20, 55)), w * 0.8, 0.68, 0.08)
    sizes = p.rng.gamma(2, 0.014, len(pores)) + 0.012
    holes = [sh.blob(p.rng, x, y, s, 0.3, n=12) for (x, y), s in zip(pores, sizes, strict=True)]
    p.detail(*holes, like=crumb, shade=p.rng.uniform(0.55, 0.8), relief=-0.5)
    if p.rng.random() < 0.4:
        bars = [
            sh.rounded(0, y, w * 0.75, 0.03, 0.03) for y in row(int(p.rng.integers(3, 6)), 0.65)
        ]
        p.detail(*bars, like=crust, shade=0.7, relief=-0.1)
    if p.rng.random() < 0.5:
        t = np.linspace(0.15, 0.85, int(p.rng.integers(8, 18)))
        rim = outline[(t * len(outline)).astype(int)]
        seeds = [
            spun(sh.ellipse(0, 0, 0.035, 0.018, 10), k, *(q * 0.96)) for k, q in enumerate(rim)
        ]
        p.detail(*seeds, like=coloured(p, "wood", "beige", "black", "brown"), relief=0.4)


def _bread_loaf(p: Part) -> None:
    """From above: a long or oval loaf with gaping slashes, dusted with flour."""
    h, blunt = p.rng.uniform(0.22, 0.55), p.rng.uniform(0.45, 1.0)
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    outline = np.stack(
        [0.94 * np.sign(c) * np.abs(c) ** blunt, h * np.sign(s) * np.abs(s) ** blunt], axis=1
    )
    crust = coloured_body(p, "dough", _CRUSTS, outline, relief=1.2)
    count, slant = int(p.rng.integers(3, 8)), p.rng.uniform(0.2, 1.3)
    pale = coloured(p, "dough", "beige", "beige", "yellow", "white")
    slashes, lips = [], []
    for x in row(count, 0.8):
        long = h * np.sqrt(max(0.1, 1 - (x / 0.94) ** 2)) * 0.8 / max(np.sin(slant + 0.3), 0.55)
        cut = sh.ellipse(0, 0, long, 0.34 / count + 0.02, 24)
        slashes.append(spun(cut, slant, x, 0))
        lips.append(spun(shifted(cut * [0.95, 0.5], 0, -0.24 / count - 0.02), slant, x, 0))
    p.detail(*slashes, like=pale, relief=-0.4)
    p.detail(*lips, like=crust, shade=0.65, relief=0.7)
    if p.rng.random() < 0.6:
        flour = scattered(p.rng, int(p.rng.integers(20, 45)), 0.8, h * 0.75, 0.03)
        dust = [
            sh.circle(x, y, r, 8)
            for (x, y), r in zip(flour, p.rng.uniform(0.01, 0.03, 70), strict=False)
        ]
        p.detail(*dust, like=coloured(p, "stone", "white"), relief=0.05)
    ends = [sh.ellipse(s * 0.86, 0, 0.05, h * 0.2, 20) for s in (-1, 1)]
    p.detail(*ends, like=crust, shade=0.7, relief=0.3)


def _bread_sliced(p: Part) -> None:
    """A tin loaf from the side, cut into slices, the face of the first one turned to the eye."""
    h, top, depth = p.rng.uniform(0.35, 0.48), p.rng.uniform(-0.55, -0.4), p.rng.uniform(0.18, 0.34)
    count, start = int(p.rng.integers(6, 13)), p.rng.uniform(-0.5, -0.3)
    dome = np.array([[start, h], [start, top]])
    x = np.linspace(start, 0.9, 60)
    step = (0.9 - start) / count
    crest = top - 0.04 * np.abs(np.sin(np.pi * (x - start) / step)) ** 0.5
    crest[-8:] += np.linspace(0, 0.2, 8) ** 2 * 5
    outline = np.concatenate([dome[:1], np.stack([x, crest], 1), [[0.93, top + 0.35], [0.92, h]]])
    crust = coloured_body(p, "dough", _CRUSTS, outline, relief=0.9)
    dark = sh.rect((start + 0.92) / 2, top + 0.14, (0.92 - start) / 2 - 0.02, 0.13)
    p.detail(dark, like=crust, shade=p.rng.uniform(0.6, 0.8), relief=0.3)
    cuts = [
        sh.rect(start + step * (k + 1), (h + top) / 2, 0.012, (h - top) / 2 - 0.01)
        for k in range(count - 1)
    ]
    p.detail(*cuts, like=crust, shade=0.3, relief=-0.6)
    face = profile(
        [
            (top - 0.05, 0.4),
            (top + 0.04, 0.85),
            (top + 0.14, 1.15),
            (top + 0.3, 1.0),
            (h - 0.04, 0.98),
            (h + 0.03, 0.85),
        ]
    )
    face[:, 0] = face[:, 0] * depth + start - depth * 0.55
    face[:, 1] += (start - face[:, 0]) * p.rng.uniform(0.1, 0.3)
    rind = p.detail(face, like=crust, shade=0.85, relief=0.6)
    middle = (face.min(axis=0) + face.max(axis=0)) / 2
    crumb = coloured(p, "dough", "beige", "white", "yellow", "beige")
    p.detail((face - middle) * [0.82, 0.9] + middle, like=crumb, relief=-0.1)
    pores = scattered(p.rng, int(p.rng.integers(12, 30)), depth * 0.75, (h - top) * 0.38, 0.07)
    p.detail(
        *[sh.circle(a + middle[0], b + middle[1], 0.025, 10) for a, b in pores],
        like=crumb,
        shade=0.6,
        relief=-0.4,
    )
    if p.rng.random() < 0.6:
        seeds = [
            spun(sh.ellipse(0, 0, 0.035, 0.018, 10), k, a, top + p.rng.uniform(0.02, 0.2))
            for k, a in enumerate(np.linspace(start + 0.1, 0.85, int(p.rng.integers(10, 24))))
        ]
        p.detail(*seeds, like=coloured(p, "wood", "beige", "black"), relief=0.4)
    p.detail(
        sh.rect((start + 0.9) / 2, h - 0.04, (0.86 - start) / 2, 0.03),
        like=rind,
        shade=0.8,
        relief=-0.2,
    )


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "bread": Variants(trained=(_bread_slice, _bread_loaf), held_out=(_bread_sliced,)),
    "cookie": Variants(trained=(_cookie_chips, _cookie_butter), held_out=(_cookie_flower,)),
}
