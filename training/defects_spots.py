"""Stains, holes and wrong colours. Held out: rings and runs; torn polygons; bands of tint."""

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
    near,
    path,
    shaded,
    size,
    spun,
)
from training.palette import COLOURS, material_texture
from training.textures import Texture

__all__ = ["COLOUR", "HOLE", "STAIN"]


def _stain_blob(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A soft patch with a few drops around it."""
    wide = size(rng, 0.08, 0.4)
    shapes = [sh.blob(rng, *site.spot, wide, 0.4)]
    shapes += [
        sh.blob(rng, *near(rng, site, wide), wide * 0.3) for _ in range(int(rng.integers(0, 4)))
    ]
    texture = ink(rng, site, 0.7)
    if rng.random() < 0.4:
        texture = material_texture(rng, str(rng.choice(["plastic", "dough", "rubber"])))[0]
    soft = float(rng.uniform(0.01, 0.05))
    return [*layers, mark(texture, *shapes, opacity=size(rng, 0.2, 0.9), soft=soft)]


def _stain_splash(layers: Layers, site: Site, rng: Rng) -> Layers:
    """Droplets flung away from one point, longer the farther they flew."""
    heading, reach = rng.uniform(0, 2 * np.pi), size(rng, 0.15, 0.6)
    shapes = []
    for _ in range(int(rng.integers(6, 22))):
        a, far = heading + rng.normal(0, 0.6), reach * rng.random() ** 0.7
        r = size(rng, 0.015, 0.06) * (1.2 - 0.6 * far / reach)
        drop = spun(sh.ellipse(0, 0, r * (1 + 1.5 * far / reach), r, 16), a)
        shapes.append(drop + site.spot + far * np.array([np.cos(a), np.sin(a)]))
    return [*layers, mark(ink(rng, site, 0.6), *shapes, opacity=size(rng, 0.3, 1.0))]


def _stain_smear(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A wiped film: wide, soft and faint."""
    line = path(rng, site.spot, size(rng, 0.4, 1.2), 0.15, 10)
    wide = size(rng, 0.1, 0.3) * np.sin(np.linspace(0.4, np.pi - 0.2, 11))
    texture = shaded(site, float(rng.choice([rng.uniform(0.3, 0.7), rng.uniform(1.3, 1.7)])))
    film = mark(texture, sh.stroke(line, wide), opacity=size(rng, 0.2, 0.6), soft=0.04)
    return [*layers, film]


def _stain_ring(layers: Layers, site: Site, rng: Rng) -> Layers:
    """What dried up: a dark rim around a pale inside."""
    r, wide = size(rng, 0.12, 0.4), size(rng, 0.015, 0.04)
    start = rng.uniform(0, 2 * np.pi)
    end = start + 2 * np.pi * (1.0 if rng.random() < 0.5 else rng.uniform(0.6, 0.95))
    x, y = site.spot[0] + r * np.cos(start), site.spot[1] + r * np.sin(start)
    line = arc(x, y, r, (start, end), 40)
    line += rng.normal(0, 0.004, line.shape)
    texture = ink(rng, site, 0.8)
    rim = mark(texture, sh.stroke(line, wide), opacity=size(rng, 0.35, 0.9), soft=0.008)
    pale = mark(texture, sh.circle(x, y, r), opacity=float(rng.uniform(0.0, 0.15)), soft=0.01)
    return [*layers, pale, rim]


def _stain_run(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A liquid that ran down in one to four streaks, each with a bead at its end."""
    shapes = []
    for k in range(int(rng.integers(1, 5))):
        x, y = site.spot[0] + 0.11 * k, site.spot[1] + rng.normal(0, 0.03)
        down, wide = size(rng, 0.2, 0.8), size(rng, 0.02, 0.05)
        t = np.linspace(0, 1, 12)
        line = np.stack([x + 0.02 * np.sin(5 * t + k), y + down * t], axis=1)
        shapes += [
            sh.stroke(line, wide * (0.6 + 0.5 * t)),
            sh.circle(line[-1, 0], line[-1, 1], wide, 16),
        ]
    texture = ink(rng, site, 0.7)
    return [*layers, mark(texture, *shapes, relief=0.15, opacity=size(rng, 0.3, 0.9))]


def _hole_round(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A round or ragged hole."""
    wide = size(rng, 0.05, 0.18)
    shape = sh.circle(*site.spot, wide) if rng.random() < 0.5 else sh.blob(rng, *site.spot, wide)
    return [*layers, mark(_inside(rng, site), shape, relief=-1.2)]


def _hole_slit(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A cut that gapes, between two raised lips."""
    length, gape = size(rng, 0.2, 0.7), size(rng, 0.03, 0.09)
    t = np.linspace(-1, 1, 12)
    bow = rng.normal(0, 0.06) * (1 - t * t)
    line = spun(np.stack([t * length / 2, bow], axis=1), rng.uniform(0, 2 * np.pi)) + site.spot
    wide = gape * np.sqrt(1.02 - t * t)
    lips = mark(shaded(site, rng.uniform(1.1, 1.5)), sh.stroke(line, wide * 1.7), relief=0.5)
    return [*layers, lips, mark(_inside(rng, site), sh.stroke(line, wide), relief=-1.0)]


def _hole_pores(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A nest of pinholes."""
    spread = size(rng, 0.05, 0.2)
    pores = [
        sh.circle(*near(rng, site, spread), size(rng, 0.015, 0.05), 14)
        for _ in range(int(rng.integers(4, 14)))
    ]
    return [*layers, mark(_inside(rng, site), *pores, relief=-0.9)]


def _hole_torn(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A hole with corners, its flaps folded back along the sides."""
    n, wide = int(rng.integers(3, 6)), size(rng, 0.07, 0.2)
    turn = rng.uniform(0, 2 * np.pi)
    corners = turn + 2 * np.pi * np.arange(n) / n + rng.normal(0, 0.15, n)
    radius = wide * rng.uniform(0.75, 1.2, n)
    shape = np.stack([np.cos(corners), np.sin(corners)], axis=1) * radius[:, None] + site.spot
    flaps = []
    for k in range(n):
        a, b = shape[k], shape[(k + 1) % n]
        tip = (a + b) / 2 + ((a + b) / 2 - site.spot) * rng.uniform(0.3, 0.9)
        flaps.append(np.stack([a, b, tip]))
    folded = mark(shaded(site, rng.uniform(1.15, 1.6)), *flaps, relief=0.6)
    return [*layers, folded, mark(_inside(rng, site), shape, relief=-1.0)]


def _colour_patch(layers: Layers, site: Site, rng: Rng) -> Layers:
    """One detail in another colour, or a patch of it."""
    other = str(rng.choice(sorted(COLOURS)))
    targets = [i for i, x in enumerate(layers) if x.role in ("detail", "print") and x.shapes]
    if targets and rng.random() < 0.7:
        i = int(rng.choice(targets))
        k = int(rng.integers(len(layers[i].shapes)))
        shapes: tuple[sh.Points, ...] = (layers[i].shapes[k],)
    else:
        shapes = (sh.blob(rng, *site.spot, size(rng, 0.15, 0.45), 0.15),)
    texture = material_texture(rng, "plastic", other)[0]
    return [*layers, mark(texture, *shapes, opacity=size(rng, 0.25, 0.95), soft=0.015)]


def _colour_zone(layers: Layers, site: Site, rng: Rng) -> Layers:
    """A zone with sharp straight borders: dark as the dead part of a cell, sometimes bright."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.choice([0, np.pi / 2])
    w, h = size(rng, 0.08, 0.5), size(rng, 0.08, 0.3)
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) * rng.uniform(0.6, 1.1, (4, 1))
    zone = spun(corners, float(angle)) + site.spot
    dark = np.mean(site.colour) > 0.2 and rng.random() < 0.8
    texture = shaded(site, rng.uniform(0.1, 0.8) if dark else rng.uniform(1.2, 1.7))
    return [*layers, mark(texture, zone, opacity=size(rng, 0.3, 1.0))]


def _colour_bands(layers: Layers, site: Site, rng: Rng) -> Layers:
    """Heat tint: parallel bands across the part, each in another hue."""
    across = size(rng, 0.05, 0.12)
    angle, length = rng.uniform(0, 2 * np.pi), size(rng, 0.5, 2.4)
    hues = rng.permutation(["blue", "purple", "gold", "brown", "cyan", "orange"])
    bands = []
    opacity = size(rng, 0.25, 0.75)
    for k in range(int(rng.integers(2, 5))):
        strip = spun(sh.rect(0, (k - 1.5) * across, length / 2, across / 2), angle) + site.spot
        bands.append(mark(flat(COLOURS[str(hues[k])]), strip, opacity=opacity, soft=0.012))
    return [*layers, *bands]


def _inside(rng: Rng, site: Site) -> Texture:
    """The dark of a hole; on a dark part a lighter one."""
    if np.mean(site.colour) < 0.25:
        return ink(rng, site, 0.0)
    shade = float(rng.uniform(0, 0.12))
    return flat((shade, shade, shade), 0.0)


STAIN: Variants[Damage] = Variants(
    (_stain_blob, _stain_splash, _stain_smear), (_stain_ring, _stain_run)
)
HOLE: Variants[Damage] = Variants((_hole_round, _hole_slit, _hole_pores), (_hole_torn,))
COLOUR: Variants[Damage] = Variants((_colour_patch, _colour_zone), (_colour_bands,))
