"""Defects: each rewrites a part's layers, or adds layers at a spot of the part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training import shapes as sh
from training.layers import Layer
from training.palette import COLOURS, MATERIALS, material_texture
from training.textures import Texture

__all__ = ["DEFECTS", "STRUCTURAL", "Site", "possible"]

Rng = np.random.Generator
Layers = list[Layer]


@dataclass(frozen=True)
class Site:
    """Where a defect lands: a point of the part, a point of its rim, and the colour there."""

    spot: tuple[float, float]
    rim: tuple[float, float]
    colour: tuple[float, float, float]


def _size(rng: Rng, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())


def _ink(rng: Rng, site: Site, darker: float = 0.6) -> Texture:
    """A colour that differs from the one at the spot."""
    base = np.asarray(site.colour)
    goes_dark = base.mean() > 0.25 and (rng.random() < darker or base.mean() > 0.75)
    if goes_dark:
        colour = base * rng.uniform(0.15, 0.65)
    else:
        colour = base + (1 - base) * rng.uniform(0.35, 0.8)
    low = tuple(float(c) for c in np.clip(colour * 0.9, 0, 1))
    high = tuple(float(c) for c in np.clip(colour * 1.1, 0, 1))
    knobs = tuple(float(k) for k in rng.random(8))
    return Texture("plain", low, high, knobs, 0.05)  # type: ignore[arg-type]


def _near(rng: Rng, site: Site, spread: float) -> tuple[float, float]:
    dx, dy = rng.normal(0, spread, 2)
    return site.spot[0] + float(dx), site.spot[1] + float(dy)


def _path(rng: Rng, start: tuple[float, float], length: float, jagged: float, n: int) -> sh.Points:
    heading = rng.uniform(0, 2 * np.pi)
    turns = heading + np.cumsum(rng.normal(0, jagged, n))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / n
    line = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    placed: sh.Points = line - line.mean(axis=0) + start
    return placed


def _scratch(layers: Layers, site: Site, rng: Rng) -> Layers:
    ink = _ink(rng, site, 0.4)
    strokes = []
    for _ in range(int(rng.integers(1, 4))):
        line = _path(rng, site.spot, _size(rng, 0.25, 1.2), 0.04, 10)
        taper = _size(rng, 0.014, 0.04) * np.sin(np.linspace(0.25, np.pi - 0.25, 11))
        strokes.append(sh.stroke(line + rng.normal(0, 0.04, 2), taper))
    return [*layers, Layer(tuple(strokes), ink, -0.2, "defect", float(rng.uniform(0.5, 1)))]


def _crack(layers: Layers, site: Site, rng: Rng) -> Layers:
    line = _path(rng, site.spot, _size(rng, 0.4, 1.6), 0.45, 14)
    width = _size(rng, 0.015, 0.05) * np.sin(np.linspace(0.2, np.pi - 0.2, 15))
    strokes = [sh.stroke(line, width)]
    if rng.random() < 0.5:
        fork = _path(rng, (0, 0), _size(rng, 0.2, 0.6), 0.4, 8)
        strokes.append(sh.stroke(fork - fork[0] + line[7], _size(rng, 0.012, 0.03)))
    base = np.asarray(site.colour) * rng.uniform(0.05, 0.45)
    if base.mean() < 0.04:
        base = base + 0.35
    rgb = (float(base[0]), float(base[1]), float(base[2]))
    dark = Texture("plain", rgb, rgb, (0.5,) * 8, 0.0)
    return [*layers, Layer(tuple(strokes), dark, -0.5, "defect")]


def _stain(layers: Layers, site: Site, rng: Rng) -> Layers:
    size = _size(rng, 0.08, 0.4)
    shapes = [sh.blob(rng, *site.spot, size, 0.4)]
    shapes += [
        sh.blob(rng, *_near(rng, site, size), size * 0.3) for _ in range(int(rng.integers(0, 4)))
    ]
    ink = _ink(rng, site, 0.7)
    if rng.random() < 0.4:
        ink = material_texture(rng, str(rng.choice(["plastic", "dough", "rubber"])))[0]
    return [
        *layers,
        Layer(
            tuple(shapes),
            ink,
            0.0,
            "defect",
            float(rng.uniform(0.35, 0.9)),
            float(rng.uniform(0.01, 0.05)),
        ),
    ]


def _hole(layers: Layers, site: Site, rng: Rng) -> Layers:
    size = _size(rng, 0.05, 0.18)
    shape = sh.circle(*site.spot, size) if rng.random() < 0.5 else sh.blob(rng, *site.spot, size)
    shade = float(rng.uniform(0, 0.12))
    dark = Texture("plain", (shade,) * 3, (shade,) * 3, (0.5,) * 8, 0.0)
    if np.mean(site.colour) < 0.25:
        dark = _ink(rng, site, 0.0)
    return [*layers, Layer((shape,), dark, -1.2, "defect")]


def _chip(layers: Layers, site: Site, rng: Rng) -> Layers:
    bite = sh.blob(rng, *site.rim, _size(rng, 0.09, 0.3), 0.45)
    black = Texture("plain", (0, 0, 0), (0, 0, 0), (0.5,) * 8)
    return [*layers, Layer((bite,), black, 0.0, "hole")]


def _dent(layers: Layers, site: Site, rng: Rng) -> Layers:
    size = _size(rng, 0.08, 0.3)
    depth = float(rng.uniform(1.2, 3.5) * rng.choice([-1, 1]) * (0.5 + size * 4))
    black = Texture("plain", (0, 0, 0), (0, 0, 0), (0.5,) * 8)
    bump = sh.blob(rng, *site.spot, size)
    return [*layers, Layer((bump,), black, depth, "defect", 0.0, size * 0.3)]


def _foreign(layers: Layers, site: Site, rng: Rng) -> Layers:
    texture, _ = material_texture(rng, str(rng.choice(sorted(MATERIALS))))
    if abs(np.mean(texture.low) - np.mean(site.colour)) < 0.15:
        texture = _ink(rng, site)
    kind = rng.integers(0, 3)
    if kind == 0:
        line = _path(rng, site.spot, _size(rng, 0.5, 1.6), 0.25, 24)
        shapes = [sh.stroke(line, _size(rng, 0.02, 0.05))]
    elif kind == 1:
        shapes = [
            sh.blob(rng, *_near(rng, site, 0.12), _size(rng, 0.03, 0.08))
            for _ in range(int(rng.integers(2, 7)))
        ]
    else:
        shapes = [
            sh.ngon(*site.spot, _size(rng, 0.1, 0.28), int(rng.integers(3, 8)), rng.uniform(0, 6))
        ]
    return [*layers, Layer(tuple(shapes), texture, 0.7, "defect")]


def _colour(layers: Layers, site: Site, rng: Rng) -> Layers:
    other = str(rng.choice(sorted(COLOURS)))
    targets = [i for i, x in enumerate(layers) if x.role in ("detail", "print")]
    if targets and rng.random() < 0.7:
        i = int(rng.choice(targets))
        k = int(rng.integers(len(layers[i].shapes)))
        shapes: tuple[sh.Points, ...] = (layers[i].shapes[k],)
    else:
        size = _size(rng, 0.15, 0.45)
        shapes = (sh.blob(rng, *site.spot, size, 0.15),)
    texture = material_texture(rng, "plastic", other)[0]
    tint = Layer(shapes, texture, 0.0, "defect", float(rng.uniform(0.55, 0.95)), 0.015)
    return [*layers, tint]


def _piece(layers: Layers, rng: Rng, roles: tuple[str, ...]) -> tuple[int, int]:
    """A shape of one of the layers with these roles."""
    i = int(rng.choice([i for i, x in enumerate(layers) if x.role in roles]))
    return i, int(rng.integers(len(layers[i].shapes)))


def _with_shapes(layers: Layers, i: int, shapes: list[sh.Points]) -> Layers:
    return [*layers[:i], replace(layers[i], shapes=tuple(shapes)), *layers[i + 1 :]]


def _missing(layers: Layers, _site: Site, rng: Rng) -> Layers:
    i, k = _piece(layers, rng, ("detail", "hole"))
    run = int(rng.integers(1, 1 + max(1, len(layers[i].shapes) // 4)))
    kept = [s for j, s in enumerate(layers[i].shapes) if not k <= j < k + run]
    return _with_shapes(layers, i, kept)


def _misplaced(layers: Layers, _site: Site, rng: Rng) -> Layers:
    i, k = _piece(layers, rng, ("detail", "hole"))
    shapes = list(layers[i].shapes)
    a, r = rng.uniform(0, 2 * np.pi), _size(rng, 0.07, 0.2)
    shapes[k] = sh.moved(shapes[k], r * np.cos(a), r * np.sin(a), rng.uniform(-0.6, 0.6))
    return _with_shapes(layers, i, shapes)


def _bent(layers: Layers, site: Site, rng: Rng) -> Layers:
    centre = np.asarray(site.rim)
    a = rng.uniform(0, 2 * np.pi)
    push = np.array([np.cos(a), np.sin(a)]) * _size(rng, 0.12, 0.3)
    reach = _size(rng, 0.2, 0.5)

    def bend(points: sh.Points) -> sh.Points:
        near = np.exp(-((points - centre) ** 2).sum(axis=1) / (2 * reach * reach))
        moved: sh.Points = points + near[:, None] * push
        return moved

    return [replace(x, shapes=tuple(bend(s) for s in x.shapes)) for x in layers]


def _print(layers: Layers, _site: Site, rng: Rng) -> Layers:
    i = next(i for i, x in enumerate(layers) if x.role == "print")
    shapes = list(layers[i].shapes)
    if rng.random() < 0.5:
        k = int(rng.integers(len(shapes)))
        gone = shapes[k].mean(axis=0)
        reach = _size(rng, 0.15, 0.4)
        return _with_shapes(
            layers, i, [s for s in shapes if np.linalg.norm(s.mean(axis=0) - gone) > reach]
        )
    smear = np.array([rng.uniform(0.05, 0.15), rng.uniform(-0.03, 0.03)])
    ghost = replace(layers[i], shapes=tuple(s + smear for s in shapes), opacity=0.6, role="defect")
    return [*layers, ghost]


DEFECTS: dict[str, Callable[[Layers, Site, Rng], Layers]] = {
    "bent": _bent,
    "chip": _chip,
    "crack": _crack,
    "dent": _dent,
    "foreign body": _foreign,
    "hole": _hole,
    "misplaced part": _misplaced,
    "missing part": _missing,
    "print error": _print,
    "scratch": _scratch,
    "stain": _stain,
    "wrong colour": _colour,
}
STRUCTURAL = frozenset({"bent", "chip", "misplaced part", "missing part", "print error"})


def possible(layers: tuple[Layer, ...]) -> list[str]:
    """The defects that these layers can have."""
    roles = {x.role for x in layers}
    impossible: set[str] = set()
    if "body" not in roles:
        impossible |= STRUCTURAL
    if not roles & {"detail", "hole"}:
        impossible |= {"missing part", "misplaced part"}
    if "print" not in roles:
        impossible.add("print error")
    return [d for d in sorted(DEFECTS) if d not in impossible]
