"""Brushes, toothbrushes and combs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import lying, profile, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_BRIGHT = ("red", "blue", "green", "yellow", "white", "pink", "purple", "orange", "cyan")
_BRISTLES = ("white", "white", "blue", "cyan", "green", "red", "yellow", "orange")
_HAIR = ("black", "brown", "beige", "orange", "white")


def _brush_above(p: Part) -> None:
    """A scrubbing brush from the bristles' side."""
    p.body(p.pick("plastic", "wood"), sh.rounded(0, 0, 0.95, 0.4, 0.3), relief=0.7)
    tufts = [
        sh.circle(x, y, 0.07, 14) for x in np.arange(-0.7, 0.75, 0.2) for y in (-0.2, 0.0, 0.2)
    ]
    p.detail(*tufts, relief=0.9)


def _brush_paint(p: Part) -> None:
    """A paint brush: turned handle with a hole, crimped ferrule with nails, strands of hair."""
    w, neck = p.rng.uniform(0.16, 0.42), p.rng.uniform(0.06, 0.12)
    start, end = p.rng.uniform(-0.15, 0.05), p.rng.uniform(0.22, 0.38)
    handle = profile(
        [
            (-0.95, neck * 0.8),
            (-0.8, neck * p.rng.uniform(1.0, 1.6)),
            (p.rng.uniform(-0.5, -0.3), neck * 0.8),
            (start, w * p.rng.uniform(0.6, 0.95)),
        ]
    )
    p.body(p.pick("wood", "wood", "plastic"), lying(handle), relief=1.0)
    p.hole(sh.circle(-0.84, 0, neck * 0.45, 20))
    tip = w * p.rng.uniform(0.6, 1.1)
    hair = lying(taper(0, (end + 0.94) / 2 - 0.03, w * 0.96, tip, (0.94 - end) / 2 + 0.03))
    end_row = hair[:, 0] > 0.9
    hair[end_row, 0] += p.rng.uniform(-0.04, 0.02, int(end_row.sum()))
    tuft = p.detail(hair, like=coloured(p, "plastic", *_HAIR), relief=0.8)
    count = int(p.rng.integers(7, 16))
    strands = [
        sh.stroke(
            np.array([[end, a * w * 0.9], [p.rng.uniform(0.75, 0.93), a * tip * 0.95]]), 0.016
        )
        for a in row(count, 1)
    ]
    p.detail(*strands, like=tuft, shade=p.rng.choice([0.5, 1.6]), relief=0.2)
    steel = p.detail(
        sh.rect((start + end) / 2, 0, (end - start) / 2, w),
        like=coloured(p, "metal", "silver", "gold", "copper"),
        relief=0.9,
    )
    crimps = [sh.rect(x, 0, 0.016, w) for x in (start + 0.05, start + 0.1, end - 0.06)]
    p.detail(*crimps, like=steel, shade=0.6, relief=-0.4)
    nails = [sh.circle((start + end) / 2, y, 0.03, 14) for y in row(int(p.rng.integers(2, 5)), w)]
    p.detail(*nails, like=steel, shade=0.35, relief=0.4)
    if p.rng.random() < 0.5:
        p.print(*sh.glyphs(p.rng, (start - 0.5) / 2 - 0.1, 0, 4, neck * 0.55))


def _brush_dish(p: Part) -> None:
    """A dish brush: a round head with rings of tufts on a long handle with an eye."""
    r, x = p.rng.uniform(0.34, 0.46), p.rng.uniform(0.42, 0.5)
    neck, grip = p.rng.uniform(0.06, 0.1), p.rng.uniform(0.1, 0.16)
    handle = profile([(-0.95, grip * 0.6), (-0.85, grip), (-0.45, grip), (-0.1, neck), (x, neck)])
    body = p.body(p.pick("wood", "plastic", "plastic"), lying(handle), sh.circle(x, 0, r))
    p.hole(sh.rounded(-0.8, 0, 0.07, grip * 0.4, 0.05))
    base = p.detail(sh.circle(x, 0, r * 0.94), like=body, shade=p.rng.uniform(0.7, 1.2), relief=0.3)
    colours = [coloured(p, "plastic", *_BRISTLES, *_HAIR) for _ in range(2)]
    rings = int(p.rng.integers(2, 4))
    for k, radius in enumerate(np.linspace(r * 0.8, r * 0.28, rings)):
        count = max(4, int(radius * 2 * np.pi / p.rng.uniform(0.12, 0.17)))
        tuft = sh.ngon(0, 0, radius * 0.16 + 0.02, 9)
        spots = [shifted(t, x, 0) for t in sh.ring_of(tuft, count, radius, 0.4 * k)]
        p.detail(*spots, like=colours[k % 2], relief=1.0)
    p.detail(sh.circle(x, 0, r * 0.09, 16), like=base, shade=0.5, relief=-0.3)
    ridges = [
        sh.rounded(a, 0, 0.018, grip * 0.7, 0.02) for a in row(int(p.rng.integers(3, 7)), 0.16)
    ]
    p.detail(*[shifted(g, -0.5, 0) for g in ridges], like=body, shade=0.6, relief=0.4)


