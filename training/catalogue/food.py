"""Cookies, hazelnuts, macaroni and bread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import arc, profile, scattered, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, row
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_NUTTY = ("brown", "brown", "copper", "orange", "beige")
_PASTA = ("yellow", "beige", "gold", "orange", "yellow")
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
        lines, x = int(p.rng.integers(8, 16)), np.linspace(-0.8, 0.8, 40)
        y = p.rng.uniform(0.3, 0.6) * np.sin(lines * x * np.pi / 1.6) * np.sqrt(1 - x * x)
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


def _hazelnut_side(p: Part) -> None:
    """From the side: pointed, with fine stripes, on its pale rough scar."""
    w, tip = p.rng.uniform(0.72, 0.9), p.rng.uniform(-0.95, -0.82)
    outline = profile(
        [
            (tip, 0.02),
            (tip + 0.12, 0.16),
            (p.rng.uniform(-0.1, 0.15), w),
            (0.62, w * 0.8),
            (0.86, w * 0.4),
        ]
    )
    lean = p.rng.uniform(-0.4, 0.4)
    shell = coloured_body(p, "wood", _NUTTY, spun(outline, lean), relief=1.0)
    stripes = []
    for a in np.sort(p.rng.uniform(-1.4, 1.4, int(p.rng.integers(9, 20)))):
        t = np.linspace(p.rng.uniform(-0.8, -0.4), p.rng.uniform(0.25, 0.6), 12)
        reach = np.sqrt(np.clip((t - tip) / (0.1 - tip), 0, 1)) * np.sqrt(
            np.clip((1.25 - t) / 1.1, 0, 1)
        )
        line = np.stack([w * 0.95 * np.sin(a) * reach, t], axis=1)
        stripes.append(spun(sh.stroke(line, p.rng.uniform(0.015, 0.04)), lean))
    p.detail(*stripes, like=shell, shade=p.rng.uniform(0.55, 0.8), relief=-0.15)
    t = np.linspace(0, np.pi, 24)
    edge = 0.55 + p.rng.uniform(-0.1, 0.08) + 0.05 * np.cos(5 * t + p.rng.uniform(0, 6))
    scar_top = np.stack([np.cos(t) * w * 0.86, edge + 0.12 * np.sin(t)], axis=1)
    scar_low = np.stack([-np.cos(t) * w * 0.7, 0.68 + 0.2 * np.sin(t)], axis=1)
    scar = coloured(p, "stone", "beige", "beige", "grey", "white")
    p.detail(spun(np.concatenate([scar_top, scar_low]), lean), like=scar, relief=0.2)
    warts = scattered(p.rng, 14, w * 0.6, 0.07, 0.06)
    p.detail(
        *[spun(sh.circle(x, 0.77 + y, 0.025, 10), lean) for x, y in warts], like=scar, shade=0.6
    )
    p.detail(
        spun(sh.ellipse(0, tip + 0.07, 0.05, 0.07, 20), lean), like=shell, shade=1.5, relief=0.5
    )
    glint = spun(sh.ellipse(-w * 0.4, -0.15, 0.07, 0.2, 24), lean + 0.3)
    p.detail(glint, like=shell, shade=1.35, relief=0.0)


def _hazelnut_below(p: Part) -> None:
    """From below: the round pale scar, and streaks that run out from it."""
    outline = sh.blob(p.rng, 0, 0, 0.88, 0.035, n=48)
    shell = coloured_body(p, "wood", _NUTTY, np.clip(outline, -0.96, 0.96), relief=1.0)
    x, y = p.rng.uniform(-0.2, 0.2, 2)
    r = p.rng.uniform(0.4, 0.58)
    count, streaks = int(p.rng.integers(18, 40)), []
    for a in np.linspace(0, 2 * np.pi, count, endpoint=False) + p.rng.normal(0, 0.06, count):
        way = np.array([np.cos(a), np.sin(a)])
        far = 0.84 - 0.7 * float(way @ [x, y])
        ends = way * np.array([[r * 0.9], [p.rng.uniform(0.8, 1.0) * max(far, r)]])
        streaks.append(sh.stroke(shifted(ends, x, y), p.rng.uniform(0.012, 0.045)))
    p.detail(*streaks, like=shell, shade=p.rng.choice([0.55, 0.7, 1.35]), relief=-0.15)
    pale = coloured(p, p.pick("stone", "dough"), "beige", "beige", "grey")
    p.detail(sh.blob(p.rng, x, y, r, 0.07, n=40), like=pale, shade=0.9, relief=0.3)
    p.detail(sh.blob(p.rng, x, y, r * 0.8, 0.1, n=40), like=pale, shade=1.15, relief=-0.2)
    pits = scattered(p.rng, int(p.rng.integers(10, 26)), r * 0.68, r * 0.68, 0.08)
    p.detail(
        *[sh.circle(x + u, y + v, p.rng.uniform(0.015, 0.035), 10) for u, v in pits],
        like=pale,
        shade=0.45,
        relief=-0.4,
    )
    if p.rng.random() < 0.5:
        p.detail(sh.circle(x, y, r * 0.14, 18), like=pale, shade=0.6, relief=0.5)


def _hazelnut_husk(p: Part) -> None:
    """In its husk: a torn green cup of leaves holds the nut, a stalk below."""
    cup = sh.blob(p.rng, 0, 0.3, 0.55, 0.05, n=36)
    leaves, n = [], int(p.rng.integers(7, 12))
    for k, a in enumerate(np.linspace(-2.5, 2.5, n)):
        long = p.rng.uniform(0.45, 0.75) if k % 2 else p.rng.uniform(0.3, 0.5)
        leaf = profile([(-long, 0.0), (-long * 0.6, 0.08), (-0.2, 0.16), (0.05, 0.12)])
        leaves.append(spun(leaf, a, 0.38 * np.sin(a), 0.2 - 0.3 * np.cos(a)))
    stalk = sh.stroke(np.array([[0, 0.7], [p.rng.uniform(-0.1, 0.1), 0.95]]), 0.13)
    green = coloured_body(p, "leather", ("green", "green", "brown", "yellow"), cup, *leaves, stalk)
    w, tip = p.rng.uniform(0.44, 0.54), p.rng.uniform(-0.8, -0.65)
    nut = profile([(tip, 0.02), (tip + 0.1, 0.12), (0.0, w), (0.45, w * 0.6)])
    shell = p.detail(nut, like=coloured(p, "wood", *_NUTTY), relief=1.0)
    lines = [
        sh.stroke(
            np.stack(
                [w * s * np.sin(np.linspace(0.25, 1.5, 8)), np.linspace(tip + 0.12, 0.1, 8)], 1
            ),
            0.03,
        )
        for s in row(int(p.rng.integers(5, 9)), 0.9)
    ]
    p.detail(*lines, like=shell, shade=0.65, relief=-0.2)
    front = []
    for k, x in enumerate(row(int(p.rng.integers(4, 7)), 0.5)):
        long = p.rng.uniform(0.25, 0.42) if k % 2 else p.rng.uniform(0.35, 0.6)
        leaf = profile([(-long, 0.0), (-long * 0.5, 0.08), (0.1, 0.15), (0.4, 0.09)])
        front.append(spun(leaf, x * 0.9, x, 0.3 - 0.05 * (k % 2)))
    p.detail(*front, like=green, shade=p.rng.uniform(0.8, 1.2), relief=0.8)
    p.detail(
        *[sh.moved(f, *f.mean(axis=0), 0, 0.5) for f in front],
        like=green,
        shade=0.65,
        relief=-0.1,  # type: ignore[call-arg]
    )


def _macaroni_elbow(p: Part) -> None:
    """A bent tube, open at both ends."""
    r, span = p.rng.uniform(0.45, 0.75), p.rng.uniform(1.6, 2.9)
    thick = p.rng.uniform(0.34, 0.48)
    r = min(r, 0.93 - thick / 2)
    a0, a1 = -np.pi / 2 - span / 2, -np.pi / 2 + span / 2
    y = r * (1 - np.cos(min(span, 3.0) / 2)) / 2 + 0.1
    tube = sh.stroke(arc(0, y, r, a0, a1, n=30), thick)
    mouths = [
        spun(sh.ellipse(0, 0, thick * 0.5, thick * 0.2, 24), a, r * np.cos(a), y + r * np.sin(a))
        for a in (a0, a1)
    ]
    body = coloured_body(p, "dough", _PASTA, tube, *mouths, relief=1.0)
    for k in row(int(p.rng.integers(3, 6)), 0.42) if p.rng.random() < 0.5 else []:
        p.detail(
            sh.stroke(arc(0, y, r + k * thick, a0, a1), 0.03), like=body, shade=0.72, relief=-0.4
        )
    p.detail(*mouths, like=body, shade=1.15, relief=0.3)
    dark = [sh.moved(m, *m.mean(axis=0), 0, p.rng.uniform(0.55, 0.75)) for m in mouths]  # type: ignore[call-arg]
    p.detail(*dark, like=body, shade=0.3, relief=-0.8)
    p.detail(
        sh.stroke(arc(0, y, r + thick * 0.2, a0 + 0.3, a1 - 0.5), 0.05),
        like=body,
        shade=1.3,
        relief=0,
    )


def _macaroni_straight(p: Part) -> None:
    """A short straight tube seen aslant, cut square or slanted, smooth or with ridges."""
    h, reach = p.rng.uniform(0.3, 0.6), p.rng.uniform(0.5, 0.72)
    rx, slant = h * p.rng.uniform(0.3, 0.6), p.rng.uniform(-0.4, 0.4)
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    end = np.stack([rx * np.cos(t), h * np.sin(t)], axis=1)
    shear = np.stack([slant * end[:, 1], 0 * t], axis=1)
    front, back = shifted(end + shear, reach, 0), shifted(end + shear, -reach, 0)
    left, right = back[np.cos(t) <= 0.01], front[np.cos(t) >= -0.01]
    order = np.argsort(-left[:, 1])
    side = np.concatenate([left[order], right[np.argsort(right[:, 1])]])
    body = coloured_body(p, "dough", _PASTA, side, relief=1.0)
    ridges = int(p.rng.integers(5, 11)) if p.rng.random() < 0.7 else 0
    lines = []
    for a in np.linspace(-1.25, 1.25, ridges):
        v = h * np.sin(a)
        x = slant * v - rx * np.cos(a)
        lines.append(sh.stroke(np.array([[x - reach, v], [x + reach, v]]), 0.02 + 0.03 * np.cos(a)))
    if lines:
        p.detail(*lines, like=body, shade=p.rng.uniform(0.65, 0.8), relief=-0.4)
    p.detail(
        sh.rounded(-0.1, -h * 0.4, reach * 0.6, h * 0.07, 0.03), like=body, shade=1.3, relief=0
    )
    p.detail(front, like=body, shade=1.2, relief=0.3)
    wall = p.rng.uniform(0.6, 0.8)
    p.detail(sh.moved(front, *front.mean(axis=0), 0, wall), like=body, shade=0.55, relief=-0.8)  # type: ignore[call-arg]
    deep = shifted(sh.moved(front, *front.mean(axis=0), 0, wall * 0.7), -rx * 0.12, 0)  # type: ignore[call-arg]
    p.detail(deep, like=body, shade=0.25, relief=-0.4)


def _macaroni_horn(p: Part) -> None:
    """A horn bent into a U: narrow and wide end upward, ribs around it."""
    r, thin, wide = p.rng.uniform(0.42, 0.5), p.rng.uniform(0.24, 0.36), p.rng.uniform(0.5, 0.66)
    a = np.linspace(-0.25, np.pi + p.rng.uniform(0.1, 0.5), 40)
    line = np.stack([r * np.cos(a), p.rng.uniform(0.95, 1.25) * r * np.sin(a) + 0.02], axis=1)
    thick = np.interp(np.arange(40), [0, 25, 39], [wide, (thin + wide) / 2, thin])
    body = coloured_body(p, "dough", _PASTA, sh.stroke(line, thick), relief=1.0)
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    ribs, bow = [], np.linspace(-0.5, 0.5, 8)[:, None]
    for k in range(3, 38, int(p.rng.integers(2, 5))):
        rib = line[k] + bow * thick[k] * normal[k] + (0.25 - bow**2) * 0.3 * thick[k] * tangent[k]
        ribs.append(sh.stroke(rib, 0.04))
    p.detail(*ribs, like=body, shade=p.rng.choice([0.65, 0.75, 1.25]), relief=0.4)
    mouths = []
    for k, way in ((0, -1), (39, 1)):
        turn = np.arctan2(normal[k, 1], normal[k, 0])
        mouth = sh.ellipse(0, 0, thick[k] * 0.52, thick[k] * p.rng.uniform(0.2, 0.32), 28)
        mouths.append(spun(mouth, turn, *(line[k] + way * 0.01 * tangent[k])))
    p.detail(*mouths, like=body, shade=1.2, relief=0.4)
    p.detail(
        *[sh.moved(m, *m.mean(axis=0), 0, 0.7) for m in mouths],
        like=body,
        shade=0.3,
        relief=-0.8,  # type: ignore[call-arg]
    )


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
        toast = sh.blob(p.rng, 0, 0, w * p.rng.uniform(0.45, 0.65), 0.3)
        p.detail(toast, like=crust, shade=1.1, relief=0.0)
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
        flour = scattered(p.rng, int(p.rng.integers(30, 70)), 0.8, h * 0.75, 0.03)
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
    "hazelnut": Variants(trained=(_hazelnut_side, _hazelnut_below), held_out=(_hazelnut_husk,)),
    "macaroni": Variants(trained=(_macaroni_elbow, _macaroni_straight), held_out=(_macaroni_horn,)),
}
