"""Things to buy in a shop: bottles, brushes, buttons, zippers and labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue import bottles, brushes
from training.catalogue.curves import profile, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_BRASS = ("gold", "copper", "silver", "grey", "silver")
_THREADS = ("white", "black", "red", "blue", "beige", "green", "yellow")


def _button_round(p: Part) -> None:
    """Round, with a sunken middle and two or four holes."""
    body = p.body(p.pick("plastic", "wood", "metal"), sh.circle(0, 0, 0.9), relief=0.9)
    p.detail(sh.circle(0, 0, 0.65), like=body, shade=0.85, relief=-0.5)
    p.hole(*sh.ring_of(sh.circle(0, 0, 0.1), int(p.pick("2", "4", "4")), 0.24, 0.785))


def _button_jeans(p: Part) -> None:
    """A stamped metal button of trousers: beaded rim, ring of characters, star and rivet."""
    body = coloured_body(p, "metal", _BRASS, sh.circle(0, 0, 0.93), relief=1.0)
    beads, rim = int(p.rng.integers(20, 33)), p.rng.uniform(0.76, 0.84)
    p.detail(*sh.ring_of(sh.circle(0, 0, 0.035, 10), beads, 0.87), like=body, shade=0.6, relief=0.7)
    p.detail(sh.circle(0, 0, rim), like=body, shade=p.rng.uniform(0.45, 0.8), relief=-0.5)
    count, size = int(p.rng.integers(7, 13)), p.rng.uniform(0.12, 0.16)
    radius, marks = rim - 0.15, list[sh.Points]()
    for k in range(count):
        a = 2 * np.pi * k / count
        x, y = radius * np.cos(a), radius * np.sin(a)
        marks += [spun(g, a + np.pi / 2, x, y) for g in sh.glyphs(p.rng, 0, 0, 1, size)]
    p.detail(*marks, like=body, shade=1.4, relief=0.6)
    inner = rim - 0.3
    p.detail(sector(0, 0, inner, inner + 0.05), like=body, shade=1.3, relief=0.5)
    points = int(p.rng.integers(5, 9))
    ray = taper(0, 0, 0.01, inner * 0.3, inner * 0.42)[:, ::-1] * [-1, 1]
    p.detail(*sh.ring_of(ray, points, inner * 0.5), like=body, shade=1.2, relief=0.5)
    p.detail(sh.circle(0, 0, inner * 0.35), like=coloured(p, "metal", *_BRASS), relief=0.7)
    p.detail(sh.circle(0, 0, inner * 0.12, 16), like=body, shade=0.3, relief=-0.4)


def _button_sewn(p: Part) -> None:
    """A flower, square or many-cornered button with a groove, still sewn with thread."""
    lobes, wave = int(p.rng.integers(4, 10)), p.rng.uniform(0.05, 0.14)
    a = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    flower = (0.93 - wave + wave * np.cos(lobes * a))[:, None] * np.stack([np.cos(a), np.sin(a)], 1)
    shapes = (
        flower,
        sh.rounded(0, 0, 0.8, 0.8, p.rng.uniform(0.1, 0.4)),
        sh.ngon(0, 0, 0.94, lobes),
    )
    outline = shapes[int(p.rng.choice([0, 0, 1, 2]))]
    body = p.body(p.pick("plastic", "plastic", "wood", "leather"), outline, relief=1.0)
    inset = p.rng.uniform(0.72, 0.84)
    p.detail(outline * inset, like=body, shade=p.rng.uniform(0.5, 0.75), relief=-0.4)
    p.detail(outline * (inset - 0.06), like=body, shade=p.rng.uniform(0.9, 1.2), relief=0.3)
    pearl = sh.circle(0, 0, p.rng.uniform(0.03, 0.06), 14)
    p.detail(*sh.ring_of(pearl, lobes * 2, inset * 0.68), like=body, shade=1.5, relief=0.4)
    seat, reach = p.rng.uniform(0.36, 0.46), p.rng.uniform(0.15, 0.2)
    p.detail(sh.circle(0, 0, seat), like=body, shade=0.8, relief=-0.5)
    p.hole(*[sh.circle(x * reach, y * reach, 0.085, 20) for x in (-1, 1) for y in (-1, 1)])
    thread, strands = coloured(p, "fabric", *_THREADS), int(p.rng.integers(2, 4))
    crossed = p.rng.random() < 0.5
    ends = ((-1, -1, 1, 1), (-1, 1, 1, -1)) if crossed else ((-1, -1, 1, -1), (-1, 1, 1, 1))
    stitches = []
    for x0, y0, x1, y1 in ends:
        for k in row(strands, 0.055):
            side = np.array([k, -k]) if crossed and x0 * y0 > 0 else np.array([k * (crossed), k])
            line = np.array([[x0, y0], [x1, y1]]) * reach * 1.1 + side
            stitches.append(sh.stroke(line, 0.05))
    p.detail(*stitches, like=thread, relief=0.7)


def _zipper_closed(p: Part) -> None:
    """Closed teeth along the middle of a tape."""
    p.upright = True
    p.body("fabric", sh.rect(0, 0, 0.95, 0.6), relief=0.2)
    step = p.rng.uniform(0.09, 0.14)
    teeth = [
        sh.rect(x, (-1) ** k * 0.07, step * 0.36, 0.11)
        for k, x in enumerate(np.arange(-0.88, 0.9, step))
    ]
    p.detail(*teeth, material=p.pick("metal", "plastic"), relief=0.8)


def _zipper_open(p: Part) -> None:
    """Upright and half open: two tapes part above the slider and its pull."""
    p.upright = True
    y0, w, wide = p.rng.uniform(-0.25, 0.3), p.rng.uniform(0.3, 0.45), p.rng.uniform(0.15, 0.4)
    y = np.linspace(-0.95, 0.95, 30)
    gap = wide * np.clip((y0 - y) / (y0 + 0.95), 0, 1) ** p.rng.uniform(1.2, 2.2) + 0.015
    halves = [
        np.concatenate([np.stack([s * gap, y], 1), np.stack([s * (gap * 0.8 + w), y], 1)[::-1]])
        for s in (-1, 1)
    ]
    tape = p.body("fabric", *halves, relief=0.3)
    seams = [
        sh.stroke(np.stack([s * (gap + w * k), y], 1), 0.018) for s in (-1, 1) for k in (0.35, 0.7)
    ]
    p.detail(*seams, like=tape, shade=p.rng.choice([0.5, 1.6]), relief=-0.2)
    steel = coloured(p, p.pick("metal", "metal", "plastic"), *_BRASS, "black")
    step, length, teeth = p.rng.uniform(0.07, 0.11), p.rng.uniform(0.045, 0.07), []
    for k, at in enumerate(np.arange(-0.9, 0.84, step / 2)):
        s = (-1) ** k
        x = float(np.interp(at, y, gap))
        teeth.append(sh.rounded(s * (x - 0.015), at, length, step * 0.3, 0.02))
    p.detail(*teeth, like=steel, relief=0.8)
    p.detail(sh.rounded(0, 0.88, 0.1, 0.04, 0.01), like=steel, shade=0.7, relief=0.8)
    slide = shifted(profile([(-0.14, 0.17), (-0.06, 0.18), (0.06, 0.11), (0.14, 0.1)]), 0, y0)
    own = p.detail(slide, like=steel, shade=p.rng.uniform(0.7, 1.3), relief=1.0)
    swing, long = p.rng.uniform(-0.5, 0.5), p.rng.uniform(0.14, 0.26)
    pull = taper(0, long + 0.06, 0.045, p.rng.uniform(0.06, 0.1), long)
    p.detail(spun(pull, swing, 0, y0), like=own, shade=1.15, relief=0.9)
    eye = sh.rounded(0, long * 1.7 + 0.06, 0.035, long * 0.16, 0.03)
    p.detail(spun(eye, swing, 0, y0), like=own, shade=0.25, relief=-0.5)
    p.detail(sh.rounded(0, y0 - 0.02, 0.04, 0.07, 0.03), like=own, shade=0.8, relief=0.6)


def _zipper_coil(p: Part) -> None:
    """A coil zipper, aslant: two spirals on sewn tapes, with the box and pin at its end."""
    turn, w = p.rng.uniform(-0.7, 0.7), p.rng.uniform(0.28, 0.5)
    tapes = [spun(sh.rect(0, s * (w / 2 + 0.01), 0.97, w / 2), turn) for s in (-1, 1)]
    cloth = coloured_body(p, "fabric", (*_THREADS, "grey", "purple"), *tapes, relief=0.3)
    step, reach = p.rng.uniform(0.09, 0.13), p.rng.uniform(0.09, 0.14)
    t = np.linspace(0, 1, 8)
    coils = []
    for k, x in enumerate(np.arange(-0.93, 0.72, step / 2)):
        bow = np.stack([x + 0.5 * step * np.sin(np.pi * t), (-1) ** k * (t * reach - 0.02)], 1)
        coils.append(spun(sh.stroke(bow, step * 0.4), turn))
    p.detail(*coils[::2], like=coloured(p, "plastic", *_THREADS, "silver"), relief=0.9)
    p.detail(*coils[1::2], like=p.layers[-1].texture, shade=0.85, relief=0.9)
    stitches, dash = [], p.rng.uniform(0.12, 0.17)
    for y in (-reach - 0.05, reach + 0.05):
        stitches += [sh.rounded(x, y, dash * 0.35, 0.012, 0.01) for x in np.arange(-0.9, 0.7, dash)]
    p.detail(*[spun(s, turn) for s in stitches], like=cloth, shade=2.2, relief=0.2)
    steel = coloured(p, p.pick("metal", "plastic"), *_BRASS)
    box = sh.rounded(0.8, 0, 0.1, 0.15, 0.03)
    p.detail(spun(box, turn), like=steel, relief=1.0)
    p.detail(spun(sh.rounded(0.8, 0.0, 0.06, 0.03, 0.02), turn), like=steel, shade=0.4, relief=-0.5)
    film = [spun(sh.rect(0.86, s * (0.17 + w / 2), 0.1, w / 2 - 0.15), turn) for s in (-1, 1)]
    p.detail(*film, like=cloth, shade=1.35, relief=0.1)
    stop = [spun(sh.rounded(-0.9, s * 0.06, 0.04, 0.09, 0.02), turn) for s in (-1, 1)]
    p.detail(*stop, like=steel, shade=0.8, relief=0.9)


def _label_barcode(p: Part) -> None:
    """A paper label with bars and lines of characters."""
    p.upright = True
    p.body("paper", sh.rounded(0, 0, 0.95, 0.7, 0.06), relief=0.1)
    x, bars = -0.7, []
    while x < 0.6:
        w = p.rng.uniform(0.015, 0.05)
        bars.append(sh.rect(x + w, 0.32, w, 0.22))
        x += 2 * w + p.rng.uniform(0.03, 0.08)
    p.print(*bars, *sh.glyphs(p.rng, 0, -0.45, 6, 0.14), *sh.glyphs(p.rng, 0, -0.12, 8, 0.09))


def _label_round(p: Part) -> None:
    """The label of a jar: oval or toothed seal, printed frames, crest, banner and stars."""
    p.upright = p.rng.random() < 0.7
    ry, teeth = p.rng.uniform(0.6, 0.93), int(p.rng.integers(18, 40))
    outline = sh.circle(0, 0, 0.94) if p.rng.random() < 0.6 else sh.cog(0, 0, 0.94, teeth, 0.06)
    squeeze = np.array([1, ry / 0.94])
    p.body(p.pick("paper", "paper", "plastic"), outline * squeeze, relief=0.15)
    hues = ("red", "blue", "green", "gold", "orange", "purple", "black")
    ink = p.detail(
        sector(0, 0, 0.76, 0.84) * squeeze, like=coloured(p, "plastic", *hues), relief=0.0
    )
    p.detail(sector(0, 0, 0.68, 0.71) * squeeze, like=ink, shade=0.8, relief=0.0)
    banner, tail = p.rng.uniform(0.1, 0.17), p.rng.uniform(0.5, 0.64)
    field = coloured(p, "plastic", *hues)
    p.detail(sh.rect(0, 0, tail, banner), like=field, relief=0.05)
    top, bottom = -0.4 * ry, 0.36 * ry
    star = sh.cog(0, 0, p.rng.uniform(0.1, 0.16), int(p.rng.integers(5, 9)), 0.06)
    spots = [(0.0, top), (-0.26, top * 0.85), (0.26, top * 0.85)][: int(p.pick("1", "3", "3"))]
    p.detail(*[shifted(star, x, y) for x, y in spots], like=ink, relief=0.05)
    p.print(
        *sh.glyphs(p.rng, 0, 0, int(p.rng.integers(4, 7)), banner * 0.9),
        *sh.glyphs(p.rng, 0, bottom, 5, 0.09),
        *sh.glyphs(p.rng, 0, bottom + 0.17 * ry, 3, 0.07),
    )


def _label_tag(p: Part) -> None:
    """A hang tag: cut corners, eyelet and string, a block of squares, lines and a price field."""
    w, cut = p.rng.uniform(0.4, 0.56), p.rng.uniform(0.12, 0.4)
    tag = np.array(
        [
            [cut * 0.9 - w, -0.7],
            [w - cut * 0.9, -0.7],
            [w, cut - 0.7],
            [w, 0.95],
            [-w, 0.95],
            [-w, cut - 0.7],
        ]
    )
    card = p.body(p.pick("paper", "cardboard", "plastic"), tag, relief=0.3)
    field = coloured(p, "plastic", "red", "yellow", "orange", "green", "white", "blue")
    price = p.rng.uniform(0.5, 0.62)
    p.detail(sh.rounded(0, price, w * 0.8, 0.14, 0.04), like=field, relief=0.05)
    n, cell = 7, w * p.rng.uniform(0.13, 0.17)
    dark = p.rng.random((n, n)) < 0.5
    dark[:2, :2] = dark[:2, -2:] = dark[-2:, :2] = True
    y0 = p.rng.uniform(-0.1, 0.0)
    block = [
        sh.rect((j - n // 2) * cell, y0 + (i - n // 2) * cell, cell / 2, cell / 2)[::8]
        for i, j in np.argwhere(dark)
    ]
    p.print(
        *block,
        *sh.glyphs(p.rng, 0, price, 4, 0.13),
        *sh.glyphs(p.rng, 0, 0.84, 5, 0.07),
    )
    bar = sh.rect(0, (price + y0 + n * cell / 2) / 2 - 0.07, w * 0.7, 0.015)
    p.detail(bar, like=card, shade=0.4, relief=0.0)
    r = p.rng.uniform(0.07, 0.1)
    p.detail(sh.circle(0, -0.55, r * 1.7), material=p.pick("metal", "plastic"), relief=0.6)
    p.hole(sh.circle(0, -0.55, r))
    reach = p.rng.uniform(-0.2, 0.2)
    loop = np.array(
        [
            [0.0, -0.52],
            [reach - 0.1, -0.75],
            [reach - 0.06, -0.95],
            [reach + 0.06, -0.95],
            [reach + 0.12, -0.74],
            [0.03, -0.52],
        ]
    )
    p.detail(sh.stroke(loop, 0.045), like=coloured(p, "fabric", *_THREADS), relief=0.7)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    **bottles.PARTS,
    **brushes.PARTS,
    "button": Variants(trained=(_button_round, _button_jeans), held_out=(_button_sewn,)),
    "label": Variants(trained=(_label_barcode, _label_round), held_out=(_label_tag,)),
    "zipper": Variants(trained=(_zipper_closed, _zipper_open), held_out=(_zipper_coil,)),
}
