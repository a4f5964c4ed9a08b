"""Syringes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["SYRINGES"]

_CLEAR = ("white", "white", "cyan", "beige", "silver")


def _lying(points: sh.Points) -> sh.Points:
    """An upright outline laid on its side."""
    return points[:, ::-1].copy()


def _syringe_needle(p: Part) -> None:
    """Lying: needle, hub, barrel with a scale, stopper, rod and thumb rest."""
    h, start, end = p.rng.uniform(0.16, 0.27), p.rng.uniform(-0.45, -0.3), p.rng.uniform(0.4, 0.55)
    barrel = coloured_body(
        p,
        "plastic",
        _CLEAR,
        sh.rounded((start + end) / 2, 0, (end - start) / 2, h, 0.06),
        sh.rounded(end, 0, 0.035, h * p.rng.uniform(1.6, 2.1), 0.03),
        relief=1.0,
    )
    at = p.rng.uniform(start + 0.2, end - 0.15)
    fluid = coloured(p, "glass", "cyan", "green", "brown", "white")
    p.detail(sh.rect((start + at) / 2 + 0.02, 0, (at - start) / 2, h * 0.8), like=fluid, relief=0.1)
    tail = p.rng.uniform(0.8, 0.92)
    rod = p.detail(
        sh.rect((at + tail) / 2, 0, (tail - at) / 2, h * p.rng.uniform(0.25, 0.5)),
        sh.rounded(tail, 0, 0.035, h * p.rng.uniform(1.0, 1.5), 0.03),
        like=barrel if p.rng.random() < 0.5 else coloured(p, "plastic", "white", "blue", "grey"),
        shade=0.8,
        relief=0.7,
    )
    p.detail(sh.rect((at + tail) / 2, 0, (tail - at) / 2, 0.012), like=rod, shade=0.6, relief=0.2)
    p.detail(
        sh.rounded(at, 0, 0.06, h * 0.86, 0.03),
        like=coloured(p, "rubber", "black", "grey"),
        relief=0.5,
    )
    hub = _lying(taper(0, start - 0.1, h * 0.3, h * 0.55, 0.11))
    p.detail(
        hub, like=coloured(p, "plastic", "green", "blue", "orange", "pink", "yellow"), relief=0.8
    )
    p.detail(
        sh.rect((start - 0.2 - 0.96) / 2, 0, (start + 0.76) / 2, 0.018),
        material="metal",
        relief=0.6,
    )
    n = int(p.rng.integers(8, 17))
    side = float(p.rng.choice([-1, 1]))
    ticks = []
    for k, x in enumerate(np.linspace(start + 0.08, end - 0.08, n)):
        long = h * (0.3 if k % 4 == 0 else 0.16)
        ticks.append(sh.rect(float(x), side * (h * 0.92 - long), 0.01, long))
    p.print(*ticks)


def _syringe_capped(p: Part) -> None:
    """Upright and stout: capped tip, ribbed rod, two sealing rings, finger wings."""
    w, top, low = p.rng.uniform(0.2, 0.34), p.rng.uniform(-0.3, -0.1), 0.62
    barrel = coloured_body(
        p,
        p.pick("plastic", "glass"),
        _CLEAR,
        sh.rect(0, (top + low) / 2, w, (low - top) / 2),
        taper(0, low + 0.04, w, w * 0.35, 0.05),
        sh.ellipse(0, top, w * p.rng.uniform(1.7, 2.3), 0.05),
        relief=1.0,
    )
    tint = coloured(p, "plastic", "purple", "orange", "blue", "white", "green", "red")
    at = p.rng.uniform(top + 0.15, low - 0.15)
    ribs = [sh.rect(s * w * 0.45, (at - 0.85) / 2, w * 0.07, (at + 0.85) / 2) for s in (-1, 0, 1)]
    rod = p.detail(*ribs, like=tint, relief=0.5)
    discs = [sh.rect(0, y, w * 0.6, 0.022) for y in np.linspace(-0.7, at - 0.12, 4)]
    p.detail(*discs, like=rod, shade=0.8, relief=0.4)
    p.detail(sh.rounded(0, -0.89, w * p.rng.uniform(0.9, 1.3), 0.045, 0.04), like=rod, relief=0.8)
    rings = [sh.rounded(0, at + k, w * 0.93, 0.035, 0.03) for k in (-0.06, 0.03)]
    p.detail(*rings, like=coloured(p, "rubber", "black", "grey", "red"), relief=0.5)
    p.detail(
        sh.rounded(0, 0.81, w * p.rng.uniform(0.4, 0.6), 0.13, 0.05),
        like=tint,
        shade=0.9,
        relief=0.8,
    )
    grooves = [sh.rect(x, 0.82, 0.01, 0.09) for x in row(4, w * 0.4)]
    p.detail(*grooves, like=tint, shade=0.5, relief=-0.2)
    marks = [
        sh.rect(w * 0.5, float(y), w * 0.4, 0.01)
        for y in np.linspace(top + 0.15, low - 0.05, int(p.rng.integers(4, 9)))
    ]
    p.print(*marks, *sh.glyphs(p.rng, -w * 0.4, (top + low) / 2 + 0.1, 2, w * 0.4))
    p.detail(
        sh.rect(-w * 0.8, (top + low) / 2, w * 0.06, (low - top) * 0.42),
        like=barrel,
        shade=1.3,
        relief=0,
    )


def _syringe_rings(p: Part) -> None:
    """A dental syringe: metal frame with windows, two finger rings and a thumb ring."""
    h, a, b = p.rng.uniform(0.14, 0.22), p.rng.uniform(-0.55, -0.45), p.rng.uniform(0.1, 0.22)
    r, thick = p.rng.uniform(0.15, 0.2), p.rng.uniform(0.05, 0.075)
    thumb, tail = p.rng.uniform(0.16, 0.21), 0.95
    frame = p.body(
        "metal",
        sh.rounded((a + b) / 2, 0, (b - a) / 2, h, 0.04),
        _lying(taper(0, a - 0.05, 0.05, h * 0.9, 0.08)),
        *[sector(b + 0.05, s * (h + r - 0.02), r - thick, r) for s in (-1, 1)],
        sh.rect(b + 0.05, 0, 0.08, h * 1.2),
        sh.rect((b + tail - 2 * thumb) / 2, 0, (tail - 2 * thumb - b) / 2 + 0.04, 0.035),
        sector(tail - thumb, 0, thumb - thick, thumb),
        relief=0.9,
    )
    ampoule = coloured(p, "glass", "cyan", "white", "brown", "green")
    p.detail(
        sh.rounded((a + b) / 2, 0, (b - a) / 2 - 0.06, h * 0.66, 0.04), like=ampoule, relief=0.3
    )
    at = p.rng.uniform(a + 0.2, b - 0.1)
    p.detail(
        sh.rect(at, 0, 0.045, h * 0.64),
        like=coloured(p, "rubber", "red", "black", "grey"),
        relief=0.3,
    )
    bars = [sh.rect(a + (b - a) * k, 0, 0.02, h * 0.95) for k in (0.25, 0.5, 0.75)]
    p.detail(*bars, like=frame, shade=0.9, relief=0.5)
    knurl = [sh.rect(x, 0, 0.012, h * 0.85) for x in np.linspace(a - 0.02, a + 0.05, 3)]
    knurl += [sh.rect(b + 0.05 + x, 0, 0.012, h * 1.05) for x in (-0.05, 0.0, 0.05)]
    p.detail(*knurl, like=frame, shade=0.4, relief=-0.4)
    p.detail(
        sh.rounded(a - 0.16, 0, 0.06, 0.055, 0.03),
        like=coloured(p, "plastic", "blue", "orange", "yellow", "white", "red"),
        relief=0.6,
    )
    p.detail(
        sh.rect((a - 0.22 - 0.96) / 2, 0, (a + 0.74) / 2, 0.016), like=frame, shade=1.2, relief=0.5
    )
    if p.rng.random() < 0.6:
        screw = sh.ngon(b + 0.15, 0, 0.05, 6)
        p.detail(screw, like=frame, shade=0.7, relief=0.6)
    p.detail(
        *[sh.circle(b + 0.05, s * (h + 0.01), 0.03, 14) for s in (-1, 1)], like=frame, shade=0.5
    )


SYRINGES: dict[str, Variants[Callable[[Part], None]]] = {
    "syringe": Variants((_syringe_needle, _syringe_capped), (_syringe_rings,)),
}
