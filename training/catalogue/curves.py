"""Outlines that goods and food share: turned profiles, arcs, cut outlines, scattered places."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from training import shapes as sh

__all__ = ["arc", "clipped", "flame", "lying", "profile", "scattered", "shifted", "spun"]

_STEPS = np.linspace(0, 1, 7)


def profile(stations: Sequence[tuple[float, float]]) -> sh.Points:
    """Silhouette of a turned thing from its (y, half width), top down, joined smoothly."""
    ys, widths = [], []
    for (y0, w0), (y1, w1) in itertools.pairwise(stations):
        ys.append(y0 + (y1 - y0) * _STEPS)
        widths.append(w0 + (w1 - w0) * _STEPS**2 * (3 - 2 * _STEPS))
    y, w = np.concatenate(ys), np.concatenate(widths)
    right = np.stack([w, y], axis=1)
    outline: sh.Points = np.concatenate([right, right[::-1] * [-1, 1]])
    return outline


def clipped(points: sh.Points, axis: int, low: float, high: float) -> sh.Points:
    """What an outline has between two values of x (axis 0) or y (axis 1)."""
    out = points.copy()
    out[:, axis] = np.clip(out[:, axis], low, high)
    return out


def lying(points: sh.Points) -> sh.Points:
    """An upright outline laid on its side: what was on top is left."""
    return points[:, ::-1].copy()


def shifted(points: sh.Points, x: float, y: float) -> sh.Points:
    """Moved by (x, y)."""
    out: sh.Points = points + np.array([x, y])
    return out


def spun(points: sh.Points, angle: float, x: float = 0.0, y: float = 0.0) -> sh.Points:
    """Turned about the origin, then shifted."""
    c, s = np.cos(angle), np.sin(angle)
    return shifted(points @ np.array([[c, s], [-s, c]]), x, y)


def arc(x: float, y: float, r: float, start: float, end: float, *, n: int = 24) -> sh.Points:
    """A line along a circle, between two angles."""
    a = np.linspace(start, end, n)
    return np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1)


def flame(x: float, y: float, w: float, h: float, lean: float = 0.0) -> sh.Points:
    """A drop standing on (x, y), its tip ``h`` above."""
    drop = profile([(-1, 0), (-0.55, 0.45), (-0.22, 1), (0, 0.2)]) * [w, h]
    drop[:, 0] += lean * (drop[:, 1] / h) ** 2
    return shifted(drop, x, y)


def scattered(
    rng: np.random.Generator, count: int, rx: float, ry: float, apart: float
) -> list[tuple[float, float]]:
    """Up to ``count`` places in an ellipse, none nearer than ``apart`` to another."""
    places: list[tuple[float, float]] = []
    angles, radii = rng.uniform(0, 2 * np.pi, 4 * count), np.sqrt(rng.random(4 * count))
    for a, r in zip(angles, radii, strict=True):
        x, y = float(rx * r * np.cos(a)), float(ry * r * np.sin(a))
        if all(np.hypot(x - u, y - v) > apart for u, v in places):
            places.append((x, y))
        if len(places) == count:
            break
    return places
