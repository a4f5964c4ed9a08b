"""Outlines of the ten shapes, each in ways that share no construction.

A way takes a generator and returns contours around the origin within the unit circle; holes are
contours inside others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue.variants import Variants

__all__ = ["OUTLINES", "STEADY"]

Rng = np.random.Generator
Way = Callable[[Rng], list[sh.Points]]

# Turned, these would become another shape or lose what they are called by.
STEADY = frozenset({"cross", "diamond", "heart", "square"})


def _polygon(corners: list[tuple[float, float]]) -> sh.Points:
    return np.array(corners, np.float64)


def _softened(points: sh.Points, share: float) -> sh.Points:
    """Every corner replaced by a curve that begins ``share`` of the way along its sides."""
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    a, b = points + share * (before - points), points + share * (after - points)
    t = np.linspace(0, 1, 6)[:, None, None]
    curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * points + t**2 * b
    out: sh.Points = curve.transpose(1, 0, 2).reshape(-1, 2)
    return out


def _star_tips(count: int, inner: float) -> sh.Points:
    a = np.arange(2 * count) * np.pi / count - np.pi / 2
    r = np.where(np.arange(2 * count) % 2, inner, 1.0)
    return np.stack([r * np.cos(a), r * np.sin(a)], axis=1)


def _circle(_rng: Rng) -> list[sh.Points]:
    return [sh.circle(0, 0, 0.95)]


def _circle_toothed(rng: Rng) -> list[sh.Points]:
    return [sh.cog(0, 0, 0.95, int(rng.integers(24, 40)), 0.04)]


def _circle_by_hand(rng: Rng) -> list[sh.Points]:
    return [sh.blob(rng, 0, 0, 0.92, 0.03, n=40)]


def _square(_rng: Rng) -> list[sh.Points]:
    return [sh.rect(0, 0, 0.8, 0.8)]


def _square_rounded(rng: Rng) -> list[sh.Points]:
    return [sh.rounded(0, 0, 0.82, 0.82, rng.uniform(0.1, 0.3))]


def _square_cut(rng: Rng) -> list[sh.Points]:
    c = rng.uniform(0.62, 0.72)
    corners = [(0.8, -c), (0.8, c), (c, 0.8), (-c, 0.8), (-0.8, c), (-0.8, -c), (-c, -0.8)]
    return [_polygon([*corners, (c, -0.8)])]


def _triangle(_rng: Rng) -> list[sh.Points]:
    return [sh.ngon(0, 0, 1, 3, -np.pi / 2)]


def _triangle_tall(rng: Rng) -> list[sh.Points]:
    w = rng.uniform(0.5, 0.7)
    return [_polygon([(rng.uniform(-w, w), -0.9), (w, 0.75), (-w, 0.75)])]


def _triangle_soft(_rng: Rng) -> list[sh.Points]:
    return [_softened(sh.ngon(0, 0, 1, 3, -np.pi / 2), 0.18)]


def _star(rng: Rng) -> list[sh.Points]:
    return [_star_tips(5, rng.uniform(0.36, 0.48))]


def _star_six(rng: Rng) -> list[sh.Points]:
    return [_star_tips(6, rng.uniform(0.45, 0.58))]


def _star_curved(rng: Rng) -> list[sh.Points]:
    a = np.linspace(0, 2 * np.pi, 81)[:-1] - np.pi / 2
    near = np.abs((a + np.pi / 2) / (2 * np.pi / 5) % 1 - 0.5) * 2
    r = rng.uniform(0.38, 0.45) + 0.58 * near ** rng.uniform(1.6, 2.4)
    return [np.stack([r * np.cos(a), r * np.sin(a)], axis=1)]


def _cross(rng: Rng) -> list[sh.Points]:
    w = rng.uniform(0.2, 0.36)
    quarter = [(w, -0.95), (w, -w), (0.95, -w)]
    corners = [(x, y) for x, y in quarter]
    for _ in range(3):
        quarter = [(-y, x) for x, y in quarter]
        corners += quarter
    return [_polygon(corners)]


def _cross_latin(rng: Rng) -> list[sh.Points]:
    w, y = rng.uniform(0.14, 0.24), rng.uniform(-0.4, -0.2)
    arm = [(w, -0.95), (w, y - w), (0.65, y - w), (0.65, y + w), (w, y + w), (w, 0.95)]
    return [_polygon(arm + [(-a, b) for a, b in reversed(arm)])]


def _cross_flared(rng: Rng) -> list[sh.Points]:
    w, wide = rng.uniform(0.1, 0.18), rng.uniform(0.35, 0.5)
    quarter = [(-wide, -0.92), (wide, -0.92), (w, -w)]
    corners = []
    for _ in range(4):
        corners += quarter
        quarter = [(-y, x) for x, y in quarter]
    return [_polygon(corners)]


def _hexagon(_rng: Rng) -> list[sh.Points]:
    return [sh.ngon(0, 0, 0.97, 6)]


def _hexagon_long(rng: Rng) -> list[sh.Points]:
    return [sh.ngon(0, 0, 0.97, 6) * [1, rng.uniform(0.72, 0.88)]]


def _hexagon_soft(_rng: Rng) -> list[sh.Points]:
    return [_softened(sh.ngon(0, 0, 1.0, 6), 0.15)]


def _heart(_rng: Rng) -> list[sh.Points]:
    t = np.linspace(0, 2 * np.pi, 49)[:-1]
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return [np.stack([x, y - 2.5], axis=1) / 16.5]


def _heart_built(rng: Rng) -> list[sh.Points]:
    """Two half circles on a triangle."""
    a = np.linspace(-np.pi, 0, 16)
    left = np.stack([-0.45 + 0.45 * np.cos(a), -0.3 + 0.45 * np.sin(a)], axis=1)
    return [np.concatenate([left, left + np.array([0.9, 0]), [[0, rng.uniform(0.75, 0.95)]]])]


def _heart_slim(rng: Rng) -> list[sh.Points]:
    """|x| and y on an ellipse that is sheared upwards."""
    t = np.linspace(0, 2 * np.pi, 49)[:-1]
    x, y = 0.72 * np.cos(t), 0.75 * np.sin(t)
    lift = rng.uniform(0.75, 1.0)
    return [np.stack([x, y - lift * (np.sqrt(np.abs(x)) - 0.25)], axis=1)]


def _arrow(rng: Rng) -> list[sh.Points]:
    w, neck, wide = rng.uniform(0.15, 0.28), rng.uniform(-0.05, 0.3), rng.uniform(0.5, 0.75)
    up = [(-0.95, -w), (neck, -w), (neck, -wide), (0.95, 0.0)]
    return [_polygon([*up, *[(x, -y) for x, y in reversed(up[:-1])]])]


def _arrow_open(rng: Rng) -> list[sh.Points]:
    """A thin shaft and an open head, all of one stroke."""
    w, back = rng.uniform(0.09, 0.15), rng.uniform(0.4, 0.6)
    up = [(-0.95, -w), (0.95 - 3.2 * w, -w), (0.9 - back - w, -back), (0.9 - back + w, -back - w)]
    return [_polygon([*up, (0.95, 0.0), *[(x, -y) for x, y in reversed(up)]])]


def _arrow_feathered(rng: Rng) -> list[sh.Points]:
    w, barb = rng.uniform(0.08, 0.13), rng.uniform(0.3, 0.42)
    up = [(-0.7, 0.0), (-0.95, -barb), (-0.62, -barb), (-0.4, -w), (0.45, -w), (0.3, -barb)]
    return [_polygon([*up, (0.97, 0.0), *[(x, -y) for x, y in reversed(up[1:])]])]


def _ring(rng: Rng) -> list[sh.Points]:
    return [sh.circle(0, 0, 0.95), sh.circle(0, 0, rng.uniform(0.5, 0.75))]


def _ring_of_pieces(rng: Rng) -> list[sh.Points]:
    """Segments with gaps between them."""
    count, inner = int(rng.integers(6, 11)), rng.uniform(0.55, 0.75)
    out = []
    for k in range(count):
        a = 2 * np.pi / count * (k + np.linspace(0, 0.88, 8))
        arc = np.stack([np.cos(a), np.sin(a)], axis=1)
        out.append(np.concatenate([0.95 * arc, inner * arc[::-1]]))
    return out


def _ring_by_hand(rng: Rng) -> list[sh.Points]:
    shift = rng.normal(0, 0.03, 2)
    inner = sh.blob(rng, float(shift[0]), float(shift[1]), rng.uniform(0.5, 0.68), 0.04, n=40)
    return [sh.blob(rng, 0, 0, 0.92, 0.03, n=40), inner]


def _diamond(rng: Rng) -> list[sh.Points]:
    w = rng.uniform(0.55, 0.75)
    return [_polygon([(0, -0.97), (w, 0), (0, 0.97), (-w, 0)])]


def _diamond_hollowed(rng: Rng) -> list[sh.Points]:
    """With sides that curve inwards."""
    t = np.linspace(0, np.pi / 2, 10)[:-1]
    power = rng.uniform(1.25, 1.6)
    x, y = np.cos(t) ** (2 * power / 1.25), np.sin(t) ** (2 * power / 1.25)
    quarter = np.stack([0.8 * x, 0.97 * y], axis=1)
    turned = np.stack([-0.8 * y, 0.97 * x], axis=1)
    return [np.concatenate([quarter, turned, -quarter, -turned])]


def _diamond_soft(rng: Rng) -> list[sh.Points]:
    w = rng.uniform(0.6, 0.75)
    return [_softened(_polygon([(0, -1), (w, 0), (0, 1), (-w, 0)]), 0.15)]


OUTLINES: dict[str, Variants[Way]] = {
    "arrow": Variants((_arrow, _arrow_open), (_arrow_feathered,)),
    "circle": Variants((_circle, _circle_toothed), (_circle_by_hand,)),
    "cross": Variants((_cross, _cross_latin), (_cross_flared,)),
    "diamond": Variants((_diamond, _diamond_hollowed), (_diamond_soft,)),
    "heart": Variants((_heart, _heart_built), (_heart_slim,)),
    "hexagon": Variants((_hexagon, _hexagon_long), (_hexagon_soft,)),
    "ring": Variants((_ring, _ring_of_pieces), (_ring_by_hand,)),
    "square": Variants((_square, _square_rounded), (_square_cut,)),
    "star": Variants((_star, _star_six), (_star_curved,)),
    "triangle": Variants((_triangle, _triangle_tall), (_triangle_soft,)),
}
