"""A seed to a layout: ``make_layout``."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training import shapes as sh
from training.catalogue.surfaces import HELD_OUT_TEXTURES, TRAINED_TEXTURES
from training.catalogue.variants import Side
from training.layouts.facts import LayoutFacts
from training.layouts.ink import box_of, cover
from training.layouts.names import SHAPE_COLOURS, SHAPES
from training.layouts.outlines import OUTLINES, STEADY
from training.layouts.pictograms import choices
from training.layouts.signs import draw_sign
from training.palette import COLOURS, dark, draw_texture, tinted
from training.seeds import side_of
from training.textures import Field, surface

__all__ = ["make_layout"]

Rng = np.random.Generator
_APART = 0.42  # least distance in RGB of two colours that must be told apart


def make_layout(seed: int, size: int) -> tuple[NDArray[np.uint8], LayoutFacts]:
    """One layout, uint8 RGB [size, size, 3], and what is true of it.

    Training seeds show trained outlines, drawings, sign designs and textures alone, all others
    held-out ones alone. Without the fonts (``training.fonts``) every layout is of shapes.
    """
    rng, side = np.random.default_rng([55, seed]), side_of(seed)
    ground = str(rng.choice(SHAPE_COLOURS))
    known = choices(side)
    picture = _ground(ground, rng, side, size)
    if known and rng.random() < 0.5:
        name, drawings = known[int(rng.integers(len(known)))]
        drawing = drawings[int(rng.integers(len(drawings)))]
        ink = _other_colour(rng, [ground])
        facts = draw_sign(picture, rng, side, name=name, drawing=drawing, ground=ground, ink=ink)
    else:
        facts = _shapes(picture, rng, side, ground)
    return _photograph(picture, rng), facts


def _ground(colour: str, rng: Rng, side: Side, size: int) -> Field:
    kinds = sorted(TRAINED_TEXTURES if side == "train" else HELD_OUT_TEXTURES)
    kind = "plain" if rng.random() < 0.5 else str(rng.choice(kinds))
    texture = draw_texture(rng, kind, colour, 0.0, float(rng.uniform(0.03, 0.2)))
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    flat, _ = surface(texture, u, v, rng)
    return np.ascontiguousarray(flat, np.float32)


def _other_colour(rng: Rng, taken: Sequence[str]) -> str:
    """A colour that nobody mistakes for one of those taken."""
    near = [np.array(COLOURS[t]) for t in taken]
    free = [
        c
        for c in SHAPE_COLOURS
        if all(float(np.linalg.norm(COLOURS[c] - t)) > _APART for t in near)
    ]
    return str(rng.choice(free))


def _shapes(picture: Field, rng: Rng, side: Side, ground: str) -> LayoutFacts:
    kinds = int(rng.choice([1, 1, 1, 2, 2, 2, 3]))
    items: list[tuple[str, str]] = []
    while len(items) < kinds:
        used = sorted({c for _, c in items})
        again = bool(used) and rng.random() < 0.3
        colour = str(rng.choice(used)) if again else _other_colour(rng, [ground, *used])
        item = (str(rng.choice(list(SHAPES))), colour)
        if item not in items:
            items.append(item)
    counts = [int(rng.integers(1, 7 // kinds)) for _ in items]
    which = np.repeat(np.arange(kinds), counts)
    places, radius = _places(rng, which, apart=kinds == 2 and rng.random() < 0.6)
    style = str(rng.choice(_STYLES[side]))
    size = picture.shape[0]
    for k, place in zip(which, places, strict=True):
        shape, colour = items[k]
        ways = OUTLINES[shape].of(side)
        turn = rng.normal(0, 0.06) if shape in STEADY else rng.uniform(0, 2 * np.pi)
        c, s = np.cos(turn), np.sin(turn)
        own = radius * rng.uniform(0.8, 1.0) * size
        way = ways[int(rng.integers(len(ways)))]
        contours = [p @ np.array([[c, s], [-s, c]]) * own + place * size for p in way(rng)]
        _paint(picture, contours, tinted(COLOURS[colour], rng, 0.03), style)
    return LayoutFacts(
        "shapes", ground, tuple(items), tuple(counts), _relations(places, which, kinds)
    )


# How shapes are filled: other ways on the other side.
_STYLES: dict[Side, tuple[str, ...]] = {
    "train": ("flat", "gradient", "bordered"),
    "held_out": ("shadowed", "striped"),
}


def _places(
    rng: Rng, which: NDArray[np.int64], *, apart: bool
) -> tuple[list[NDArray[np.float64]], float]:
    """Centres in 0..1 on a jittered lattice, and a radius at which nothing touches."""
    count = len(which)
    side = 1 if count == 1 else 2 if count <= 3 and not apart else 3
    cells = np.array([(x, y) for x in range(side) for y in range(side)], np.float64)
    cells = cells[rng.permutation(len(cells))]
    if apart:
        axis = int(rng.integers(2))
        order = np.argsort(cells[:, axis], kind="stable")
        if rng.random() < 0.5:
            order = order[::-1]
        first = int((which == 0).sum())
        rows = cells[order]
        # Thirds: the first item in one, the second in the opposite one.
        cells = np.concatenate([rows[:3][:first], rows[-3:][: count - first]])
    radius = {1: rng.uniform(0.18, 0.4), 2: 0.2, 3: 0.14}[side] * rng.uniform(0.75, 1.0)
    free = 0.5 / side - radius
    jitter = rng.uniform(-1, 1, (count, 2)) * max(0.0, free)
    centres = (cells[:count] + 0.5) / side + jitter
    return list(centres), float(radius)


def _relations(
    places: Sequence[NDArray[np.float64]], which: NDArray[np.int64], kinds: int
) -> tuple[str, ...]:
    """What holds with a clear gap between all of the first and all of the second item."""
    if kinds != 2:
        return ()
    at = np.array(places)
    first, second = at[which == 0], at[which == 1]
    found = []
    for axis, before, after in ((0, "left of", "right of"), (1, "above", "below")):
        if first[:, axis].max() + 0.2 < second[:, axis].min():
            found.append(before)
        elif second[:, axis].max() + 0.2 < first[:, axis].min():
            found.append(after)
    return tuple(found)


def _paint(
    picture: Field, contours: Sequence[sh.Points], rgb: tuple[float, float, float], style: str
) -> None:
    """Fill contours in place."""
    size = picture.shape[0]
    d = max(1, size // 42)
    box = box_of(contours, size, 3 * d)
    part, covered = picture[box], cover(contours, box)
    height, width = covered.shape
    fill: Field = np.array(rgb, np.float32)[None, None, :]
    if style == "gradient":
        fill = fill * np.linspace(1.2, 0.75, height, dtype=np.float32)[:, None, None]
    elif style == "striped":
        waves = 1 + 0.13 * np.sign(np.sin(np.arange(width, dtype=np.float32) * (90 / size)))
        fill = fill * waves[None, :, None]
    elif style == "shadowed":
        shadow = cv2.GaussianBlur(np.roll(covered, (d, d), (0, 1)), (0, 0), d / 2)
        part *= (1 - 0.5 * shadow)[..., None]
    elif style == "bordered":
        inner = cv2.erode(covered, np.ones((3, 3), np.uint8), iterations=max(1, size // 90))
        edge = np.array(dark(rgb, 0.6), np.float32)
        part += covered[..., None] * (edge - part)
        covered = np.asarray(inner)
    part += covered[..., None] * (fill - part)


def _photograph(picture: Field, rng: Rng) -> NDArray[np.uint8]:
    """A lamp's slope, a little blur and noise."""
    size = picture.shape[0]
    slope = rng.normal(0, 0.06, 2)
    t = np.linspace(-1, 1, size, dtype=np.float32)
    lamp = (1 + slope[0] * t[None, :] + slope[1] * t[:, None]) * rng.uniform(0.85, 1.1)
    lit = picture * lamp.astype(np.float32)[..., None]
    sigma = float(rng.gamma(2.0, 0.15)) * size / 128
    if sigma > 0.25:
        lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), sigma))
    grain = rng.standard_normal((size, size, 1), dtype=np.float32) * float(rng.gamma(2.0, 0.006))
    image: NDArray[np.uint8] = np.clip((lit + grain) * 255 + 0.5, 0, 255).astype(np.uint8)
    return image
