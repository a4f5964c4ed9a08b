"""Scratches and cracks. The held-out ones: broken or zig-zag lines; stars with rings."""

from __future__ import annotations

import numpy as np

from training import shapes as sh
from training.catalogue.variants import Variants
from training.defects_common import (
    Damage,
    Layers,
    Rng,
    Site,
    arc,
    flat,
    ink,
    mark,
    path,
    shaded,
    size,
    spun,
)
from training.textures import Texture

__all__ = ["CRACK", "SCRATCH"]


def _straight(layers: Layers, site: Site, rng: Rng) -> Layers:
    """One to three long strokes that taper off."""
    strokes = []
    for _ in range(int(rng.integers(1, 4))):
        line = path(rng, site.spot, size(rng, 0.25, 1.2), 0.04, 10)
        taper = size(rng, 0.012, 0.04) * np.sin(np.linspace(0.25, np.pi - 0.25, 11))
        strokes.append(sh.stroke(line + rng.normal(0, 0.04, 2), taper))
    return [*layers, mark(ink(rng, site, 0.4), *strokes, relief=-0.2, opacity=_cover(rng))]


def _scuff(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A sweep of parallel hairlines, all of one curvature."""
    r, span, start = size(rng, 0.4, 3.0), size(rng, 0.25, 0.9), rng.uniform(0, 2 * np.pi)
    x, y = site.spot[0] - r * np.cos(start), site.spot[1] - r * np.sin(start)
    wide, lines = size(rng, 0.06, 0.3), int(rng.integers(5, 16))
    strokes = []
    for offset in rng.uniform(-wide / 2, wide / 2, lines):
        half = span / r / 2 * rng.uniform(0.4, 1)
        lag = rng.normal(0, 0.2) * half
        line = arc(x, y, r + offset, (start - half + lag, start + half + lag), 12)
        strokes.append(sh.stroke(line, size(rng, 0.008, 0.018)))
    return [*layers, mark(ink(rng, site, 0.3), *strokes, relief=-0.12, opacity=_cover(rng))]


def _broken_line(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A tool that chattered: a row of dashes, or a zig-zag without a pause."""
    length, angle = size(rng, 0.4, 1.3), rng.uniform(0, 2 * np.pi)
    width = size(rng, 0.014, 0.035)
    if rng.random() < 0.5:
        n = int(rng.integers(5, 14))
        x = np.linspace(-length / 2, length / 2, n)
        dash = length / n * rng.uniform(0.2, 0.36)
        lines = [np.stack([[c - dash, 0.0], [c + dash, rng.normal(0, 0.01)]]) for c in x]
    else:
        n = int(rng.integers(6, 13))
        x = np.linspace(-length / 2, length / 2, n)
        tall = size(rng, 0.03, 0.1) * rng.uniform(0.7, 1.2, n)
        corners = np.stack([x, tall * (-1) ** np.arange(n)], axis=1)
        lines = [corners[k : k + 2] for k in range(n - 1)]
    strokes = [sh.stroke(spun(line, angle) + site.spot, width) for line in lines]
    return [*layers, mark(ink(rng, site, 0.4), *strokes, relief=-0.2, opacity=_cover(rng))]


def _walk(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A jagged line, sometimes with one fork."""
    line = path(rng, site.spot, size(rng, 0.4, 1.6), 0.45, 14)
    width = size(rng, 0.014, 0.05) * np.sin(np.linspace(0.2, np.pi - 0.2, 15))
    strokes = [sh.stroke(line, width)]
    if rng.random() < 0.5:
        fork = path(rng, (0, 0), size(rng, 0.2, 0.6), 0.4, 8)
        strokes.append(sh.stroke(fork - fork[0] + line[7], size(rng, 0.012, 0.03)))
    return [*layers, mark(_depth(rng, site), *strokes, relief=-0.5)]


def _tree(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A trunk from the rim inwards; each of its branches is thinner and may branch again."""
    start = np.asarray(site.rim) if rng.random() < 0.6 else np.asarray(site.spot)
    heading = np.arctan2(-site.outward[1], -site.outward[0]) + rng.normal(0, 0.4)
    strokes: list[sh.Points] = []
    todo = [(start, heading, size(rng, 0.4, 1.1), size(rng, 0.016, 0.04))]
    while todo and len(strokes) < 9:
        at, turn, length, width = todo.pop(0)
        turns = turn + np.cumsum(rng.normal(0, 0.25, 8))
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / 8
        line = np.concatenate([at[None], at + np.cumsum(steps, axis=0)])
        strokes.append(sh.stroke(line, width * np.linspace(1, 0.35, 9)))
        for _ in range(int(rng.integers(0, 3)) if length > 0.2 else 0):
            k = int(rng.integers(2, 7))
            side = rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
            todo.append((line[k], turns[k] + side, length * rng.uniform(0.35, 0.6), width * 0.7))
    return [*layers, mark(_depth(rng, site), *strokes, relief=-0.4)]


def _hairline(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A faint dark line, a pixel or two wide, across the whole part."""
    line = path(rng, site.spot, size(rng, 1.2, 2.8), rng.uniform(0.08, 0.3), 22)
    texture = shaded(site, rng.uniform(0.35, 0.75))
    if np.mean(site.colour) < 0.2:
        texture = shaded(site, rng.uniform(1.15, 1.4))
    stroke = sh.stroke(line, size(rng, 0.012, 0.024))
    return [*layers, mark(texture, stroke, relief=-0.15, opacity=float(rng.uniform(0.6, 1)))]


def _impact(layers: Layers, site: Site, rng: Rng) -> Layers:
    """What a blow leaves: rays from one point, joined by pieces of rings."""
    rays, reach = int(rng.integers(5, 9)), size(rng, 0.3, 0.9)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rays))
    width = size(rng, 0.011, 0.02)
    strokes = []
    for a in angles:
        along = np.linspace(0, reach * rng.uniform(0.5, 1.1), 6)
        bend = a + np.concatenate([[0], np.cumsum(rng.normal(0, 0.04, 5))])
        line = np.stack([along * np.cos(bend), along * np.sin(bend)], axis=1) + site.spot
        strokes.append(sh.stroke(line, width * np.linspace(1.3, 0.4, 6)))
    for r in reach * rng.uniform(0.25, 0.75, int(rng.integers(1, 4))):
        k = int(rng.integers(rays))
        end = angles[(k + 2) % rays] + (2 * np.pi if k + 2 >= rays else 0)
        strokes.append(sh.stroke(arc(*site.spot, r, (angles[k], end), 12), width * 0.8))
    return [*layers, mark(_depth(rng, site), *strokes, relief=-0.5)]


def _cover(rng: Rng) -> float:
    return size(rng, 0.25, 1.0)


def _depth(rng: Rng, site: Site) -> Texture:
    """The dark inside of a crack; on a dark part its lit edge."""
    base = np.asarray(site.colour) * size(rng, 0.08, 0.75)
    if base.mean() < 0.04:
        base = base + rng.uniform(0.15, 0.35)
    return flat((float(base[0]), float(base[1]), float(base[2])), 0.0)


SCRATCH: Variants[Damage] = Variants((_straight, _scuff), (_broken_line,))
CRACK: Variants[Damage] = Variants((_walk, _tree, _hairline), (_impact,))
