"""Broken rims, bent parts, and pieces or prints that are gone, moved or wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from training import shapes as sh
from training.catalogue.variants import Variants
from training.defects_common import (
    BLACK,
    Damage,
    Layers,
    Rng,
    Site,
    cut,
    mark,
    piece,
    shaded,
    size,
    spun,
    with_shapes,
)
from training.layers import Layer

__all__ = ["BENT", "CHIP", "MISPLACED", "MISSING", "PRINT"]

Move = Callable[[sh.Points], sh.Points]


def _chip_bite(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A bite out of the rim."""
    return [*layers, _gone(sh.blob(rng, *site.rim, size(rng, 0.08, 0.3), 0.45))]


def _chip_fracture(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A broken rim: a piece is missing, and the fresh face beside it is brighter."""
    r, out = size(rng, 0.08, 0.28), np.asarray(site.outward)
    bite = sh.blob(rng, *site.rim, r, 0.5)
    face = (bite - site.rim) * rng.uniform(1.25, 1.7) + site.rim - out * r * rng.uniform(0.1, 0.4)
    bright = np.mean(site.colour) < 0.8
    fresh = shaded(site, rng.uniform(1.15, 1.7) if bright else rng.uniform(0.55, 0.8))
    missing = bite + out * r * rng.uniform(0.1, 0.6)
    return [*layers, mark(fresh, face, relief=-0.7), _gone(missing)]


def _chip_corner(layers: Layers, site: Site, rng: Rng) -> Layers:
    """All beyond a straight, slightly rough line is broken off."""
    out = spun(np.asarray(site.outward)[None], rng.normal(0, 0.35))[0]
    along = np.array([-out[1], out[0]])
    deep, half = size(rng, 0.06, 0.25), size(rng, 0.2, 0.6)
    t = np.linspace(-1, 1, 11)
    rough = np.cumsum(rng.normal(0, 0.012, 11))
    edge = site.rim - out * deep + t[:, None] * half * along + rough[:, None] * out
    far = np.stack([edge[-1] + out * (deep + 0.5), edge[0] + out * (deep + 0.5)])
    return [*layers, _gone(np.concatenate([edge, far]))]


def _chip_notches(layers: Layers, site: Site, rng: Rng) -> Layers:
    """One deep wedge, or a row of small ones, with steep sides."""
    out = np.asarray(site.outward)
    along = np.array([-out[1], out[0]])
    count = int(rng.choice([1, 1, 3, 4, 5]))
    deep = size(rng, 0.14, 0.4) if count == 1 else size(rng, 0.06, 0.14)
    wide = deep * rng.uniform(0.35, 0.7)
    wedges, faces = [], []
    for k in range(count):
        mouth = site.rim + along * (k - (count - 1) / 2) * wide * 2.2 + out * 0.12
        tip = mouth - out * (deep * rng.uniform(0.7, 1) + 0.12) + along * rng.normal(0, 0.03)
        wedges.append(np.stack([mouth - along * wide, mouth + along * wide, tip]))
        faces.append(np.stack([mouth + along * wide, mouth + along * wide * 1.5, tip]))
    return [*layers, mark(shaded(site, 1.35), *faces, relief=-0.4), _gone(*wedges)]


def _bent_pushed(layers: Layers, site: Site, rng: Rng) -> Layers:
    """The rim is pushed in or out."""
    centre, a = np.asarray(site.rim), rng.uniform(0, 2 * np.pi)
    push = np.array([np.cos(a), np.sin(a)]) * size(rng, 0.1, 0.3)
    reach = size(rng, 0.2, 0.5)

    def move(points: sh.Points) -> sh.Points:
        close = np.exp(-((points - centre) ** 2).sum(axis=1) / (2 * reach * reach))
        moved: sh.Points = points + close[:, None] * push
        return moved

    return _all(layers, move)


def _bent_kinked(layers: Layers, site: Site, rng: Rng) -> Layers:
    """All beyond a line is turned about it, as a bent leg or a folded end."""
    towards = _direction(np.asarray(site.rim), rng)
    hinge = np.asarray(site.rim) - towards * size(rng, 0.15, 0.6)
    angle = float(rng.choice([-1, 1]) * size(rng, 0.12, 0.5))

    def move(points: sh.Points) -> sh.Points:
        share = np.clip((points - hinge) @ towards / 0.08, 0, 1)[:, None]
        moved: sh.Points = points + share * (spun(points - hinge, angle) + hinge - points)
        return moved

    return _all(layers, move)


def _bent_crushed(layers: Layers, site: Site, rng: Rng) -> Layers:
    """The part is squeezed to a waist along one axis, or its sides buckle in waves."""
    across = np.array([1.0, 0.0]) if rng.random() < 0.5 else np.array([0.0, 1.0])
    along = across[::-1]
    middle = float(np.asarray(site.spot) @ along)
    if rng.random() < 0.5:
        strength, reach = rng.uniform(0.15, 0.4), size(rng, 0.15, 0.4)

        def move(points: sh.Points) -> sh.Points:
            t = points @ along - middle
            squeeze = strength * np.exp(-t * t / (2 * reach * reach)) * (points @ across)
            moved: sh.Points = points - squeeze[:, None] * across
            return moved
    else:
        tall, pace, phase = size(rng, 0.04, 0.1), rng.uniform(5, 11), rng.uniform(0, 6)

        def move(points: sh.Points) -> sh.Points:
            shift = tall * np.sin(pace * (points @ along) + phase)
            moved: sh.Points = points + shift[:, None] * across
            return moved

    return _all(layers, move)


def _missing_run(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """One or several neighbours of a row are gone."""
    i, k = piece(layers, rng, ("detail", "hole"))
    run = int(rng.integers(1, 1 + max(1, len(layers[i].shapes) // 4)))
    kept = [s for j, s in enumerate(layers[i].shapes) if not k <= j < k + run]
    return with_shapes(layers, i, kept)


def _missing_print(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """A piece is gone, and the place where it sat shows: glue, solder, a paler patch."""
    i, k = piece(layers, rng, ("detail", "hole"))
    gone = layers[i].shapes[k]
    kept = [s for j, s in enumerate(layers[i].shapes) if j != k]
    below = with_shapes(layers, i, kept)
    trace = replace(layers[0], shapes=(sh.moved(gone, 0, 0, 0, rng.uniform(0.75, 1.0)),))
    tint = float(rng.choice([rng.uniform(0.5, 0.8), rng.uniform(1.2, 1.5)]))
    mean = tuple(float(c) for c in np.mean([layers[0].texture.low, layers[0].texture.high], axis=0))
    seat = Site((0, 0), (0, 0), (1, 0), mean, "")  # type: ignore[arg-type]
    return [*below, mark(shaded(seat, tint), *trace.shapes, relief=-0.15, opacity=0.7, soft=0.01)]


def _missing_half(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """A piece is broken off: a stump of it is left."""
    i, k = piece(layers, rng, ("detail", "hole"))
    shapes = list(layers[i].shapes)
    a = rng.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(a), np.sin(a)])
    span = shapes[k] @ normal
    through = shapes[k].mean(axis=0) + normal * rng.uniform(-0.3, 0.1) * (span.max() - span.min())
    run = int(rng.integers(1, 3))
    for j in range(k, min(k + run, len(shapes))):
        shapes[j] = cut(shapes[j], through, normal)
    return with_shapes(layers, i, shapes)


def _moved_piece(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """One piece sits beside its place, turned a little."""
    i, k = piece(layers, rng, ("detail", "hole"))
    shapes = list(layers[i].shapes)
    a, r = rng.uniform(0, 2 * np.pi), size(rng, 0.06, 0.2)
    shapes[k] = sh.moved(shapes[k], r * np.cos(a), r * np.sin(a), rng.uniform(-0.6, 0.6))
    return with_shapes(layers, i, shapes)


def _moved_group(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """A whole group was set down with an offset."""
    i, _ = piece(layers, rng, ("detail", "hole", "print"))
    a, r = rng.uniform(0, 2 * np.pi), size(rng, 0.05, 0.16)
    shift, turn = r * np.array([np.cos(a), np.sin(a)]), rng.normal(0, 0.12)
    middle = np.concatenate(layers[i].shapes).mean(axis=0)
    about = (float(middle[0]), float(middle[1]))
    return with_shapes(layers, i, [spun(s, turn, about) + shift for s in layers[i].shapes])


def _moved_away(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A piece came loose and lies elsewhere, turned around; or its size is another."""
    i, k = piece(layers, rng, ("detail", "hole"))
    shapes = list(layers[i].shapes)
    if rng.random() < 0.6:
        dx, dy = np.asarray(site.spot) - shapes[k].mean(axis=0)
        shapes[k] = sh.moved(shapes[k], float(dx), float(dy), rng.uniform(0.8, 2.4))
    else:
        shapes[k] = sh.moved(shapes[k], 0, 0, 0, float(rng.choice([0.55, 1.6])))
    return with_shapes(layers, i, shapes)


def _print_lost(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """Characters are gone around a point, or the print has a ghost."""
    i = _printed(layers)
    shapes = list(layers[i].shapes)
    if rng.random() < 0.5:
        gone = shapes[int(rng.integers(len(shapes)))].mean(axis=0)
        reach = size(rng, 0.15, 0.4)
        kept = [s for s in shapes if np.linalg.norm(s.mean(axis=0) - gone) > reach]
        return with_shapes(layers, i, kept)
    smear = np.array([rng.uniform(0.05, 0.15), rng.uniform(-0.03, 0.03)])
    ghost = replace(layers[i], shapes=tuple(s + smear for s in shapes), opacity=0.6, role="defect")
    return [*layers, ghost]


def _print_ink(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """The ink faded, or ran into blots where characters stood."""
    i = _printed(layers)
    if rng.random() < 0.5:
        return [
            *layers[:i],
            replace(layers[i], opacity=float(rng.uniform(0.1, 0.5))),
            *layers[i + 1 :],
        ]
    shapes = layers[i].shapes
    hit = [shapes[int(k)] for k in rng.integers(len(shapes), size=int(rng.integers(1, 5)))]
    blots = []
    for s in hit:
        wide = max(0.04, float(np.ptp(s, axis=0).max())) * rng.uniform(0.4, 0.8)
        blots.append(sh.blob(rng, float(s[:, 0].mean()), float(s[:, 1].mean()), wide, 0.5))
    return [*layers, mark(layers[i].texture, *blots)]


def _print_skewed(layers: Layers, _site: Site, rng: Rng) -> Layers:
    """The print is turned, mirrored or stretched as a whole."""
    i = _printed(layers)
    everything = np.concatenate(layers[i].shapes)
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    about = (float(middle[0]), float(middle[1]))
    way = int(rng.integers(3))
    if way == 0:
        angle = float(rng.choice([-1, 1]) * rng.uniform(0.12, 0.5))
        return with_shapes(layers, i, [spun(s, angle, about) for s in layers[i].shapes])
    factor = np.array([-1.0, 1.0]) if way == 1 else rng.uniform(0.6, 1.3, 2) * [1, 0.7]
    return with_shapes(layers, i, [(s - middle) * factor + middle for s in layers[i].shapes])


def _gone(*shapes: sh.Points) -> Layer:
    return Layer(shapes, BLACK, 0.0, "hole")


def _direction(point: sh.Points, rng: Rng) -> sh.Points:
    """From the middle of the part to a point, or anywhere if it is the middle."""
    far = float(np.linalg.norm(point))
    a = rng.uniform(0, 2 * np.pi)
    towards: sh.Points = point / far if far > 0.1 else np.array([np.cos(a), np.sin(a)])
    return towards


def _printed(layers: Layers) -> int:
    return next(i for i, x in enumerate(layers) if x.role == "print" and x.shapes)


def _all(layers: Layers, move: Move) -> Layers:
    return [replace(x, shapes=tuple(move(s) for s in x.shapes)) for x in layers]


BENT: Variants[Damage] = Variants((_bent_pushed, _bent_kinked), (_bent_crushed,))
CHIP: Variants[Damage] = Variants((_chip_bite, _chip_fracture, _chip_corner), (_chip_notches,))
MISPLACED: Variants[Damage] = Variants((_moved_piece, _moved_group), (_moved_away,))
MISSING: Variants[Damage] = Variants((_missing_run, _missing_print), (_missing_half,))
PRINT: Variants[Damage] = Variants((_print_lost, _print_ink), (_print_skewed,))
