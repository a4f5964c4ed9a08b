"""Where a part lies in the picture, and the lamp above it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.catalogue.variants import Side
from training.shapes import Points
from training.textures import Field

__all__ = ["AMBIENT", "ELEVATION", "Lamp", "Light", "Pose", "draw_lamp", "lit_by", "shade"]

Ranges = tuple[tuple[float, float], ...]

# Radians above the part, and the share of light without a direction. No range touches one of the
# other side, so a held-out picture is never lit as a trained one.
ELEVATION: dict[Side, Ranges] = {"train": ((0.5, 1.4),), "held_out": ((0.32, 0.48), (1.42, 1.52))}
AMBIENT: dict[Side, Ranges] = {"train": ((0.35, 0.75),), "held_out": ((0.25, 0.34), (0.76, 0.85))}


@dataclass(frozen=True)
class Pose:
    """Canonical to pixel coordinates: ``scale`` px per unit, turned, centre at (x, y).

    ``lean`` is how fast the scale changes per pixel, as when the camera looks a little from aside.
    """

    turn: float
    scale: float
    x: float
    y: float
    lean: tuple[float, float] = (0.0, 0.0)

    def pixels(self, points: Points) -> Points:
        """Canonical [n, 2] to pixels."""
        c, s = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        out: Points = points @ np.array([[c, s], [-s, c]])
        if self.lean != (0.0, 0.0):
            out = out / np.maximum(1 - out @ np.array(self.lean), 0.2)[:, None]
        placed: Points = out + np.array([self.x, self.y])
        return placed

    def canonical(self, height: int, width: int) -> tuple[Field, Field]:
        """``u, v`` of every pixel centre."""
        x = (np.arange(width, dtype=np.float32) + np.float32(0.5 - self.x))[None, :]
        y = (np.arange(height, dtype=np.float32) + np.float32(0.5 - self.y))[:, None]
        if self.lean != (0.0, 0.0):
            far = 1 / (1 + np.float32(self.lean[0]) * x + np.float32(self.lean[1]) * y)
            x, y = x * far, y * far
        c, s = np.cos(self.turn) / self.scale, np.sin(self.turn) / self.scale
        return (c * x + s * y).astype(np.float32), (c * y - s * x).astype(np.float32)


@dataclass(frozen=True)
class Lamp:
    """The lamp of a station; every picture jitters it.

    Attributes:
        azimuth: Direction in the picture, radians.
        elevation: Radians above the part.
        ambient: Share of light without a direction.
        warmth: Colour of the light, -0.06..0.06.
        vignette: How much darker the corners are.
        spot: Strength of a brighter round area, 0 for none.
        glare: Strength of a soft reflection of the lamp, 0 for none.
    """

    azimuth: float
    elevation: float
    ambient: float
    warmth: float
    vignette: float = 0.0
    spot: float = 0.0
    glare: float = 0.0


@dataclass(frozen=True)
class Light:
    """What one picture is lit by.

    Attributes:
        direction: To the lamp.
        ambient: Share of light without a direction.
        slope: A linear fall-off along x and y.
        gain: Exposure times the colour of the light.
        vignette: How much darker the corners are.
        spot: Centre x, y (-1..1), radius and strength of a brighter area.
        glare: The same of a reflection that adds its own light.
    """

    direction: tuple[float, float, float]
    ambient: float
    slope: tuple[float, float]
    gain: tuple[float, float, float]
    vignette: float = 0.0
    spot: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.0)
    glare: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.0)


def draw_lamp(rng: np.random.Generator, side: Side) -> Lamp:
    """The lamp of a program, from the ranges of its side."""
    azimuth, warmth = rng.uniform(0, 2 * np.pi), rng.uniform(-0.06, 0.06)
    elevation, ambient = _within(rng, ELEVATION[side]), _within(rng, AMBIENT[side])
    soft, spot, glare = rng.random(3)
    return Lamp(
        float(azimuth),
        elevation,
        ambient,
        float(warmth),
        float(rng.uniform(0.03, 0.25)) if soft < 0.4 else 0.0,
        float(rng.uniform(0.1, 0.45)) if spot < 0.25 else 0.0,
        float(rng.uniform(0.04, 0.22)) if glare < 0.2 else 0.0,
    )


def lit_by(lamp: Lamp, rng: np.random.Generator) -> Light:
    """The station's lamp, a little moved and dimmed."""
    azimuth = lamp.azimuth + rng.normal(0, 0.15)
    direction = (
        float(np.cos(azimuth) * np.cos(lamp.elevation)),
        float(np.sin(azimuth) * np.cos(lamp.elevation)),
        float(np.sin(lamp.elevation)),
    )
    exposure = float(np.exp(rng.normal(0, 0.07)))
    warm = 2 * lamp.warmth + float(rng.normal(0, 0.01))
    slope = rng.normal(0, 0.07, 2)
    # spot and reflection lie towards the lamp, never twice at the same place
    x, y = 0.55 * np.cos(azimuth), 0.55 * np.sin(azimuth)
    jitter = rng.normal(0, 0.15, 4)
    wide = rng.uniform(0.8, 1.25, 2)
    return Light(
        direction,
        lamp.ambient,
        (float(slope[0]), float(slope[1])),
        (exposure * (1 + warm), exposure, exposure * (1 - warm)),
        lamp.vignette * float(rng.uniform(0.7, 1.3)),
        (float(x + jitter[0]), float(y + jitter[1]), float(0.7 * wide[0]), lamp.spot),
        (float(x + jitter[2]), float(y + jitter[3]), float(0.3 * wide[1]), lamp.glare),
    )


