"""Surface textures: a tone and a height for every pixel, from canonical coordinates and noise."""

from __future__ import annotations

import numpy as np

from training.texture_general import GENERAL
from training.texture_noise import Field, Maker, Texture, between, noise, wave
from training.textures_metal import METAL
from training.textures_mineral import MINERAL
from training.textures_panel import PANEL
from training.textures_woven import WOVEN

__all__ = ["TEXTURES", "Field", "Texture", "noise", "surface"]


def surface(texture: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Colour [h, w, 3] in 0..1 and height [h, w] (about -1..1) at canonical positions ``u, v``."""
    angle = texture.knobs[7] * np.pi
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    tone, height = TEXTURES[texture.kind](texture, c * u + s * v, c * v - s * u, rng)
    low, high = np.array(texture.low, np.float32), np.array(texture.high, np.float32)
    return low + (high - low) * np.clip(tone, 0, 1)[..., None], height


def _plain(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    n = noise(rng, u, v, between(t.knobs[0], 1, 8), between(t.knobs[0], 1, 8), octaves=3)
    return 0.5 + 0.12 * t.knobs[1] * n, 0.02 * t.knobs[2] * n


def _brushed(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    n = noise(rng, u, v, between(t.knobs[0], 25, 60), between(t.knobs[1], 0.4, 3), octaves=2)
    return 0.5 + 0.22 * n, 0.04 * n


def _wood(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    warp = noise(rng, u, v, 1.2, 0.5, octaves=2)
    rings = wave(u * between(t.knobs[0], 2, 7) + warp * (0.3 + t.knobs[1]))
    fibre = noise(rng, u, v, 45, 3)
    return 0.25 + 0.45 * rings + 0.12 * fibre, 0.03 * fibre


def _leather(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 8, 24)
    ridge = 1 - np.minimum(np.abs(noise(rng, u, v, f, f)), 1)
    grain = ridge**2 * (0.3 + 0.5 * t.knobs[1])
    return 0.7 - 0.5 * grain + 0.06 * noise(rng, u, v, 2, 2), -0.3 * grain


def _weave(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 8, 22)
    shift = np.floor(v * f) * (0.5 if t.knobs[1] < 0.6 else 0.25)
    warp = 0.05 * noise(rng, u, v, 4, 4)
    thread = np.sin(np.pi * (u * f + shift + warp)) ** 2 * np.sin(np.pi * (v * f + warp)) ** 2
    return 0.15 + 0.75 * thread + 0.08 * noise(rng, u, v, 6, 6), 0.3 * thread


def _carpet(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 12, 30)
    n = noise(rng, u, v, f, f * (0.5 + t.knobs[1]), octaves=2)
    return 0.5 + 0.25 * n, 0.15 * n


def _speckle(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 6, 22)
    n = noise(rng, u, v, f, f)
    blot = np.clip((n - 1.2 * t.knobs[1]) * 3 + 0.5, 0, 1)
    return 0.1 + 0.75 * blot + 0.05 * noise(rng, u, v, 30, 30), np.zeros_like(u)


def _terrazzo(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 5, 14)
    n, m = noise(rng, u, v, f, f), noise(rng, u, v, f * 1.7, f * 1.7)
    return 0.5 + 0.45 * (n > 0.9) - 0.4 * (m > 1.0), np.zeros_like(u)


def _grid(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 3, 12)
    wire = 0.15 + 0.3 * t.knobs[1]
    near = np.maximum(wave(u * f), wave(v * f))
    bar = np.clip((near - (1 - wire)) * 12 / f * 6 + 0.5, 0, 1)
    return bar * 0.85 + 0.06 * noise(rng, u, v, 8, 8), 0.4 * bar


def _dots(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 3, 12)
    row = np.floor(v * f)
    x, y = u * f + (0.5 * np.mod(row, 2) if t.knobs[1] > 0.5 else 0), v * f
    distance = np.hypot(x - np.floor(x) - 0.5, y - row - 0.5)
    dot = np.clip((0.15 + 0.22 * t.knobs[2] - distance) * 40 / f + 0.5, 0, 1)
    return 0.9 - 0.85 * dot + 0.05 * noise(rng, u, v, 5, 5), -0.4 * dot


def _tiles(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 1, 4)
    row = np.floor(v * f)
    x = u * f * (1 if t.knobs[1] < 0.5 else 0.5) + (0.5 * np.mod(row, 2) if t.knobs[2] > 0.5 else 0)
    joint = np.clip((np.maximum(wave(x), wave(v * f)) - 0.93) * 30 / f, 0, 1)
    shade = noise(rng, u, v, 4, 4, octaves=3)
    return 0.75 + 0.12 * t.knobs[3] * shade - 0.7 * joint, -0.5 * joint


def _stripes(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 3, 20)
    hard = 1 + 10 * t.knobs[1]
    stripe = np.clip((wave(u * f) - 0.5) * hard + 0.5, 0, 1)
    return 0.1 + 0.8 * stripe + 0.05 * noise(rng, u, v, 6, 6), 0.2 * t.knobs[2] * stripe


def _cells(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 2, 6)
    patches = np.round(noise(rng, u, v, f, f) * 1.5) / 1.5
    cloud = noise(rng, u, v, 1.5, 1.5, octaves=3)
    bars = np.clip((wave(u * (1 + int(2.9 * t.knobs[1])) * 0.5 + 0.25) - 0.96) * 60, 0, 1)
    fingers = wave(v * between(t.knobs[3], 10, 20))
    bright = 0.55 + 0.08 * patches * t.knobs[2] + 0.1 * cloud + 0.08 * fingers
    return bright * (1 - bars) + bars * (0.95 if t.knobs[4] > 0.5 else 0.05), np.zeros_like(u)


def _baked(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    n = noise(rng, u, v, between(t.knobs[0], 4, 10), between(t.knobs[0], 4, 10), octaves=3)
    chip = np.clip((noise(rng, u, v, 5, 5) - 1.3 - t.knobs[1]) * 5, 0, 1)
    return 0.6 + 0.15 * n - 0.55 * chip, 0.25 * n


def _knurl(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 5, 16)
    diamond = np.minimum(wave((u + v) * f), wave((u - v) * f))
    return 0.3 + 0.6 * diamond + 0.05 * noise(rng, u, v, 6, 6), 0.4 * diamond


def _hammered(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 3, 10)
    n = noise(rng, u, v, f, f)
    return 0.5 + 0.1 * n, 0.5 * n * (0.3 + t.knobs[1])


def _concrete(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    n = noise(rng, u, v, 3, 3, octaves=4)
    pore = np.clip((noise(rng, u, v, 20, 20) - 2.0 - t.knobs[0]) * 4, 0, 1)
    return 0.55 + 0.14 * n - 0.4 * pore, 0.06 * n - 0.3 * pore


def _scales(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    f = between(t.knobs[0], 4, 10)
    row = np.floor(v * f)
    x = u * f + 0.5 * np.mod(row, 2)
    bow = np.hypot(x - np.floor(x) - 0.5, v * f - row)
    return 0.9 - 0.7 * np.clip(bow, 0, 1) + 0.05 * noise(rng, u, v, 6, 6), -0.3 * bow


TEXTURES: dict[str, Maker] = {
    **GENERAL,
    **METAL,
    **MINERAL,
    **PANEL,
    **WOVEN,
    "baked": _baked,
    "brushed": _brushed,
    "carpet": _carpet,
    "cells": _cells,
    "concrete": _concrete,
    "dots": _dots,
    "grid": _grid,
    "hammered": _hammered,
    "knurl": _knurl,
    "leather": _leather,
    "plain": _plain,
    "scales": _scales,
    "speckle": _speckle,
    "stripes": _stripes,
    "terrazzo": _terrazzo,
    "tiles": _tiles,
    "weave": _weave,
    "wood": _wood,
}
