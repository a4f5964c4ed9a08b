"""Hazelnuts and macaroni."""

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


def _nut(w: float, tip: float) -> sh.Points:
    """A nut from the side: round, with a small point above and a flat foot."""
    a = np.linspace(-np.pi, np.pi, 60, endpoint=False)
    point = tip * np.exp(-((a / 0.2) ** 2))
    y = np.minimum(-0.84 * np.cos(a) - point, 0.76)
    return np.stack([w * np.sin(a) * (1 + 0.06 * y), y], axis=1)


def _hazelnut_side(p: Part) -> None:
    """From the side: pointed, with fine stripes, on its pale rough scar."""
    w, tip = p.rng.uniform(0.7, 0.92), p.rng.uniform(0.03, 0.16)
    lean = p.rng.uniform(-0.4, 0.4)
    shell = coloured_body(p, "wood", _NUTTY, spun(_nut(w, tip), lean), relief=1.0)
    stripes = []
    for a in np.sort(p.rng.uniform(-1.3, 1.3, int(p.rng.integers(9, 20)))):
        y = np.linspace(p.rng.uniform(-0.75, -0.5), p.rng.uniform(0.2, 0.55), 12)
        line = np.stack([w * np.sin(a) * np.sqrt(1 - (y / 0.84) ** 2), y], axis=1)
        stripes.append(spun(sh.stroke(line, p.rng.uniform(0.015, 0.035)), lean))
    p.detail(*stripes, like=shell, shade=p.rng.uniform(0.6, 0.85), relief=-0.1)
    t = np.linspace(0, np.pi, 24)
    edge = 0.5 + p.rng.uniform(-0.1, 0.08) + 0.05 * np.cos(5 * t + p.rng.uniform(0, 6))
    scar_top = np.stack([np.cos(t) * w * 0.7, edge + 0.12 * np.sin(t)], axis=1)
    scar_low = np.stack([-np.cos(t) * w * 0.6, 0.66 + 0.14 * np.sin(t)], axis=1)
    scar = coloured(p, "stone", "beige", "beige", "grey", "white")
    p.detail(spun(np.concatenate([scar_top, scar_low]), lean), like=scar, relief=0.2)
    warts = scattered(p.rng, 14, w * 0.6, 0.07, 0.06)
    p.detail(
        *[spun(sh.circle(x, 0.77 + y, 0.025, 10), lean) for x, y in warts], like=scar, shade=0.6
    )
    p.detail(
        spun(sh.ellipse(0, -0.8 - tip, 0.05, 0.06, 20), lean), like=shell, shade=1.5, relief=0.5
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
    w, y = p.rng.uniform(0.46, 0.56), p.rng.uniform(-0.2, -0.05)
    nut = shifted(_nut(w / 0.64, p.rng.uniform(0.05, 0.2)) * 0.64, 0, y)
    shell = p.detail(nut, like=coloured(p, "wood", *_NUTTY), relief=1.0)
    t = np.linspace(-0.46, 0.2, 9)
    lines = [
        sh.stroke(np.stack([w * k * np.sqrt(1 - (t / 0.54) ** 2), t + y], axis=1), 0.025)
        for k in row(int(p.rng.integers(5, 9)), 0.9)
    ]
    p.detail(*lines, like=shell, shade=0.65, relief=-0.2)
    front = []
    for k, x in enumerate(row(int(p.rng.integers(4, 7)), 0.5)):
        long = p.rng.uniform(0.25, 0.42) if k % 2 else p.rng.uniform(0.35, 0.6)
        leaf = profile([(-long, 0.0), (-long * 0.5, 0.08), (0.1, 0.15), (0.4, 0.09)])
        front.append(spun(leaf, x * 0.9, x, 0.3 - 0.05 * (k % 2)))
    p.detail(*front, like=green, shade=p.rng.uniform(0.8, 1.2), relief=0.8)
    p.detail(
        *[sh.moved(f, 0, 0, 0, 0.5) for f in front],
        like=green,
        shade=0.65,
        relief=-0.1,
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
    dark = [sh.moved(m, 0, 0, 0, p.rng.uniform(0.55, 0.75)) for m in mouths]
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
    p.detail(sh.moved(front, 0, 0, 0, wall), like=body, shade=0.55, relief=-0.8)
    deep = shifted(sh.moved(front, 0, 0, 0, wall * 0.7), -rx * 0.12, 0)
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
        *[sh.moved(m, 0, 0, 0, 0.7) for m in mouths],
        like=body,
        shade=0.3,
        relief=-0.8,
    )


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    "hazelnut": Variants(trained=(_hazelnut_side, _hazelnut_below), held_out=(_hazelnut_husk,)),
    "macaroni": Variants(trained=(_macaroni_elbow, _macaroni_straight), held_out=(_macaroni_horn,)),
}
