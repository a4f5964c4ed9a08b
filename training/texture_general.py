"""Textures that are no thing in particular: what training shows so that any surface is near one."""

from __future__ import annotations

import numpy as np

from training.texture_noise import Field, Maker, Texture, between, noise, spectral

__all__ = ["GENERAL"]


def _cloudy(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """A natural spectrum, 1/f^alpha, stretched along one direction."""
    alpha, stretch = 0.6 + 1.9 * t.knobs[1], between(t.knobs[2], 1, 8)

    def envelope(fu: Field, fv: Field) -> Field:
        gain: Field = (1 / 64 + np.hypot(fu, fv * stretch)) ** -alpha
        return gain

    n = spectral(rng, u, v, between(t.knobs[0], 8, 28), envelope)
    return 0.5 + (0.08 + 0.2 * t.knobs[3]) * n, 0.3 * t.knobs[4] * n


def _gabor(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Noise around one frequency: ripples where the band is narrow, grain where it is wide."""
    width, spread = 0.03 + 0.09 * t.knobs[1], 0.03 + 0.2 * t.knobs[2]

    def envelope(fu: Field, fv: Field) -> Field:
        return np.exp(-(((np.abs(fu) - 0.25) / width) ** 2) - (fv / spread) ** 2)

    n = spectral(rng, u, v, between(t.knobs[0], 12, 48), envelope)
    return 0.5 + (0.1 + 0.2 * t.knobs[3]) * n, 0.25 * t.knobs[4] * n


def _gratings(t: Texture, u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Two to four sinusoids of different frequency and direction, each with its own strength."""
    total, weight = np.zeros_like(u), 0.0
    for k in range(2 + int(2.99 * t.knobs[6])):
        a, f, gain = 2.4 * k * t.knobs[5], between(t.knobs[k], 2, 14), 0.4 + t.knobs[(k + 3) % 7]
        phase = 6.3 * float(rng.random())
        c, s = np.float32(6.283 * f * np.cos(a)), np.float32(6.283 * f * np.sin(a))
        total += np.float32(gain) * np.sin(c * u + s * v + np.float32(phase))
        weight += gain
    total /= np.float32(weight)
    return 0.5 + 0.4 * total + 0.04 * noise(rng, u, v, 8, 8), 0.15 * t.knobs[4] * total


GENERAL: dict[str, Maker] = {"cloudy": _cloudy, "gabor": _gabor, "gratings": _gratings}