def _toothbrush_head(p: Part) -> None:
    """The head from above, filling the view: rows of tufts in two colours."""
    w, h = p.rng.uniform(0.6, 0.75), p.rng.uniform(0.26, 0.4)
    neck = p.rng.uniform(0.09, 0.15)
    stem = lying(profile([(0.0, h * 0.8), (p.rng.uniform(0.5, 0.7), h * 0.7), (0.97, neck)]))
    head = sh.rounded(-0.93 + w, 0, w, h, h * p.rng.uniform(0.5, 1.0))
    coloured_body(p, "plastic", _BRIGHT, head, stem, relief=0.9)
    columns, lines = int(p.rng.integers(8, 12)), int(p.rng.integers(3, 5))
    reach, pitch = w - 0.1, (h - 0.05) / lines
    radius = min(reach / columns, pitch) * p.rng.uniform(0.78, 0.95)
    groups: tuple[list[sh.Points], list[sh.Points]] = ([], [])
    by_column, period = p.rng.random() < 0.6, int(p.rng.integers(2, 5))
    shift = float(p.rng.choice([0.0, 0.5])) * reach / columns
    for j, y in enumerate(row(lines, h - 0.05)):
        outer = 2 if lines > 3 and j in (0, lines - 1) else 1
        for i, x in enumerate(row(columns, reach)[outer - 1 : columns + 1 - outer]):
            place = -0.93 + w + x + shift * (j % 2) * 0.5
            middle = (i // period) % 2 if by_column else j % 2
            tuft = sh.ngon(place, y, radius, 12, p.rng.uniform(0, 1))
            groups[middle].append(tuft + p.rng.normal(0, 0.006, 2))
    for tufts in groups:
        own = p.detail(*tufts, like=coloured(p, "plastic", *_BRISTLES), relief=1.0)
    tips = [sh.moved(t, 0, 0, 0, 0.45) for t in groups[1]]
    p.detail(*tips, like=own, shade=float(p.rng.choice([0.7, 1.3])), relief=0.3)


def _toothbrush_side(p: Part) -> None:
    """From the side: a curved handle with rubber grips, and bristles trimmed to a wave."""
    p.upright = p.rng.random() < 0.3
    x = np.linspace(-0.95, 0.95, 40)
    swing, bend = p.rng.uniform(-0.09, 0.09), p.rng.uniform(0.0, 0.16)
    start = p.rng.uniform(0.28, 0.42)
    y = 0.22 + swing * np.sin(2.2 * np.pi * (x + 0.95) / 1.9) - bend * np.clip(x, 0, 1) ** 2
    thick = np.interp(
        x, [-0.95, -0.85, -0.3, start - 0.2, start, 0.95], [0.09, 0.18, 0.22, 0.09, 0.12, 0.1]
    )
    thick = thick * p.rng.uniform(0.85, 1.3)
    body = coloured_body(p, "plastic", _BRIGHT, sh.stroke(np.stack([x, y], 1), thick), relief=1.0)
    count, tall = int(p.rng.integers(7, 12)), p.rng.uniform(0.22, 0.42)
    wave, pace = p.rng.uniform(0, 0.25), p.rng.uniform(2, 9)
    at = np.linspace(start + 0.06, 0.9, count)
    foot, half = np.interp(at, x, y) - 0.04, 0.42 * (0.84 - start) / (count - 1)
    tops = foot - tall * (1 - wave * (0.5 + 0.5 * np.cos(pace * np.arange(count) / 3)))
    tufts = [
        taper(a, (t + f) / 2, half * 1.12, half * 0.9, (f - t) / 2)
        for a, t, f in zip(at, tops, foot, strict=True)
    ]
    first, second = (coloured(p, "plastic", *_BRISTLES) for _ in range(2))
    period = int(p.rng.integers(1, 4))
    p.detail(*[t for k, t in enumerate(tufts) if (k // period) % 2 == 0], like=first, relief=0.8)
    p.detail(*[t for k, t in enumerate(tufts) if (k // period) % 2], like=second, relief=0.8)
    lines = [
        sh.rect(a, (t + f) / 2, half * 0.12, (f - t) * 0.42)
        for a, t, f in zip(at, tops, foot, strict=True)
    ]
    p.detail(*lines, like=first, shade=0.6, relief=-0.1)
    grip = x[(x > p.rng.uniform(-0.8, -0.6)) & (x < p.rng.uniform(-0.25, 0.0))]
    spine = np.stack([grip, np.interp(grip, x, y)], axis=1)
    rubber = p.detail(
        sh.stroke(spine, np.interp(grip, x, thick) * 0.6),
        like=coloured(p, "rubber", "black", "grey", "red"),
        relief=0.4,
    )
    ribs = [sh.rounded(a, b, 0.014, 0.05, 0.02) for a, b in spine[1:-1:2]]
    p.detail(*ribs, like=rubber, shade=1.8, relief=0.5)
    if p.rng.random() < 0.5:
        p.hole(sh.ellipse(-0.86, float(y[2]), 0.045, 0.03, 16))
    p.detail(sh.stroke(np.stack([x[4:26], y[4:26]], 1), 0.015), like=body, shade=0.6, relief=-0.2)


def _toothbrush_angled(p: Part) -> None:
    """Whole and aslant, its small oval head bent from the handle: slanted bars of bristles."""
    lean, knee = p.rng.uniform(-0.9, -0.6), p.rng.uniform(-0.35, 0.35)
    grip, neck = p.rng.uniform(0.13, 0.19), p.rng.uniform(0.06, 0.09)
    handle = lying(
        profile([(-1.2, grip * 0.6), (-1.05, grip), (-0.5, grip * 0.8), (-0.2, grip), (0.3, neck)])
    )
    head_x, rx, ry = p.rng.uniform(0.42, 0.5), p.rng.uniform(0.36, 0.44), p.rng.uniform(0.2, 0.27)

    def bent(points: sh.Points) -> sh.Points:
        return spun(spun(points, knee, 0.3, 0.0), lean, -0.05, 0.0)

    stem = sh.rect(0.1, 0, 0.14, neck)
    coloured_body(
        p,
        "plastic",
        _BRIGHT,
        spun(handle, lean, -0.05),
        bent(stem),
        bent(sh.ellipse(head_x, 0, rx, ry)),
        relief=1.0,
    )
    bars, slant = int(p.rng.integers(6, 10)), p.rng.uniform(0.2, 0.5)
    step = 2 * rx * 0.86 / bars
    tufts: list[sh.Points] = []
    for k, x in enumerate(row(bars, rx * 0.86)):
        reach = ry * 0.88 * np.sqrt(1 - (x / rx) ** 2)
        for side in (-1, 1):
            tuft = sh.rounded(0, 0, step * 0.36, reach * 0.44, 0.03)
            tufts.append(bent(spun(tuft, side * slant * (-1) ** k, head_x + x, side * reach * 0.5)))
    own = p.detail(*tufts, like=coloured(p, "plastic", *_BRISTLES), relief=1.0)
    p.detail(
        *[sh.moved(t, 0, 0, 0, 0.5) for t in tufts],
        like=own,
        shade=0.7,
        relief=0.2,
    )
    tip = sector(head_x, 0, rx * 0.86, rx * 0.97, start=-0.5, end=0.5)
    p.detail(bent(tip), like=coloured(p, "plastic", *_BRISTLES), relief=0.9)
    pads = [
        sh.ellipse(x, 0, 0.035, grip * 0.6, 16)
        for x in np.arange(-0.75, -0.1, p.rng.uniform(0.1, 0.16))
    ]
    p.detail(
        *[spun(d, lean, -0.05) for d in pads], like=coloured(p, "rubber", "black", "grey", "red")
    )
    marks = sh.glyphs(p.rng, -0.95, 0, 3, grip * 0.5)
    p.print(*[spun(g, lean, -0.05) for g in marks])


def _comb_plain(p: Part) -> None:
    """One row of teeth under a straight back."""
    xs = np.arange(-0.82, 0.85, p.rng.uniform(0.11, 0.16))
    p.body(
        p.pick("plastic", "wood", "metal"),
        sh.rounded(0, -0.5, 0.95, 0.2, 0.08),
        *[sh.rect(x, 0.1, 0.03, 0.5) for x in xs],
    )


def _comb_handle(p: Part) -> None:
    """A comb with a tapered handle: coarse and fine pointed teeth, and an eye."""
    back, start = p.rng.uniform(0.1, 0.17), p.rng.uniform(-0.3, -0.1)
    handle = lying(profile([(-0.95, 0.04), (-0.75, back * 0.7), (start, back), (0.95, back * 0.8)]))
    body = p.body(p.pick("plastic", "wood", "plastic"), shifted(handle, 0, -0.25), relief=0.6)
    middle, teeth, x = p.rng.uniform(0.25, 0.6), [], start + 0.03
    reach, pitch = p.rng.uniform(0.5, 0.7), p.rng.uniform(2.9, 3.5)
    while x < 0.9:
        half = 0.026 if x < middle else 0.015
        length = reach * (1 - 0.2 * max(0.0, x) ** 2)
        teeth.append(taper(x, length / 2 - 0.2, half, half * 0.4, length / 2))
        x += half * pitch
    p.detail(*teeth, taper(0.91, reach / 2 - 0.25, 0.045, 0.03, reach / 2), like=body, relief=0.6)
    p.hole(sh.circle(-0.72, -0.25, 0.035, 18))
    p.detail(
        sh.rounded((start + 0.9) / 2, -0.27, 0.4, 0.02, 0.02), like=body, shade=0.6, relief=-0.3
    )
    p.print(*sh.glyphs(p.rng, -0.45, -0.25, 4, back * 0.5))


def _comb_double(p: Part) -> None:
    """Teeth on both sides of a carved middle, coarse on one and fine on the other."""
    w, rib = p.rng.uniform(0.6, 0.92), p.rng.uniform(0.14, 0.24)
    tall = p.rng.uniform(0.65, 0.9)
    ends = [sh.rounded(s * (w - 0.05), 0, 0.055, tall, 0.04) for s in (-1, 1)]
    body = p.body(p.pick("wood", "metal", "plastic"), sh.rect(0, 0, w, rib), *ends, relief=0.6)
    coarse, fine = int(p.rng.integers(9, 15)), int(p.rng.integers(18, 27))
    for count, side in ((coarse, -1), (fine, 1)):
        half, y = (w - 0.12) / count * p.rng.uniform(0.45, 0.6), side * (tall + rib) / 2
        long = (tall - rib) / 2 * 0.97
        teeth = [sh.rounded(x, y, half, long + 0.02, half) for x in row(count, w - 0.12)]
        p.detail(*teeth, like=body, relief=0.5)
    if p.rng.random() < 0.6:
        knob = sh.ngon(0, 0, rib * 0.45, int(p.rng.integers(4, 9)))
        spots = [shifted(knob, x, 0) for x in row(int(p.rng.integers(3, 8)), w - 0.15)]
        p.detail(*spots, like=body, shade=p.rng.choice([0.5, 1.5]), relief=0.5)
    else:
        p.print(*sh.glyphs(p.rng, 0, 0, 6, rib * 0.55))


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "brush": Variants(trained=(_brush_above, _brush_paint), held_out=(_brush_dish,)),
    "comb": Variants(trained=(), held_out=(_comb_plain, _comb_handle, _comb_double)),
    "toothbrush": Variants(
        trained=(_toothbrush_head, _toothbrush_side), held_out=(_toothbrush_angled,)
    ),
}
