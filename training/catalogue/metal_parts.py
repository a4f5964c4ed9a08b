"""Gears, brackets and plates; coins and bearings come from ``metal_round``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import arc, shifted
from training.catalogue.metal_round import ROUND
from training.catalogue.pieces import row, sector
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]


def _gear_cog(p: Part) -> None:
    """A disc with trapezoid teeth, a bore and perhaps a circle of holes."""
    teeth = int(p.rng.integers(8, 25))
    body = p.body(p.pick("metal", "plastic"), sh.cog(0, 0, 0.92, teeth, p.rng.uniform(0.1, 0.2)))
    if p.rng.random() < 0.6:
        p.detail(sh.circle(0, 0, 0.55), like=body, shade=p.rng.uniform(0.7, 1.25))
    p.hole(sh.circle(0, 0, p.rng.uniform(0.12, 0.25)))
    if p.rng.random() < 0.5:
        p.hole(*sh.ring_of(sh.circle(0, 0, 0.09), int(p.rng.integers(3, 7)), 0.42))


def _gear_spoked(p: Part) -> None:
    """A wheel with rounded teeth, open between its spokes, and a keyed hub."""
    teeth, deep = int(p.rng.integers(18, 44)), p.rng.uniform(0.035, 0.06)
    a = np.linspace(0, 2 * np.pi, teeth * 8, endpoint=False)
    wave = np.tanh(2 * np.sin(teeth * a))
    outline = (0.94 - deep + deep * wave)[:, None] * np.stack([np.cos(a), np.sin(a)], axis=1)
    body = p.body(p.pick("metal", "metal", "plastic"), outline, relief=0.8)
    rim, hub = p.rng.uniform(0.64, 0.74), p.rng.uniform(0.24, 0.34)
    p.detail(sector(0, 0, rim, rim + 0.04), like=body, shade=0.55, relief=-0.4)
    spokes = int(p.rng.integers(3, 7))
    thick = p.rng.uniform(0.06, 0.12)
    windows = []
    for k in range(spokes):
        start, end = 2 * np.pi * k / spokes, 2 * np.pi * (k + 1) / spokes
        # Straight spokes: what they take of the angle is less at the rim than at the hub.
        far = arc(0, 0, rim, start + thick / rim, end - thick / rim, n=14)
        near = arc(0, 0, hub + 0.06, start + thick / hub * 0.8, end - thick / hub * 0.8, n=8)
        windows.append(np.concatenate([far, near[::-1]]))
    p.hole(*windows)
    p.detail(sh.circle(0, 0, hub), like=body, shade=p.rng.uniform(1.05, 1.3), relief=0.7)
    p.detail(sh.circle(0, 0, hub * 0.72), like=body, shade=0.75, relief=-0.2)
    bore = hub * p.rng.uniform(0.42, 0.56)
    p.hole(sh.circle(0, 0, bore, 28), sh.rect(bore, 0, bore * 0.36, bore * 0.24))


def _gear_bevel(p: Part) -> None:
    """A bevel gear from above: long swept teeth down a cone, a raised hub, a splined bore."""
    teeth, sweep = int(p.rng.integers(13, 25)), p.rng.uniform(0, 0.2) * p.rng.choice([-1, 1])
    inner, root = p.rng.uniform(0.5, 0.6), p.rng.uniform(0.84, 0.89)
    step = 2 * np.pi / teeth
    t = np.linspace(0, 1, 7)

    def tooth(wide: float, low: float, high: float) -> sh.Points:
        radius = low + (high - low) * t
        turn = sweep * ((radius - inner) / (0.95 - inner)) ** 1.4
        half = wide * step * (0.42 - 0.1 * t)
        angles = np.concatenate([turn - half, (turn + half)[::-1]])
        reach = np.concatenate([radius, radius[::-1]])
        return np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1)

    whole, top = tooth(1.0, inner, 0.95), tooth(0.5, inner + 0.02, 0.92)
    teeth_out = sh.ring_of(whole, teeth, 0.0)
    body = p.body(p.pick("metal", "metal", "plastic"), sh.circle(0, 0, root), *teeth_out)
    p.detail(sector(0, 0, inner - 0.02, root), like=body, shade=0.35, relief=-0.6)
    p.detail(*teeth_out, like=body, shade=0.9, relief=0.9)
    p.detail(*sh.ring_of(top, teeth, 0.0), like=body, shade=1.35, relief=0.4)
    p.detail(sh.circle(0, 0, inner), like=body, shade=p.rng.uniform(0.7, 1.0), relief=0.3)
    hub = inner * p.rng.uniform(0.62, 0.78)
    p.detail(sector(0, 0, hub, hub + 0.03), like=body, shade=0.4, relief=-0.3)
    p.detail(sh.circle(0, 0, hub), like=body, shade=1.15, relief=0.8)
    bore = hub * p.rng.uniform(0.45, 0.65)
    p.detail(sh.circle(0, 0, bore + 0.04), like=body, shade=0.55, relief=-0.4)
    splines = int(p.rng.integers(6, 15))
    p.hole(sh.cog(0, 0, bore, splines, bore * p.rng.uniform(0.12, 0.2)))


def _bracket_corner(p: Part) -> None:
    """Two flat arms at a right angle, two holes in each."""
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


def _bracket_shelf(p: Part) -> None:
    """A shelf bracket from the side: thin arms, a straight or bowed brace, screws in the ends."""
    t, long = p.rng.uniform(0.07, 0.11), p.rng.uniform(0.7, 0.92)
    deep = p.rng.uniform(0.7, 0.92)
    wall, arm = (
        sh.rounded(-0.88 + t, 0, t, deep, 0.05),
        sh.rounded(-0.9 + long, -deep + t, long, t, 0.05),
    )
    start = np.array([-0.9 + 2 * long * p.rng.uniform(0.72, 0.9), -deep + t])
    end = np.array([-0.88 + t, deep * p.rng.uniform(0.5, 0.8)])
    s = np.linspace(0, 1, 16)[:, None]
    bow = p.rng.uniform(-0.35, 0.35)
    middle = (start + end) / 2 + bow * np.array([-0.7, -0.7])
    line = (1 - s) ** 2 * start + 2 * s * (1 - s) * middle + s**2 * end
    thick = p.rng.uniform(0.1, 0.16)
    body = p.body(
        p.pick("metal", "metal", "plastic"), wall, arm, sh.stroke(line, thick), relief=0.8
    )
    p.detail(sh.stroke(line[1:-1], thick * 0.3), like=body, shade=0.55, relief=-0.4)
    if p.rng.random() < 0.5:
        half = sh.stroke(arc(-0.88 + 2 * t, -deep + 2 * t, 0.26, 0, np.pi / 2, n=12), 0.08)
        p.detail(half, like=body, shade=1.2, relief=0.5)
    ends = [(-0.88 + t, deep - 0.16), (-0.88 + t, -deep + 0.36)]
    ends += [(-0.9 + 2 * long - 0.12, -deep + t), (-0.9 + 2 * t + 0.3, -deep + t)]
    r = t * p.rng.uniform(0.5, 0.62)
    if p.rng.random() < 0.4:
        screws = p.detail(*[sh.circle(x, y, t * 0.8, 16) for x, y in ends], material="metal")
        p.detail(*[sh.rect(x, y, r, r * 0.3) for x, y in ends], like=screws, shade=0.3)
    else:
        p.hole(*[sh.circle(x, y, r, 16) for x, y in ends])


def _bracket_folded(p: Part) -> None:
    """A bent sheet seen from aside: an upright and a lying flange, ribs over the fold, slots."""
    fold, w = p.rng.uniform(-0.05, 0.2), p.rng.uniform(0.55, 0.75)
    lean, wide, top = p.rng.uniform(-0.35, 0.35), p.rng.uniform(1.0, 1.12), p.rng.uniform(0.8, 0.93)
    low = p.rng.uniform(0.45, 0.62)

    def back(points: sh.Points) -> sh.Points:
        """From (-1..1, 0..1) onto the upright flange."""
        x, y = points[:, 0] * w - lean / 2, fold - points[:, 1] * (fold + top)
        return np.stack([x, y], axis=1)

    def front(points: sh.Points) -> sh.Points:
        """From (-1..1, 0..1) onto the flange that comes towards the eye."""
        x = points[:, 0] * w * (1 + (wide - 1) * points[:, 1]) + lean * (points[:, 1] - 0.5)
        return np.stack([x, fold + points[:, 1] * low], axis=1)

    corner = p.rng.uniform(0.1, 0.45)
    sheet = sh.rounded(0, 0.5, 1, 0.5, 0.02)
    upper = sheet.copy()
    high = upper[:, 1] > 0.5
    upper[high] = sh.rounded(0, 0.5, 1, 0.5, corner)[high]
    body = p.body(p.pick("metal", "metal", "plastic"), back(upper), front(sheet), relief=0.9)
    p.detail(front(sheet), like=body, shade=p.rng.uniform(0.45, 0.65), relief=-0.3)
    p.detail(front(sh.rect(0, 0.97, 1, 0.03)), like=body, shade=0.4, relief=-0.2)
    p.detail(sh.rect(-lean / 2, fold, w, 0.025), like=body, shade=1.35, relief=0.4)
    ribs = row(int(p.rng.integers(1, 4)), 0.8)
    reach, half = p.rng.uniform(0.25, 0.4), p.rng.uniform(0.06, 0.1)
    wedge = np.array([[-half, 0], [0, reach], [half, 0]])
    p.detail(*[back(shifted(wedge, x, 0)) for x in ribs], like=body, shade=1.3, relief=0.8)
    p.detail(*[front(shifted(wedge, x, 0)) for x in ribs], like=body, shade=1.0, relief=0.8)
    count = int(p.rng.integers(2, 4))
    r, drop = p.rng.uniform(0.09, 0.13), p.rng.uniform(0.62, 0.7)
    slot = r * p.rng.uniform(1.0, 2.2)
    spread = row(count, 0.95)
    p.detail(
        *[back(sh.rounded(x, drop, slot + 0.05, r + 0.03, r)) for x in spread],
        like=body,
        shade=0.6,
        relief=-0.3,
    )
    p.hole(*[back(sh.rounded(x, drop, slot, r * 0.9, r)) for x in spread])
    p.hole(*[front(sh.ellipse(x, 0.66, 0.12, 0.15, 24)) for x in row(2, 1.0)])


def _plate_corners(p: Part) -> None:
    """A rectangle with a hole in each corner, and a window or print in the middle."""
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


def _plate_tread(p: Part) -> None:
    """A tread plate: rows of raised lenses that alternate in slant, sometimes a notched edge."""
    w, h = p.rng.uniform(0.75, 0.94), p.rng.uniform(0.55, 0.94)
    body = p.body("metal", sh.rounded(0, 0, w, h, p.rng.uniform(0, 0.06)), relief=0.6)
    pitch = p.rng.uniform(0.28, 0.34)
    columns, rows = int(2 * w / pitch), int(2 * h / pitch)
    long, thick = pitch * p.rng.uniform(0.42, 0.52), pitch * p.rng.uniform(0.12, 0.18)
    lens = np.concatenate([arc(0, 0.67, 1, -2.4, -0.74, n=7), arc(0, -0.67, 1, 0.74, 2.4, n=7)])
    lens *= np.array([long / 0.74, thick / 0.33])
    pair = [sh.moved(lens, 0, 0, turn) for turn in (np.pi / 4, -np.pi / 4)]
    places = [(i, j) for i in range(columns) for j in range(rows)]
    xs, ys = row(columns, w - 0.04), row(rows, h - 0.04)
    lugs = [shifted(pair[(i + j) % 2], xs[i], ys[j]) for i, j in places]
    p.detail(*[shifted(s, 0.015, 0.02) for s in lugs], like=body, shade=0.45, relief=0.1)
    p.detail(*lugs, like=body, shade=p.rng.uniform(1.15, 1.4), relief=0.9)
    if p.rng.random() < 0.4:
        side = float(p.rng.choice([-1, 1]))
        p.hole(sh.rounded(p.rng.uniform(-0.4, 0.4), side * h, 0.2, 0.18, 0.04))
    if p.rng.random() < 0.5:
        r = p.rng.uniform(0.05, 0.08)
        p.hole(*[sh.circle(x * (w - 0.12), y * (h - 0.12), r) for x in (-1, 1) for y in (-1, 1)])


def _plate_perforated(p: Part) -> None:
    """A plate with cut or bitten corners, staggered perforation in a field, ears with slots."""
    h, ear = p.rng.uniform(0.5, 0.86), p.rng.uniform(0.1, 0.16)
    w, cut = 0.94 - ear, p.rng.uniform(0.1, 0.28)
    quarter = (
        np.array([[w, h - cut], [w - cut, h]])
        if p.rng.random() < 0.5
        else arc(w, h, cut, -np.pi / 2, -np.pi, n=8)
    )
    outline = np.concatenate(
        [quarter, quarter[::-1] * [-1, 1], quarter * [-1, -1], quarter[::-1] * [1, -1]]
    )
    high = (h - cut) * p.rng.uniform(0.35, 0.8)
    tabs = [sh.rounded(s * w, 0, ear, high, 0.08) for s in (-1, 1)]
    body = p.body(p.pick("metal", "metal", "plastic"), outline, *tabs, relief=0.7)
    p.detail(outline * 0.9, like=body, shade=p.rng.uniform(0.6, 0.8), relief=-0.3)
    p.detail(outline * 0.87, like=body, shade=p.rng.uniform(0.95, 1.15), relief=0.2)
    p.hole(*[sh.rounded(s * (w + ear * 0.35), 0, 0.04, high * 0.5, 0.04) for s in (-1, 1)])
    pitch, shape = p.rng.uniform(0.19, 0.26), p.pick("round", "slot", "hexagon", "square")
    r = pitch * p.rng.uniform(0.28, 0.36)
    one = {
        "round": sh.circle(0, 0, r, 16),
        "slot": sh.rounded(0, 0, r * 1.25, r * 0.5, r * 0.5),
        "hexagon": sh.ngon(0, 0, r * 1.1, 6, 0.52),
        "square": sh.rect(0, 0, r * 0.8, r * 0.8),
    }[shape]
    fw, fh = w * 0.87 - 0.05, h * 0.87 - 0.05
    field = [
        shifted(one, x + pitch / 2 * (k % 2), y)
        for k, y in enumerate(np.arange(-fh + r, fh - r, pitch * 0.87))
        for x in np.arange(-fw + r, fw - r, pitch)
        if np.hypot(w - abs(x + pitch / 2 * (k % 2)), h - abs(y)) > cut + r + 0.12
    ]
    p.hole(*field)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    **ROUND,
    "bracket": Variants(trained=(_bracket_corner, _bracket_shelf), held_out=(_bracket_folded,)),
    "gear": Variants(trained=(_gear_cog, _gear_spoked), held_out=(_gear_bevel,)),
    "plate": Variants(trained=(_plate_corners, _plate_tread), held_out=(_plate_perforated,)),
}
