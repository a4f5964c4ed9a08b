"""A seed to a photograph: image, defect mask and the facts a caption may state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.copies import spread, spread_hurt
from training.defects import DEFECTS, STRUCTURAL, possible
from training.layers import Layer
from training.optics import Light, lit_by, shade
from training.paint import Canvas, Composite
from training.scenes import Program, draw_pose
from training.sites import Places
from training.textures import Field

__all__ = ["FAINTEST", "LARGEST", "SMALLEST", "Facts", "Render", "render", "visible"]

Mask = NDArray[np.bool_]
_LUMA = np.array([[0.3], [0.59], [0.11]], np.float32)

# What a person sees at 192 pixels: shares of the picture, and the change of brightness or colour
# over the mask, absolute and against the unrest of the good picture around it.
SMALLEST, LARGEST = 0.0015, 0.35
FAINTEST, FAINTEST_IN_UNREST = 0.05, 0.75
_MOVED = 0.035  # a pixel that changed less belongs to no mask
_ATTEMPTS = 6


@dataclass(frozen=True)
class Facts:
    """What a caption may say, and how plain the defect is.

    Attributes:
        name: A key of ``PARTS`` or ``SURFACES``.
        material: Word for the material.
        colour: Word for the colour.
        ground: Word for the ground's colour, empty where a surface fills the view.
        defect: A key of ``DEFECTS``, empty for a good part.
        camera: Words for what the camera did.
        area: Share of the picture that the mask covers.
        contrast: Mean change over the mask, 0..1.
    """

    name: str
    material: str
    colour: str
    ground: str
    defect: str = ""
    camera: tuple[str, ...] = field(default=())
    area: float = 0.0
    contrast: float = 0.0


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
        The render. The mask marks the pixels that the defect changed in the noise-free picture; a
        defect that nobody would see (``visible``) is drawn again, and after six attempts the part
        is returned good.
    """
    rng = np.random.default_rng([program.seed, instance])
    pose = draw_pose(program, rng, *size)
    light = lit_by(program.lamp, rng)
    seed = int(rng.integers(2**31))
    gloss = program.layers[0].texture.gloss if program.layers else program.ground.gloss
    good = spread(program.layers, program.copies)
    canvas = Canvas(program.ground, good, pose, size=size, seed=seed)
    lit, light = _exposed(canvas.clean, light, gloss)
    seen = _seen(lit, program.grey)
    places = Places(program, canvas.clean, pose)
    mask = np.zeros(size, bool)
    kind, contrast = "", 0.0
    for attempt in range(_ATTEMPTS if defect is not None else 0):
        draw = np.random.default_rng([program.seed, instance, 1, attempt])
        kind = str(draw.choice(possible(program.layers))) if defect == "any" else str(defect)
        which = places.which(draw)
        layers = _damaged(program, kind, places, which, draw)
        placed = spread_hurt(program.layers, good, layers, program.copies, which)
        hurt_lit = _shaded(canvas.hurt(placed), light, gloss)
        change = np.abs(_seen(hurt_lit, program.grey) - seen).max(axis=2)
        mask = _changed(change)
        if visible(mask, change, seen):
            lit, contrast = hurt_lit, float(change[mask].mean())
            break
        kind, mask = "", np.zeros(size, bool)
    image, camera = _photograph(lit, program.grey, rng)
    facts = Facts(
        program.name,
        program.material,
        program.colour,
        program.ground_colour if program.layers else "",
        kind,
        camera,
        float(mask.mean()),
        contrast,
    )
    return Render(image, mask, facts)


def visible(mask: Mask, change: Field, good: Field) -> bool:
    """Whether a person would see a change at 192 pixels.

    It covers 0.15 % to 35 % of the picture, and its mean over the mask is at least 0.05 and three
    quarters of the standard deviation of the good picture in and around the mask: on an even
    surface a faint change is seen, on a coarse texture it drowns.
    """
    if not SMALLEST <= mask.mean() < LARGEST:
        return False
    mean = float(change[mask].mean())
    if mean < FAINTEST:
        return False
    reach = 2 * max(2, min(mask.shape) // 24) + 1
    around = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return mean >= FAINTEST_IN_UNREST * float(good[around].mean(axis=1).std())


def _damaged(
    program: Program, kind: str, places: Places, which: int, draw: np.random.Generator
) -> list[Layer]:
    """The layers of one part with one or two defects of a kind."""
    ways, layers = DEFECTS[kind].of(program.side), list(program.layers)
    for _ in range(1 if kind in STRUCTURAL else int(draw.choice([1, 1, 1, 2]))):
        way = ways[int(draw.integers(len(ways)))]
        layers = way(layers, places.site(draw, which), draw)
    return layers


def _shaded(scene: Composite, light: Light, gloss: float) -> Field:
    return np.clip(shade(scene.albedo, scene.height, light, gloss, scene.body), 0, 1)


def _exposed(scene: Composite, light: Light, gloss: float) -> tuple[Field, Light]:
    """The picture, and the lamp turned up until a dark part can be seen, as at any station."""
    raw = shade(scene.albedo, scene.height, light, gloss, scene.body)
    lit = np.clip(raw, 0, 1)
    up = min(8.0, max(1.0, 0.13 / max(float(lit.mean()), 1e-3)))
    if up == 1:
        return lit, light
    r, g, b = light.gain
    return np.clip(raw * np.float32(up), 0, 1), replace(light, gain=(r * up, g * up, b * up))


def _seen(lit: Field, grey: bool) -> Field:
    """What the camera gets: a grey one cannot tell colours of one brightness apart."""
    return lit @ _LUMA if grey else lit


def _changed(change: Field) -> Mask:
    """Pixels that changed, without gaps of one pixel."""
    moved = (change > _MOVED).astype(np.uint8)
    closed = cv2.morphologyEx(moved, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    out: Mask = closed.astype(bool)
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
