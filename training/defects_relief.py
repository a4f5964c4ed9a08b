"""Dents and foreign bodies. Held out: impressions of a ring or frame; swarf and insects."""

from __future__ import annotations

import numpy as np

from training import shapes as sh
from training.catalogue.variants import Variants
from training.defects_common import (
    BLACK,
    Damage,
    Layers,
    Rng,
    Site,
    arc,
    flat,
    ink,
    mark,
    near,
    path,
    shaded,
    size,
    spun,
)
from training.layers import Layer
from training.palette import MATERIALS, dark, material_texture
from training.textures import Texture

__all__ = ["DENT", "FOREIGN"]

_SOFT = frozenset({"cardboard", "fabric", "leather", "paper", "plastic", "rubber"})


def _dent_bump(layers: Layers, site: Site, rng: Rng) -> Layers:
    """One bump or hollow."""
    wide = size(rng, 0.08, 0.3)
    bump = sh.blob(rng, *site.spot, wide)
    return [*layers, _pressed(rng, wide, bump, soft=wide * 0.3)]


def _dent_crease(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A fold with a lit and a dark side; in a soft material a bundle of wrinkles."""
    soft = site.material in _SOFT
    count = int(rng.integers(3, 8)) if soft else int(rng.integers(1, 3))
    length, gap, angle = size(rng, 0.3, 1.2), size(rng, 0.06, 0.14), rng.uniform(0, 2 * np.pi)
    t = np.linspace(-1, 1, 14)
    added = []
    for k in range(count):
        wave = 0.04 * np.sin(rng.uniform(2, 5) * t + rng.uniform(0, 6))
        own = length * rng.uniform(0.5, 1) / 2
        line = np.stack([t * own, wave + (k - count / 2) * gap], axis=1)
        wide = gap * rng.uniform(0.3, 0.7) * np.sin(np.linspace(0.2, np.pi - 0.2, 14))
        added.append(sh.stroke(spun(line, angle) + site.spot, wide))
    return [*layers, _pressed(rng, 0.2, *added, soft=0.015)]


def _dent_pits(layers: Layers, site: Site, rng: Rng) -> Layers:
    """Many small pits, as hail or shot leaves them."""
    spread = size(rng, 0.1, 0.35)
    pits = [
        sh.circle(*near(rng, site, spread), size(rng, 0.025, 0.07), 16)
        for _ in range(int(rng.integers(4, 12)))
    ]
    return [*layers, _pressed(rng, 0.12, *pits, soft=0.012)]


def _dent_imprint(layers: Layers, site: Site, rng: Rng) -> Layers:
    """The mark of a tool that was pressed on: a ring or a frame, open inside."""
    wide, r = size(rng, 0.03, 0.08), size(rng, 0.12, 0.35)
    corners = int(rng.choice([0, 0, 3, 4, 6]))
    if corners:
        edge = sh.ngon(*site.spot, r, corners, rng.uniform(0, 6))
        sides = [np.stack([edge[k], edge[(k + 1) % corners]]) for k in range(corners)]
        shapes = [sh.stroke(s, wide) for s in sides]
    else:
        shapes = [sh.stroke(arc(*site.spot, r, (0, 2 * np.pi), 40), wide)]
    return [*layers, _pressed(rng, 0.25, *shapes, soft=0.012)]


def _foreign_debris(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A thick fibre, crumbs, or a flake with corners."""
    texture = _other(rng, site)
    kind = rng.integers(0, 3)
    if kind == 0:
        line = path(rng, site.spot, size(rng, 0.5, 1.6), 0.25, 24)
        shapes = [sh.stroke(line, size(rng, 0.018, 0.05))]
    elif kind == 1:
        shapes = [
            sh.blob(rng, *near(rng, site, 0.12), size(rng, 0.03, 0.08))
            for _ in range(int(rng.integers(2, 7)))
        ]
    else:
        n = int(rng.integers(3, 8))
        shapes = [sh.ngon(*site.spot, size(rng, 0.1, 0.28), n, rng.uniform(0, 6))]
    return [*layers, mark(texture, *shapes, relief=0.7, inside=False)]


def _foreign_lump(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A shaded lump: its shadow, its dark foot, its body and a lit top."""
    r, texture = size(rng, 0.06, 0.24), _other(rng, site)
    x, y = site.spot
    foot = sh.blob(rng, x, y, r, 0.35)
    body = (foot - site.spot) * 0.86 + site.spot - r * 0.05
    top = (foot - site.spot) * 0.4 + site.spot - r * rng.uniform(0.1, 0.3)
    low = Texture(texture.kind, dark(texture.low, 0.5), dark(texture.high, 0.5), texture.knobs)
    high = flat(dark(texture.high, 1.35))
    added = [
        mark(BLACK, foot + r * 0.18, opacity=0.4, soft=r * 0.15, inside=False),
        mark(low, foot, relief=0.5, inside=False),
        mark(texture, body, relief=0.9, soft=r * 0.05, inside=False),
        mark(high, top, opacity=0.5, soft=r * 0.15, inside=False),
    ]
    return [*layers, *added]


def _foreign_hair(layers: Layers, site: Site, rng: Rng) -> Layers:
    """Hairs, one or two pixels wide, that curl."""
    hairs = []
    for _ in range(int(rng.integers(1, 5))):
        n, curl = 26, rng.normal(0, 0.12)
        turns = rng.uniform(0, 6.3) + curl * np.arange(n) + np.cumsum(rng.normal(0, 0.08, n))
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * size(rng, 0.4, 1.4) / n
        line = np.cumsum(steps, axis=0)
        hairs.append(sh.stroke(line - line[n // 2] + near(rng, site, 0.08), size(rng, 0.012, 0.02)))
    texture = ink(rng, site, 0.7)
    cover = float(rng.uniform(0.5, 1))
    return [*layers, mark(texture, *hairs, relief=0.15, opacity=cover, inside=False)]


def _foreign_swarf(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A chip of the lathe: a helix seen from the side."""
    turns, r = rng.uniform(3, 8), size(rng, 0.04, 0.11)
    t = np.linspace(0, 2 * np.pi * turns, int(12 * turns))
    line = np.stack([r * 0.35 * t / np.pi + r * np.cos(t), r * np.sin(t)], axis=1)
    line = spun(line - line.mean(axis=0), rng.uniform(0, 2 * np.pi)) + site.spot
    metal = material_texture(rng, "metal")[0]
    near_it = abs(np.mean(metal.high) - np.mean(site.colour)) < 0.15
    texture = ink(rng, site, 0.5) if near_it else metal
    rings = [sh.stroke(line[k : k + 7], 0.022) for k in range(0, len(line) - 6, 6)]
    shadow = mark(BLACK, *[s + 0.03 for s in rings], opacity=0.3, soft=0.015, inside=False)
    return [*layers, shadow, mark(texture, *rings, relief=0.6, inside=False)]


def _foreign_insect(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A small fly: three body parts, six legs and two wings."""
    s, turn = size(rng, 0.08, 0.17), rng.uniform(0, 2 * np.pi)
    body = [
        sh.ellipse(-1.1 * s, 0, s * 0.95, s * 0.5, 20),
        sh.ellipse(0, 0, s * 0.5, s * 0.38, 20),
        sh.circle(0.65 * s, 0, s * 0.3, 16),
    ]
    legs = []
    for side in (-1, 1):
        for k in (-1, 0, 1):
            knee = np.array([0.6 * k * s, side * 0.9 * s])
            foot = knee + np.array([0.35 * k * s, side * 0.5 * s])
            legs.append(sh.stroke(np.stack([[0.2 * k * s, 0], knee, foot]), 0.1 * s))
    wings = [spun(sh.ellipse(-1.2 * s, 0, 1.3 * s, s * 0.4, 20), a) for a in (-0.5, 0.5)]
    placed = [[spun(p, turn) + site.spot for p in g] for g in (wings, legs, body)]
    shade = 0.08 if np.mean(site.colour) > 0.25 else 0.6
    black = flat((shade, shade * 0.9, shade * 0.8), 0.3)
    return [
        *layers,
        mark(shaded(site, 1.4), *placed[0], opacity=0.6, inside=False),
        mark(black, *placed[1], inside=False),
        mark(black, *placed[2], relief=0.5, inside=False),
    ]


def _pressed(rng: Rng, wide: float, *shapes: sh.Points, soft: float) -> Layer:
    """Relief alone, up or down."""
    depth = float(rng.uniform(1.2, 3.5) * rng.choice([-1, 1]) * (0.5 + wide * 4))
    return mark(BLACK, *shapes, relief=depth, opacity=0.0, soft=soft)


def _other(rng: Rng, site: Site) -> Texture:
    """Some material that differs from the colour at the spot."""
    texture, _ = material_texture(rng, str(rng.choice(sorted(MATERIALS))))
    if abs(np.mean(texture.low) - np.mean(site.colour)) < 0.15:
        texture = ink(rng, site)
    return texture


DENT: Variants[Damage] = Variants((_dent_bump, _dent_crease, _dent_pits), (_dent_imprint,))
FOREIGN: Variants[Damage] = Variants(
    (_foreign_debris, _foreign_lump, _foreign_hair), (_foreign_swarf, _foreign_insect)
)
