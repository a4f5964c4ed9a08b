"""What texture makers share: the texture's record, noise, cells and anti-aliased edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Field",
    "Maker",
    "Texture",
    "between",
    "centred",
    "flag",
    "fringe",
    "hexagons",
    "hump",
    "noise",
    "per_cell",
    "spectral",
    "step",
    "voronoi",
    "wave",
]

Field = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
Rgb = tuple[float, float, float]
Maker = Callable[["Texture", Field, Field, np.random.Generator], tuple[Field, Field]]


@dataclass(frozen=True)
class Texture:
    """One texture of one program.

    Attributes:
        kind: A key of ``TEXTURES``.
        low: Colour at tone 0, RGB in 0..1.
        high: Colour at tone 1.
        knobs: Eight numbers in 0..1 that fix frequency, contrast, angle, ...
        gloss: Strength of the specular light, 0..1.
    """

    kind: str
    low: Rgb
    high: Rgb
    knobs: tuple[float, ...]
    gloss: float = 0.1


def noise(
    rng: np.random.Generator, u: Field, v: Field, fu: float, fv: float, *, octaves: int = 1
) -> Field:
    """Smooth noise of unit variance with ``fu, fv`` cells per canonical unit; 1/f over octaves."""
    total = np.zeros_like(u)
    weight = 0.0
    for octave in range(octaves):
        gain = 0.6**octave
        lattice = rng.standard_normal((64, 64), dtype=np.float32)
        du, dv = rng.uniform(0, 64, 2).astype(np.float32)
        scale = 2.0**octave
        x = np.mod(u * np.float32(fu * scale) + du, np.float32(64))
        y = np.mod(v * np.float32(fv * scale) + dv, np.float32(64))
        total += np.float32(gain) * cv2.remap(
            lattice, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        weight += gain * gain
    return total * np.float32(1.4 / np.sqrt(weight))


def spectral(
    rng: np.random.Generator,
    u: Field,
    v: Field,
    cells: float,
    envelope: Callable[[Field, Field], Field],
) -> Field:
    """Noise of unit variance whose spectrum is ``envelope(fu, fv)``, frequencies in -0.5..0.5.

    A frequency of 1 would be ``cells`` periods per canonical unit.
    """
    white = np.fft.rfft2(rng.standard_normal((64, 64), dtype=np.float32))
    fu, fv = np.fft.rfftfreq(64)[None, :], np.fft.fftfreq(64)[:, None]
    gain: Field = np.array(np.broadcast_to(envelope(fu, fv), white.shape))
    gain[0, 0] = 0
    rough = np.fft.irfft2(white * gain, (64, 64))
    lattice = (rough / (rough.std() + 1e-9)).astype(np.float32)
    du, dv = rng.uniform(0, 64, 2).astype(np.float32)
    x = np.mod(u * np.float32(cells) + du, np.float32(64))
    y = np.mod(v * np.float32(cells) + dv, np.float32(64))
    out: Field = cv2.remap(lattice, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    return out


def voronoi(
    rng: np.random.Generator, x: Field, y: Field, *, jitter: float = 0.9
) -> tuple[Field, Field, Field]:
    """Distance to the nearest of one point per unit cell, to the border, and 0..1 per point."""
    sites = (rng.random((2, 64, 64), dtype=np.float32) - 0.5) * np.float32(jitter) + 0.5
    site_x, site_y = np.ascontiguousarray(sites[0]).ravel(), np.ascontiguousarray(sites[1]).ravel()
    values = rng.random(64 * 64, dtype=np.float32)
    column, row = np.floor(x), np.floor(y)
    fx, fy = (x - column).astype(np.float32), (y - row).astype(np.float32)
    i, j = column.astype(np.int32), row.astype(np.int32)
    first = np.full(x.shape, 9, np.float32)
    second = first.copy()
    owner = np.zeros(x.shape, np.int32)
    for dj in (-1, 0, 1):
        line = ((j + dj) & 63) << 6
        for di in (-1, 0, 1):
            index = line | ((i + di) & 63)
            ex, ey = site_x.take(index) + (di - fx), site_y.take(index) + (dj - fy)
            square = ex * ex + ey * ey
            np.copyto(owner, index, where=square < first)
            second = np.minimum(second, np.maximum(first, square))
            first = np.minimum(first, square)
    near = np.sqrt(first)
    return near, 0.5 * (np.sqrt(second) - near), values.take(owner)


def hexagons(x: Field, y: Field) -> tuple[Field, Field, Field]:
    """Distance 0..0.5 to the border of hexagons of width 1, and the place of their centres."""
    tall = np.float32(np.sqrt(3))
    ax, ay = np.mod(x, 1) - 0.5, np.mod(y, tall) - tall / 2
    bx, by = np.mod(x - 0.5, 1) - 0.5, np.mod(y - tall / 2, tall) - tall / 2
    first = ax * ax + ay * ay < bx * bx + by * by
    gx, gy = np.where(first, ax, bx), np.where(first, ay, by)
    wide = np.maximum(np.abs(gx) * 0.5 + np.abs(gy) * (tall / 2), np.abs(gx))
    return 0.5 - wide, x - gx, y - gy


def per_cell(rng: np.random.Generator, column: Field, row: Field) -> Field:
    """A random number in 0..1 for each pair of whole numbers."""
    table = rng.random(64 * 64, dtype=np.float32)
    out: Field = table.take((row.astype(np.int32) & 63) << 6 | column.astype(np.int32) & 63)
    return out


def fringe(u: Field, v: Field) -> float:
    """The size of a pixel in the units of ``u, v``: how soft an edge must be."""
    return float(np.hypot(u[0, 1] - u[0, 0], v[0, 1] - v[0, 0]))


def step(distance: Field, soft: float) -> Field:
    """1 where ``distance`` is positive, 0 where negative, a ramp ``soft`` wide between."""
    out: Field = np.clip(distance * np.float32(1 / soft) + np.float32(0.5), 0, 1)
    return out


def flag(condition: Flags) -> Field:
    """1 where true, 0 elsewhere; a bare bool would turn what it meets into float64."""
    return condition.astype(np.float32)


def hump(square: Field) -> Field:
    """Height of a unit dome at the squared distance from its middle."""
    out: Field = np.sqrt(np.maximum(1 - square, 0))
    return out


def between(knob: float, low: float, high: float) -> float:
    """``low`` at 0, ``high`` at 1, in even ratios between."""
    return float(low * (high / low) ** knob)


def wave(x: Field) -> Field:
    """Triangle wave of period 1 in 0..1, 1 at whole numbers."""
    return np.abs(2 * (x - np.floor(x)) - 1)


def centred(x: Field) -> Field:
    """Offset from the middle of the unit cell, -0.5..0.5."""
    return x - np.floor(x) - 0.5
