"""Part families of electrical goods: boards, connectors, cables, batteries, transistors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.layers import Part

__all__ = ["ELECTRIC_PARTS"]


def _battery(p: Part) -> None:
    h = p.rng.uniform(0.3, 0.45)
    p.body(p.pick("metal", "plastic"), sh.rounded(-0.03, 0, 0.85, h, 0.06), relief=1.0)
    p.detail(sh.rect(-0.6, 0, 0.28, h), relief=0.6)
    p.detail(sh.rect(0.88, 0, 0.07, h * 0.35), material="metal", relief=0.6)
    p.print(*sh.glyphs(p.rng, 0.2, 0, 4, 0.16))


def _board(p: Part) -> None:
    body = p.body("plastic", sh.rounded(0, 0, 0.95, p.rng.uniform(0.65, 0.95), 0.05))
    traces = []
    for _ in range(int(p.rng.integers(4, 10))):
        x, y = p.rng.uniform(-0.8, 0.8), p.rng.uniform(-0.6, 0.6)
        dx, dy = p.rng.uniform(-0.5, 0.5, 2)
        line = np.array([[x, y], [x + dx, y], [x + dx * 1.2, y + dy]])
        traces.append(sh.stroke(np.clip(line, -0.88, 0.88) * [1, 0.65], 0.035))
    p.detail(*traces, like=body, shade=1.5, relief=0.05)
    spots = [(x, y) for x in (-0.6, -0.2, 0.2, 0.6) for y in (-0.4, 0.0, 0.4)]
    p.rng.shuffle(spots)
    chips, tins = spots[:3], spots[3:9]
    p.detail(*[sh.rect(x, y, 0.15, 0.12) for x, y in chips], material="rubber", relief=0.8)
    p.detail(*[sh.rounded(x, y, 0.1, 0.06, 0.03) for x, y in tins[:3]], relief=0.6)
    p.detail(*[sh.circle(x, y, 0.06) for x, y in tins[3:]], material="metal", relief=0.5)


def _cable(p: Part) -> None:
    p.body(p.pick("rubber", "plastic"), sh.circle(0, 0, 0.93))
    cores = sh.ring_of(sh.circle(0, 0, 0.36), 3, 0.46, p.rng.uniform(0, 6))
    for core in cores:
        p.detail(core)
    wire = [
        sh.circle(x, y, 0.06, 12)
        for x in np.arange(-0.18, 0.2, 0.12)
        for y in np.arange(-0.18, 0.2, 0.12)
    ]
    p.detail(*[w + c.mean(axis=0) for c in cores for w in wire], material="metal", relief=0.6)


def _connector(p: Part) -> None:
    rows, columns = int(p.rng.integers(1, 4)), int(p.rng.integers(4, 9))
    h = 0.2 + 0.16 * rows
    body = p.body("plastic", sh.rounded(0, 0, 0.95, h, 0.08))
    p.detail(sh.rounded(0, 0, 0.85, h - 0.1, 0.05), like=body, shade=0.6, relief=-0.5)
    step = 1.5 / columns
    pins = [
        sh.rect(-0.75 + step * (i + 0.5), 0.28 * (j - (rows - 1) / 2), step * 0.28, 0.08)
        for i in range(columns)
        for j in range(rows)
    ]
    p.detail(*pins, material="metal", relief=0.6)


def _transistor(p: Part) -> None:
    legs = int(p.rng.integers(3, 8))
    xs = np.linspace(-0.45, 0.45, legs)
    p.body("metal", *[sh.rect(x, 0.55, 0.05, 0.4) for x in xs], relief=0.4)
    case = p.detail(sh.rounded(0, -0.3, 0.62, 0.5, 0.08), material="rubber", relief=0.8)
    p.detail(sh.circle(-0.45, -0.65, 0.06), like=case, shade=0.4)
    p.print(*sh.glyphs(p.rng, 0, -0.3, 4, 0.13))


ELECTRIC_PARTS: dict[str, Callable[[Part], None]] = {
    "battery": _battery,
    "board": _board,
    "cable": _cable,
    "connector": _connector,
    "transistor": _transistor,
}
