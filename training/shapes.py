"""Outlines in canonical coordinates (x right, y down, a part fills about -1..1): [n, 2] float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Points",
    "blob",
    "circle",
    "cog",
    "ellipse",
    "glyphs",
    "moved",
    "ngon",
    "rect",
    "ring_of",
    "rounded",
    "stroke",
]

Points = NDArray[np.float64]


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 40) -> Points:
    """Ellipse around (x, y)."""
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(a), y + ry * np.sin(a)], axis=1)


def circle(x: float, y: float, r: float, n: int = 40) -> Points:
    """Circle around (x, y)."""
    return ellipse(x, y, r, r, n)


def ngon(x: float, y: float, r: float, n: int, turn: float = 0.0) -> Points:
    """Regular polygon with circumradius ``r``."""
    a = np.linspace(0, 2 * np.pi, n, endpoint=False) + turn
    return np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1)


def rect(x: float, y: float, w: float, h: float) -> Points:
    """Rectangle of half sizes ``w, h`` around (x, y), with points along the sides (for bending)."""
    t = np.linspace(-1, 1, 9)[:-1]
    one = np.ones_like(t)
    sides = [(t, -one), (one, t), (-t, one), (-one, -t)]
    return np.concatenate([np.stack([x + w * a, y + h * b], axis=1) for a, b in sides])


def rounded(x: float, y: float, w: float, h: float, r: float) -> Points:
    """Rectangle with corners of radius ``r``."""
    r = min(r, w, h)
    a = np.linspace(0, np.pi / 2, 6)
    corners = []
    for k, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        angle = a + k * np.pi / 2
        cx, cy = x + sx * (w - r), y + sy * (h - r)
        corners.append(np.stack([cx + r * np.cos(angle), cy + r * np.sin(angle)], axis=1))
    return np.concatenate(corners)


def cog(x: float, y: float, r: float, teeth: int, depth: float) -> Points:
    """Gear outline with trapezoid teeth."""
    step = 2 * np.pi / teeth
    points = []
    for k in range(teeth):
        for part, radius in ((0.0, r - depth), (0.3, r - depth), (0.45, r), (0.85, r)):
            a = (k + part) * step
            points.append((x + radius * np.cos(a), y + radius * np.sin(a)))
    return np.array(points)


def blob(
    rng: np.random.Generator, x: float, y: float, r: float, rough: float = 0.25, *, n: int = 28
) -> Points:
    """A closed irregular outline."""
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = np.ones(n)
    for k in range(2, 6):
        radius += rough / k * rng.normal() * np.cos(k * a + rng.uniform(0, 2 * np.pi)) * 1.5
    radius = np.clip(radius, 0.35, 1.9) * r
    return np.stack([x + radius * np.cos(a), y + radius * np.sin(a)], axis=1)


def stroke(line: Points, width: float | NDArray[np.float64]) -> Points:
    """The outline of a poly-line drawn ``width`` wide (half on each side)."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    half = np.broadcast_to(np.asarray(width) / 2, (len(line),))[:, None]
    return np.concatenate([line + normal * half, (line - normal * half)[::-1]])


def moved(points: Points, dx: float, dy: float, turn: float = 0.0, scale: float = 1.0) -> Points:
    """Turned and scaled around its own centre, then shifted."""
    centre = points.mean(axis=0)
    c, s = np.cos(turn), np.sin(turn)
    turned = (points - centre) @ np.array([[c, s], [-s, c]])
    out: Points = turned * scale + centre + [dx, dy]
    return out


def ring_of(points: Points, count: int, radius: float, turn: float = 0.0) -> list[Points]:
    """``count`` copies of a shape at the origin, around a circle."""
    placed = []
    for k in range(count):
        a = turn + 2 * np.pi * k / count
        c, s = np.cos(a), np.sin(a)
        turned = points @ np.array([[c, s], [-s, c]])
        placed.append(turned + np.array([radius * c, radius * s]))
    return placed


def glyphs(
    rng: np.random.Generator, x: float, y: float, count: int, size: float, *, weight: float = 0.25
) -> list[Points]:
    """A centred line of made-up characters (strokes on a 3x3 lattice): no font is involved."""
    out = []
    for k in range(count):
        cx = x + (k - (count - 1) / 2) * size * 1.5
        for _ in range(int(rng.integers(2, 5))):
            a, b = rng.integers(0, 3, 2), rng.integers(0, 3, 2)
            if (a == b).all():
                b = (a + 1) % 3
            ends = (np.stack([a, b]) - 1) * [size * 0.5, size * 0.8] + [cx, y]
            out.append(stroke(ends, size * weight))
    return out
