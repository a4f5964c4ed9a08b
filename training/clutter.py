"""Rendered everyday scenes: what is *outside* of the embedded model's world.

Photographs of the world are crowded: a horizon, large and small things that hide one another at all
depths, colours that change slowly across things, sharp and blurred places side by side. These
scenes copy that statistic (dead leaves with power-law sizes, Lee, Mumford & Huang 2001) from
seeds alone, so that the domain gate can learn "outside" without a single photograph. A third of
them have a picture of an untrained generator behind or instead of the leaves (``random_nets.py``).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training import shapes as sh
from training.random_nets import random_net_picture

__all__ = ["clutter"]

Picture = NDArray[np.float32]


def clutter(seed: int, size: int) -> NDArray[np.uint8]:
    """One scene, uint8 RGB [size, size, 3]."""
    rng = np.random.default_rng([91, seed])
    big = size + size // 4
    dreamed = rng.random() < 0.35
    picture = random_net_picture(rng, big) if dreamed else _backdrop(rng, big)
    # Far things first and blurred, near ones last: the lens is sharp at one depth.
    focus = rng.random()
    count = int(rng.integers(0, 25) if dreamed else rng.integers(6, 70))
    depths = np.sort(rng.random(count))
    for depth in depths:
        radius = big * float(np.clip(0.03 * (rng.pareto(1.3) + 0.6), 0.015, 0.45)) * (0.5 + depth)
        picture = _leaf(picture, rng, radius, blur=2.5 * abs(depth - focus) * rng.random())
    picture *= _lamp(rng, big)
    if rng.random() < 0.25:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    elif rng.random() < 0.5:
        picture *= rng.uniform(0.8, 1.2, 3).astype(np.float32)
    picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * rng.gamma(2, 0.006)
    edge = (big - size) // 2
    cut = picture[edge : edge + size, edge : edge + size]
    return np.ascontiguousarray(np.clip(cut * 255 + 0.5, 0, 255).astype(np.uint8))


def spectral_noise(rng: np.random.Generator, size: int, slope: float) -> Picture:
    """Noise [size, size] of unit variance whose amplitude falls as frequency ** -slope."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    f[0, 0] = 1
    wave = np.fft.rfft2(rng.standard_normal((size, size))) * f**-slope
    wave[0, 0] = 0
    out = np.fft.irfft2(wave, (size, size))
    scaled: Picture = (out / out.std()).astype(np.float32)
    return scaled


def _colour(rng: np.random.Generator) -> Picture:
    hue, saturation, value = rng.random() * 180, rng.beta(1.5, 2.5) * 255, rng.beta(2, 1.6) * 255
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    rgb: Picture = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32) / 255
    return rgb


def _backdrop(rng: np.random.Generator, size: int) -> Picture:
    """Sky over ground, a wall, or foliage."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    horizon = rng.uniform(0.2, 0.8)
    soft = np.clip((y - horizon) / rng.uniform(0.01, 0.4) + 0.5, 0, 1)
    upper = _colour(rng) + (_colour(rng) - 0.5) * 0.4 * y
    lower = _colour(rng) + (_colour(rng) - 0.5) * 0.4 * (1 - y)
    picture = upper * (1 - soft) + lower * soft
    rough = spectral_noise(rng, size, rng.uniform(0.8, 1.8))[..., None]
    amount = rng.uniform(0.02, 0.25) * (soft if rng.random() < 0.6 else 1)
    full: Picture = (picture * np.ones((size, size, 1)) * (1 + amount * rough)).astype(np.float32)
    return full


def _leaf(picture: Picture, rng: np.random.Generator, radius: float, blur: float) -> Picture:
    """One thing: an outline filled with a shaded, textured colour, in front of all before it."""
    size = len(picture)
    x, y = rng.uniform(-0.1, 1.1, 2) * size
    kind = rng.integers(0, 4)
    if kind == 0:
        outline = sh.blob(rng, x, y, radius, 0.5)
    elif kind == 1:
        outline = sh.ellipse(x, y, radius, radius * rng.uniform(0.3, 1))
    elif kind == 2:
        outline = sh.rect(x, y, radius, radius * rng.uniform(0.15, 1))
    else:
        bend = np.cumsum(rng.normal(0, 0.5, 12))
        steps = np.stack([np.cos(bend), np.sin(bend)], 1) * radius / 4
        outline = sh.stroke(np.cumsum(steps, 0) + np.array([x, y]), radius * rng.uniform(0.1, 0.4))
    outline = sh.moved(outline, 0, 0, rng.uniform(0, 6.3))
    low = np.floor(outline.min(0) - 3 * blur - 2).astype(int).clip(0, size)
    high = np.ceil(outline.max(0) + 3 * blur + 2).astype(int).clip(0, size)
    (x0, y0), (x1, y1) = low, high
    if x1 - x0 < 2 or y1 - y0 < 2:
        return picture
    cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
    points = np.round((outline - low) * 16).astype(np.int32)
    cv2.fillPoly(cover, [points], 255, lineType=cv2.LINE_AA, shift=4)
    alpha = cover.astype(np.float32) / 255
    if blur > 0.3:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), np.float32)
    v, u = np.mgrid[0 : y1 - y0, 0 : x1 - x0].astype(np.float32)
    slope = rng.normal(0, 0.35, 2) / max(radius, 1)
    side = max(y1 - y0, x1 - x0)
    rough = spectral_noise(rng, side, rng.uniform(0.6, 2))[: y1 - y0, : x1 - x0]
    if blur > 0.3:
        rough = np.asarray(cv2.GaussianBlur(rough, (0, 0), blur), np.float32)
    shade = 1 + slope[0] * (u - u.mean()) + slope[1] * (v - v.mean())
    shade = shade * (1 + rng.uniform(0, 0.3) * rough)
    fill = _colour(rng) * shade[..., None]
    if rng.random() < 0.3:  # the shadow that it throws on what lies behind
        picture[y0:y1, x0:x1] *= 1 - 0.4 * np.roll(alpha, 3, (0, 1))[..., None]
    part = picture[y0:y1, x0:x1]
    part += alpha[..., None] * (fill.astype(np.float32) - part)
    return picture


def _lamp(rng: np.random.Generator, size: int) -> Picture:
    """Uneven light over the whole scene."""
    rough = spectral_noise(rng, size, 2.2)
    lamp: Picture = np.clip(1 + rng.uniform(0, 0.25) * rough, 0.2, 2)[..., None].astype(np.float32)
    return lamp
