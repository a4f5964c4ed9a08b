"""Pictograms on signs, labels and bare grounds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training import shapes as sh
from training.catalogue.variants import Side
from training.layouts.facts import LayoutFacts
from training.layouts.ink import fill
from training.layouts.pictograms import glyph
from training.palette import COLOURS, dark, tinted
from training.textures import Field

__all__ = ["draw_sign"]

Rng = np.random.Generator
# These are signs by themselves: on another one they would say something else.
_COMPLETE = frozenset({"no entry", "warning", "cross mark", "check mark"})


@dataclass(frozen=True)
class _Design:
    """Colours of a sign's plate, rim and pictogram; how wide the rim is."""

    plate: str
    rim: str
    ink: str
    width: float


_DESIGNS: dict[str, dict[Side, tuple[_Design, ...]]] = {
    "ban": {
        "train": (_Design("white", "red", "black", 0.16),),
        "held_out": (
            _Design("yellow", "black", "black", 0.12),
            _Design("white", "red", "blue", 0.1),
        ),
    },
    "circle": {
        "train": (
            _Design("blue", "white", "white", 0.05),
            _Design("green", "green", "white", 0.0),
        ),
        "held_out": (
            _Design("white", "blue", "blue", 0.1),
            _Design("black", "white", "white", 0.06),
        ),
    },
    "label": {
        "train": (
            _Design("white", "white", "black", 0.0),
            _Design("yellow", "yellow", "black", 0.0),
        ),
        "held_out": (
            _Design("white", "black", "red", 0.04),
            _Design("grey", "white", "blue", 0.03),
        ),
    },
    "square": {
        "train": (
            _Design("green", "white", "white", 0.05),
            _Design("red", "red", "white", 0.0),
        ),
        "held_out": (
            _Design("white", "black", "black", 0.07),
            _Design("blue", "blue", "white", 0.0),
        ),
    },
    "triangle": {
        "train": (
            _Design("yellow", "black", "black", 0.1),
            _Design("orange", "black", "black", 0.05),
        ),
        "held_out": (
            _Design("white", "red", "black", 0.16),
            _Design("yellow", "black", "red", 0.06),
        ),
    },
}


def draw_sign(
    picture: Field, rng: Rng, side: Side, *, name: str, drawing: str, ground: str, ink: str
) -> LayoutFacts:
    """Draw one pictogram into ``picture``; ``ink`` is its colour where it is on the bare ground."""
    bare = name in _COMPLETE or rng.random() < 0.35
    sign = str(rng.choice(["", "label"])) if bare else str(rng.choice(sorted(_DESIGNS)))
    size = picture.shape[0]
    radius = rng.uniform(0.28, 0.48) * size
    centre = size / 2 + rng.uniform(-1, 1, 2) * (size * 0.5 - radius)
    turn = rng.normal(0, 0.08)
    frame = _frame(centre, float(radius), float(turn))
    if not sign:
        _stamp(picture, drawing, frame, (0.0, 0.0, 0.9), _rgb(ink, rng))
        return LayoutFacts(
            "pictogram", ground, pictogram=name, colour=ink, sign="", drawing=drawing
        )
    designs = _DESIGNS[sign][side]
    design = designs[int(rng.integers(len(designs)))]
    where = _plate(picture, sign, design, frame, rng)
    _stamp(picture, drawing, frame, where, _rgb(design.ink, rng))
    if sign == "ban":
        slash = sh.rect(0, 0, 0.85, design.width / 2) @ _turned(np.pi / 4)
        _fill(picture, [slash], frame, _rgb(design.rim, rng))
    return LayoutFacts(
        "pictogram", ground, pictogram=name, colour=design.ink, sign=sign, drawing=drawing
    )


def _plate(
    picture: Field, sign: str, design: _Design, frame: NDArray[np.float64], rng: Rng
) -> tuple[float, float, float]:
    """Paint the plate; where the pictogram goes on it: x, y and half side."""
    rim, plate = _rgb(design.rim, rng), _rgb(design.plate, rng)
    if sign == "triangle":
        outline = sh.ngon(0, 0.25, 1.2, 3, -np.pi / 2)
        inner, where = sh.ngon(0, 0.25, 1.2 - 2 * design.width, 3, -np.pi / 2), (0.0, 0.32, 0.4)
    elif sign in ("circle", "ban"):
        outline, inner = sh.circle(0, 0, 1, 60), sh.circle(0, 0, 1 - design.width, 60)
        where = (0.0, 0.0, 0.58)
    elif sign == "square":
        outline = sh.rounded(0, 0, 0.95, 0.95, 0.1)
        w = 0.95 - design.width
        inner, where = sh.rounded(0, 0, w, w, 0.08), (0.0, 0.0, 0.68)
    else:
        h = rng.uniform(0.6, 0.9)
        outline = sh.rect(0, 0, 1, h)
        inner = sh.rect(0, 0, 1 - design.width, h - design.width)
        where = (-0.5, 0.0, 0.38) if rng.random() < 0.6 else (0.0, -0.22 * h, 0.6 * h)
    _fill(picture, [outline], frame, dark(rim, 0.9))
    _fill(picture, [inner], frame, plate)
    if sign == "label":
        text = []
        left = where[0] < 0
        for row in range(int(rng.integers(2, 4))):
            x, y = (0.45, (row - 1) * 0.36 * h) if left else (0.0, h * (0.55 + 0.22 * row))
            if y < h * 0.85:
                text += sh.glyphs(rng, x, y, int(rng.integers(3, 6)), 0.12, weight=0.3)
        _fill(picture, text, frame, _rgb("black", rng))
    return where


def _frame(centre: NDArray[np.float64], radius: float, turn: float) -> NDArray[np.float64]:
    """Affine map [2, 3] from -1..1 to pixels."""
    c, s = radius * np.cos(turn), radius * np.sin(turn)
    return np.array([[c, -s, centre[0]], [s, c, centre[1]]])


def _turned(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _rgb(colour: str, rng: Rng) -> tuple[float, float, float]:
    return tinted(COLOURS[colour], rng, 0.02)


def _fill(
    picture: Field,
    outlines: list[sh.Points],
    frame: NDArray[np.float64],
    rgb: tuple[float, float, float],
) -> None:
    fill(picture, [points @ frame[:, :2].T + frame[:, 2] for points in outlines], rgb)


def _stamp(
    picture: Field,
    drawing: str,
    frame: NDArray[np.float64],
    where: tuple[float, float, float],
    rgb: tuple[float, float, float],
) -> None:
    """Lay a pictogram's mask over the picture."""
    mask = glyph(drawing)
    side, (x, y, half) = mask.shape[0], where
    scale = 2 * half / side
    own = np.array([[scale, 0, x - half], [0, scale, y - half], [0, 0, 1]])
    small = np.hypot(*frame[:, 0]) * scale
    if small < 0.6:  # thin lines break up when a large mask is sampled at few points
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.4 / small))
    size = picture.shape[0]
    cover = cv2.warpAffine(mask, frame @ own, (size, size), flags=cv2.INTER_LINEAR)
    ink = np.array(rgb, np.float32)
    picture += (cover.astype(np.float32) / np.float32(255))[..., None] * (ink - picture)
