"""Washers, rings and keys."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.curves import shifted, spun
from training.catalogue.pieces import coloured, coloured_body, row, sector
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_STEEL = ("silver", "grey", "silver", "gold", "black", "copper")
_HEADS = ("black", "black", "blue", "red", "green", "grey", "yellow")


def _washer_flat(p: Part) -> None:
    """A disc with a bore."""
    inner = p.rng.uniform(0.3, 0.65)
    p.body(p.pick("metal", "metal", "rubber", "plastic"), sh.circle(0, 0, 0.9))
    p.hole(sh.circle(0, 0, 0.9 * inner))


def _washer_toothed(p: Part) -> None:
    """A lock washer: twisted teeth around the rim or in the bore."""
    teeth, inside = int(p.rng.integers(8, 17)), p.rng.random() < 0.4
    r, bore = (0.92, 0.66) if inside else (0.68, p.rng.uniform(0.42, 0.52))
    step, reach = np.pi / teeth, p.rng.uniform(0.2, 0.25)
    half = (bore if inside else r) * step * 0.72
    skew = p.rng.uniform(0.03, 0.08)
    # a tooth stands on the circle that it grows from, and leans
    tooth = np.array([[-0.06, -half], [reach, skew - half], [reach, skew + half], [-0.06, half]])
    if inside:
        tooth[:, 0] *= -1
    blades = sh.ring_of(tooth, teeth, bore if inside else r)
    tone = (*_STEEL, "gold")
    body = coloured_body(p, "metal", tone, sector(0, 0, bore, r), *blades, relief=0.7)
    sides = [np.stack([b[0], b[1], (b[1] + b[2]) / 2, (b[0] + b[3]) / 2]) for b in blades]
    p.detail(*sides, like=body, shade=p.rng.uniform(0.4, 0.65), relief=-0.3)
    lit = [np.stack([b[1], b[2], b[2] * 0.95, b[1] * 0.95]) for b in blades]
    p.detail(*lit, like=body, shade=1.4, relief=0.4)
    p.detail(sector(0, 0, r - 0.03, r), like=body, shade=0.75, relief=-0.2)


def _washer_split(p: Part) -> None:
    """A spring washer from aside: a thick square coil cut through, one end above the other."""
    squash, deep = p.rng.uniform(0.6, 0.88), p.rng.uniform(0.16, 0.26)
    inner, rise = p.rng.uniform(0.52, 0.64), p.rng.uniform(0.08, 0.2)
    cut, gap = p.rng.uniform(0.4, 1.2), p.rng.uniform(0.1, 0.22)
    a = np.linspace(cut + gap / 2, cut + 2 * np.pi - gap / 2, 48)
    lift = np.linspace(rise, -rise, 48) / 2 - deep / 2
    skew = np.linspace(0, gap * 0.6, 48)  # the cut runs aslant
    rim = _around(0.92, a, squash, lift)
    mouth = _around(inner, a + skew - gap * 0.3, squash, lift)
    top = np.concatenate([rim, mouth[::-1]])
    down = np.array([0, deep])
    wall = np.concatenate([rim, rim[::-1] + down])
    throat = np.concatenate([mouth, mouth[::-1] + down])
    ends = [np.stack([rim[k], mouth[k], mouth[k] + down, rim[k] + down]) for k in (0, -1)]
    body = coloured_body(p, "metal", _STEEL, wall, throat, *ends, top, relief=0.5)
    p.detail(throat, like=body, shade=0.4, relief=-0.2)
    p.detail(wall, like=body, shade=0.55, relief=0.2)
    p.detail(*ends, like=body, shade=0.8, relief=0.1)
    p.detail(top, like=body, shade=1.1, relief=0.7)
    edge = np.concatenate([rim, (rim * 0.97 + mouth * 0.03)[::-1]])
    p.detail(edge, like=body, shade=1.5, relief=0.2)


def _ring_plain(p: Part) -> None:
    """A slim ring."""
    inner = p.rng.uniform(0.68, 0.86)
    p.body(p.pick("metal", "rubber", "plastic"), sh.circle(0, 0, 0.9), relief=1.0)
    p.hole(sh.circle(0, 0, 0.9 * inner))


def _ring_retaining(p: Part) -> None:
    """A retaining ring: open, thickest opposite its gap, with an eared hole at either end."""
    gap, outside = p.rng.uniform(0.25, 0.55), p.rng.random() < 0.5
    a = np.linspace(gap / 2, 2 * np.pi - gap / 2, 60)
    thick = p.rng.uniform(0.1, 0.15) + p.rng.uniform(0.05, 0.1) * np.sin(a / 2) ** 2
    r = 0.76 if outside else 0.9
    line = np.stack([np.cos(a), np.sin(a)], axis=1)
    band = np.concatenate([line * r, (line * (r - thick)[:, None])[::-1]])
    size, ears, eyes = p.rng.uniform(0.13, 0.17), list[sh.Points](), list[sh.Points]()
    at = r + size * 0.35 if outside else r - size * 1.05
    for s in (-1, 1):
        turn = s * (gap / 2 + size * 0.6)
        ear = sh.rounded(at, 0, size * 1.05, size * 0.8, size * 0.7)
        ears.append(spun(ear, turn))
        eyes.append(spun(sh.circle(at, 0, size * 0.42, 20), turn))
    body = coloured_body(p, "metal", _STEEL, band, *ears, relief=0.7)
    bevel = np.concatenate([line * (r - 0.02), (line * (r - 0.045))[::-1]])
    p.detail(bevel, like=body, shade=p.rng.uniform(1.2, 1.5), relief=0.2)
    p.hole(*eyes)


def _ring_band(p: Part) -> None:
    """A wide band from aside: the inner wall shows behind, stones or grooves run in front."""
    squash, tall = p.rng.uniform(0.35, 0.6), p.rng.uniform(0.3, 0.5)
    wall = p.rng.uniform(0.05, 0.1)
    full = np.linspace(0, 2 * np.pi, 60)
    front = np.linspace(0, np.pi, 32)
    rim, lip = _around(0.92, full, squash, -tall / 2), _around(0.92 - wall, full, squash, -tall / 2)
    near = _around(0.92, front, squash, -tall / 2)
    outside = np.concatenate([near, shifted(near[::-1], 0, tall)])
    body = coloured_body(p, p.pick("metal", "metal", "plastic"), _STEEL, rim, outside, relief=0.5)
    p.detail(lip, like=body, shade=0.45, relief=-0.5)
    # ground shows through the band's open lower end, as far as the near rim lets the eye look
    low = _around(0.92 - wall, full, squash, tall / 2)
    reach = np.sqrt(np.clip(1 - (low[:, 0] / (0.92 - wall)) ** 2, 0, 1)) * (0.92 - wall) * squash
    low[:, 1] = np.minimum(low[:, 1], reach - tall / 2)
    if tall < 1.8 * (0.92 - wall) * squash:
        p.hole(low)
    p.detail(outside, like=body, shade=0.85, relief=0.5)
    p.detail(np.concatenate([rim, lip[::-1]]), like=body, shade=1.4, relief=0.4)
    if p.rng.random() < 0.5:
        lines = [_around(0.92, front, squash, tall * (k - 0.5)) for k in (0.2, 0.8)]
        p.detail(*[sh.stroke(g, 0.03) for g in lines], like=body, shade=0.4, relief=-0.5)
    else:
        beads = [
            sh.ellipse(x, y, 0.05 * float(np.sin(t)) + 0.02, tall * 0.22, 16)
            for t in np.linspace(0.5, np.pi - 0.5, int(p.rng.integers(5, 10)))
            for x, y in _around(0.92, np.array([t]), squash, 0.0)
        ]
        p.detail(*beads, like=coloured(p, "glass", "white", "cyan", "green", "brown"), relief=0.8)
    p.detail(
        sh.stroke(_around(0.92, front, squash, tall / 2 - 0.02), 0.035),
        like=body,
        shade=0.55,
        relief=0.2,
    )


def _key_cut(p: Part) -> None:
    """A round bow and a blade cut along one side."""
    teeth = np.array(
        [[-0.3, -0.12], [0.95, -0.12], [0.95, 0.02]]
        + [[0.9 - 0.12 * k, 0.02 + p.rng.uniform(0.02, 0.2)] for k in range(8)]
        + [[-0.3, 0.12]]
    )
    p.body("metal", sh.circle(-0.58, 0, 0.38), teeth)
    p.hole(sh.circle(-0.7, 0, 0.12))


def _key_bit(p: Part) -> None:
    """An old key, upright: an open bow of one to three loops, a shank with collars, a bit."""
    loops, w = int(p.pick("1", "2", "3")), p.rng.uniform(0.06, 0.09)
    r, thick = (0.3, 0.22, 0.2)[loops - 1], p.rng.uniform(0.08, 0.12)
    top = -0.95 + r if loops == 1 else -0.62
    spots = [(0.0, top)]
    if loops > 1:
        spots = [(s * r * 0.95, -0.62) for s in (-1, 1)] + [(0.0, -0.78)][: loops - 2]
    if loops == 3:
        spots = [(-0.22, -0.52), (0.22, -0.52), (0.0, -0.75)]
    bow = [sector(x, y, r - thick, r) for x, y in spots]
    shank = sh.rounded(0, 0.25, w, 0.7, 0.05)
    low, tall, wide = 0.9, p.rng.uniform(0.32, 0.46), p.rng.uniform(0.34, 0.46)
    side = float(p.rng.choice([-1, 1]))
    n = int(p.rng.integers(3, 6))
    deep = p.rng.uniform(0.1, wide * 0.5, n) * (np.arange(n) % 2)
    y = np.linspace(low - tall, low - 0.03, n + 1)
    comb = [[0.0, y[0]]]
    for k in range(n):
        comb += [[side * (wide - deep[k]), y[k]], [side * (wide - deep[k]), y[k + 1]]]
    bit = np.array([*comb, [0.0, y[-1]]])
    tones = ("copper", "gold", "grey", "black", "silver", "brown")
    body = coloured_body(p, "metal", tones, *bow, shank, bit, relief=1.0)
    p.detail(sh.rect(-w * 0.3, 0.2, w * 0.25, 0.6), like=body, shade=1.4, relief=0.1)
    p.detail(
        *[sh.rounded(0, c, w * 1.8, 0.035, 0.03) for c in (-0.3, -0.2, low - tall - 0.1)],
        like=body,
        shade=1.15,
        relief=0.8,
    )
    hollow = sh.rect(side * (w + (wide - w) * 0.3), low - tall / 2, 0.02, tall * 0.22)
    p.detail(hollow, like=body, shade=0.3, relief=-0.5)


def _key_car(p: Part) -> None:
    """A moulded head with push buttons, and a blade with waves down both edges and a groove."""
    turn, w = p.rng.uniform(-0.8, 0.8), p.rng.uniform(0.11, 0.15)
    h, long = p.rng.uniform(0.34, 0.44), p.rng.uniform(0.34, 0.46)
    x = np.linspace(-0.3, 0.82, int(p.rng.integers(8, 13)))
    cuts = p.rng.uniform(0.45, 1.0, (2, len(x)))
    cuts[:, :3] = 1.0
    ends = np.array([[0.95, 0.03], [0.95, -0.03]])
    upper, lower = np.stack([x, -w * cuts[0]], axis=1), np.stack([x, w * cuts[1]], axis=1)
    blade = np.concatenate([upper, ends[::-1], lower[::-1]])
    corner = p.rng.uniform(0.12, h)
    head = sh.rounded(-0.95 + long, 0, long, h, corner)
    head[:, 1] *= 1 - p.rng.uniform(0.0, 0.35) * np.clip(head[:, 0] + 0.95, 0, 1)
    body = coloured_body(p, "plastic", _HEADS, spun(head, turn), spun(blade, turn), relief=0.8)
    steel = coloured(p, "metal", "silver", "silver", "grey", "gold")
    metal = p.detail(spun(blade, turn), like=steel, relief=0.2)
    p.detail(
        spun(sh.rounded(0.3, 0, 0.55, w * 0.14, 0.02), turn), like=metal, shade=0.4, relief=-0.6
    )
    p.detail(
        spun(sh.rect(-0.28 + (long - 0.34) * 2, 0, 0.04, w * 1.3), turn), like=metal, shade=0.8
    )
    p.detail(spun(head, turn), like=body, relief=0.9)
    inset = (head - head.mean(axis=0)) * 0.86 + head.mean(axis=0)
    p.detail(spun(inset, turn), like=body, shade=1.25, relief=0.2)
    keys = row(int(p.rng.integers(2, 4)), long * 0.6)
    pads = [spun(sh.rounded(k - 0.9 + long, 0, 0.08, h * 0.42, 0.06), turn) for k in keys]
    pad = p.detail(*pads, like=coloured(p, "rubber", "grey", "black", "red"), relief=0.6)
    marks = [spun(shifted(sector(0, 0, 0.03, 0.05), k - 0.9 + long, 0), turn) for k in keys]
    p.detail(*marks, like=pad, shade=2.5, relief=0.0)
    p.hole(spun(sh.circle(-0.86, 0, 0.05, 20), turn))


def _around(r: float, a: sh.Points, squash: float, lift: float | sh.Points) -> sh.Points:
    """Points of a lying circle seen from aside, ``lift`` below the middle."""
    return np.stack([r * np.cos(a), r * squash * np.sin(a) + lift], axis=1)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "key": Variants(trained=(_key_cut, _key_bit), held_out=(_key_car,)),
    "ring": Variants(trained=(_ring_plain, _ring_retaining), held_out=(_ring_band,)),
    "washer": Variants(trained=(_washer_flat, _washer_toothed), held_out=(_washer_split,)),
}
