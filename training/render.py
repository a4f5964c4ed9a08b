"""A seed to a photograph: image, defect mask and the facts a caption may state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training import scenes
from training.defects import DEFECTS, STRUCTURAL, Site, possible
from training.scenes import Composite, Light, Pose, Program
from training.textures import Field

__all__ = ["Facts", "Render", "render"]

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
_LUMA = np.array([[0.3], [0.59], [0.11]], np.float32)


@dataclass(frozen=True)
class Facts:
    """What a caption may say. ``defect`` is empty for a good part."""

    name: str
    material: str
    colour: str
    ground: str
    defect: str = ""
    camera: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Render:
    """``image`` uint8 [h, w, 3] RGB, ``mask`` bool [h, w] (True: defect), and the facts."""

    image: NDArray[np.uint8]
    mask: Mask
    facts: Facts


def render(
    program: Program,
    instance: int,
    *,
    defect: str | None = None,
    size: tuple[int, int] = (128, 128),
) -> Render:
    """One photograph of a program.

    Args:
        program: What is photographed.
        instance: Seed of pose, light, noise and defect; equal arguments give equal bytes.
        defect: ``None`` for a good part, a key of ``DEFECTS``, or "any" for one that fits.
        size: Height and width in pixels.

    Returns:
        The render. The mask marks the pixels that the defect changed visibly in the noise-free
        picture; a defect that would be invisible is drawn again, and after six attempts the part
        is returned good.
    """
    height, width = size
    rng = np.random.default_rng([program.seed, instance])
    pose = scenes.draw_pose(program, rng, height, width)
    light = scenes.draw_light(program, rng)
    seed = int(rng.integers(2**31))
    gloss = program.layers[0].texture.gloss if program.layers else program.ground.gloss
    clean = scenes.compose(program, program.layers, pose, size=size, seed=seed)
    lit = scenes.shade(clean, light, gloss)
    light = _exposed(light, float(lit.mean()))
    lit = scenes.shade(clean, light, gloss)
    mask = np.zeros(size, bool)
    kind = ""
    if defect is not None:
        for attempt in range(6):
            draw = np.random.default_rng([program.seed, instance, 1, attempt])
            kind = str(draw.choice(possible(program.layers))) if defect == "any" else defect
            layers = list(program.layers)
            for _ in range(1 if kind in STRUCTURAL else int(draw.choice([1, 1, 1, 2]))):
                layers = DEFECTS[kind](layers, _site(clean, pose, draw), draw)
            hurt = scenes.compose(program, layers, pose, size=size, seed=seed)
            hurt_lit = scenes.shade(hurt, light, gloss)
            mask = _changed(lit, hurt_lit)
            if 0.0008 < mask.mean() < 0.35:
                lit = hurt_lit
                break
        else:
            kind, mask = "", np.zeros(size, bool)
    image, camera = _photograph(lit, program.grey, rng)
    facts = Facts(
        program.name,
        program.material,
        program.colour,
        program.ground_colour if program.kind == "part" else "",
        kind,
        camera,
    )
    return Render(image, mask, facts)


def _exposed(light: Light, mean: float) -> Light:
    """The lamp turned up until a dark part can be seen, as at any station."""
    up = min(8.0, max(1.0, 0.13 / max(mean, 1e-3)))
    r, g, b = light.gain
    return replace(light, gain=(r * up, g * up, b * up))


def _site(clean: Composite, pose: Pose, rng: np.random.Generator) -> Site:
    """A random point of the part, one of its rim, in canonical coordinates."""
    inside: Pixels = (clean.body > 0.5).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    core: Pixels = cv2.erode(inside, kernel, iterations=2)  # type: ignore[assignment]
    rim: Pixels = inside - cv2.erode(inside, kernel)  # type: ignore[assignment]
    spot = _pixel(core if core.any() else inside, rng)
    edge = _pixel(rim if rim.any() else inside, rng)
    u, v = pose.canonical(*clean.body.shape)
    colour = clean.albedo[max(0, spot[0] - 1) : spot[0] + 2, max(0, spot[1] - 1) : spot[1] + 2]
    r, g, b = colour.reshape(-1, 3).mean(axis=0)
    return Site(
        (float(u[spot]), float(v[spot])),
        (float(u[edge]), float(v[edge])),
        (float(r), float(g), float(b)),
    )


def _pixel(where: Pixels, rng: np.random.Generator) -> tuple[int, int]:
    rows, columns = np.nonzero(where)
    if not len(rows):
        return where.shape[0] // 2, where.shape[1] // 2
    k = int(rng.integers(len(rows)))
    return int(rows[k]), int(columns[k])


def _changed(before: Field, after: Field) -> Mask:
    """Pixels whose lit colour moved by more than the camera's noise hides."""
    change = np.abs(after - before).max(axis=2)
    moved = (change > 0.05).astype(np.uint8)
    moved = cv2.morphologyEx(moved, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    out: Mask = moved.astype(bool)
    return out


def _photograph(
    lit: Field, grey: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Lens, sensor and file: blur, noise, JPEG; with the words that describe a strong one."""
    words = []
    scale = min(lit.shape[:2]) / 128
    sigma = float(rng.gamma(2.0, 0.18)) * scale
    if rng.random() < 0.03:
        sigma = 1.5 * scale
        words.append("blurry")
    gain = 1.0
    if rng.random() < 0.06:
        gain = float(rng.choice([0.55, 1.4]))
        words.append("dark" if gain < 1 else "bright")
    pixels = np.asarray(lit if sigma < 0.25 else cv2.GaussianBlur(lit, (0, 0), sigma))
    if grey:
        pixels = np.repeat(pixels @ _LUMA, 3, axis=2)
        words.append("grey")
    level = float(rng.gamma(2.0, 0.006))
    grain = rng.standard_normal(lit.shape[:2], dtype=np.float32)[..., None] * level
    if not grey:
        grain = grain + rng.standard_normal(lit.shape, dtype=np.float32) * (0.5 * level)
    image = np.clip((pixels * gain + grain) * 255 + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        quality = int(rng.integers(15, 90))
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not ok:
            raise RuntimeError("OpenCV could not encode a JPEG")
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        if quality < 30:
            words.append("jpeg corrupted")
    return np.ascontiguousarray(image), tuple(words)