def shade(albedo: Field, height: Field, light: Light, gloss: float, body: Field) -> Field:
    """Unclipped lit pixels [h, w, 3], about 0..1: Lambert plus a highlight of the normals."""
    rows, columns = height.shape
    steep = np.float32(min(rows, columns) / 128 * 1.2)
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125) * steep
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125) * steep
    length = 1 / np.sqrt(dx * dx + dy * dy + 1)
    lx, ly, lz = (np.float32(x) for x in light.direction)
    diffuse = np.clip((-dx * lx - dy * ly + lz) * length, 0, None) / lz
    hx, hy, hz = (np.float32(x) for x in _half(light.direction))
    specular = np.clip((-dx * hx - dy * hy + hz) * length, 0, 1)
    for _ in range(3):  # to the 24th, by products
        specular = specular * specular
    specular = specular * specular * specular
    lamp, glare = _fields(light, rows, columns)
    flat = (light.ambient + (1 - light.ambient) * diffuse) * lamp
    shine = np.float32(0.25 * gloss) * specular * lamp
    if glare is not None:
        shine = shine + glare * np.float32(0.3 + gloss) * length * body
    lit: Field = albedo * flat[..., None] + shine[..., None]
    lit *= np.array(light.gain, np.float32)
    return lit


def _half(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = direction[0], direction[1], direction[2] + 1
    norm = float(np.sqrt(x * x + y * y + z * z))
    return x / norm, y / norm, z / norm


def _fields(light: Light, rows: int, columns: int) -> tuple[Field, Field | None]:
    """Brightness of the lamp over the picture, and its reflection."""
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    lamp: Field = 1 + np.float32(light.slope[0]) * x + np.float32(light.slope[1]) * y
    if light.vignette:
        lamp = lamp * (1 - np.float32(light.vignette) * (x * x + y * y))
    if light.spot[3]:
        lamp = lamp * (np.float32(1 - light.spot[3] / 2) + _round(light.spot, x, y))
    return lamp, _round(light.glare, x, y) if light.glare[3] else None


def _round(area: tuple[float, float, float, float], x: Field, y: Field) -> Field:
    """A Gaussian hill."""
    cx, cy, r, strength = (np.float32(k) for k in area)
    out: Field = (
        strength * np.exp(-((x - cx) ** 2) / (2 * r * r)) * np.exp(-((y - cy) ** 2) / (2 * r * r))
    )
    return out


def _within(rng: np.random.Generator, ranges: Ranges) -> float:
    low, high = ranges[int(rng.integers(len(ranges)))]
    return float(rng.uniform(low, high))
