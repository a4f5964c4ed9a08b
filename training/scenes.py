"""Programs (what is seen), poses and lights (how), and their composition into lit pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training import palette
from training.layers import Layer, Part
from training.parts import PARTS
from training.seeds import HELD_OUT_FAMILIES, SEEDS
from training.shapes import Points
from training.textures import TEXTURES, Field, Texture, surface

__all__ = ["SURFACES", "Composite", "Light", "Pose", "Program", "compose", "make_program", "shade"]

# surface name -> (textures, colours, word for the material)
SURFACES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "carpet": (("carpet", "weave"), ("grey", "brown", "blue", "green", "red"), "fabric"),
    "commutator": (("brushed", "plain", "concrete"), ("grey", "silver", "copper"), "metal"),
    "cloth": (("weave", "stripes"), tuple(sorted(palette.COLOURS)), "fabric"),
    "concrete wall": (("concrete",), ("grey", "beige"), "concrete"),
    "dotted plate": (("dots",), ("silver", "grey", "white", "black"), "metal"),
    "dough sheet": (("baked",), ("beige", "brown", "orange"), "dough"),
    "grid": (("grid",), ("grey", "silver", "black"), "metal"),
    "knurled sheet": (("knurl",), ("silver", "grey", "black"), "metal"),
    "leather": (("leather",), ("brown", "black", "red", "beige", "orange"), "leather"),
    "metal sheet": (
        ("brushed", "hammered", "plain"),
        ("silver", "grey", "copper", "gold"),
        "metal",
    ),
    "paper sheet": (("plain", "stripes"), ("white", "beige", "yellow", "pink"), "paper"),
    "plastic sheet": (("plain", "hammered"), tuple(sorted(palette.COLOURS)), "plastic"),
    "rubber mat": (("knurl", "stripes", "plain", "dots"), ("black", "grey"), "rubber"),
    "scales": (("scales",), ("green", "blue", "grey", "brown"), "ceramic"),
    "solar cell": (("cells",), ("blue", "grey", "black", "grey", "white"), "glass"),
    "terrazzo": (("terrazzo",), ("grey", "white", "beige"), "stone"),
    "tile": (("speckle", "tiles"), ("white", "beige", "blue", "grey", "green"), "ceramic"),
    "wood": (("wood",), ("brown", "beige", "orange"), "wood"),
}


@dataclass(frozen=True)
class Program:
    """One part or surface, fixed by its seed; every render of it is an instance."""

    seed: int
    name: str
    kind: str
    material: str
    colour: str
    ground: Texture
    ground_colour: str
    layers: tuple[Layer, ...]
    free_turn: bool
    fill: float
    grey: bool
    light: tuple[float, ...]


@dataclass(frozen=True)
class Pose:
    """Canonical to pixel coordinates: ``scale`` px per unit, turned, centre at (x, y)."""

    turn: float
    scale: float
    x: float
    y: float

    def pixels(self, points: Points) -> Points:
        """Canonical [n, 2] to pixels."""
        c, s = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        out: Points = points @ np.array([[c, s], [-s, c]]) + [self.x, self.y]
        return out

    def canonical(self, height: int, width: int) -> tuple[Field, Field]:
        """``u, v`` of every pixel centre."""
        x = (np.arange(width, dtype=np.float32) + 0.5 - self.x)[None, :]
        y = (np.arange(height, dtype=np.float32) + 0.5 - self.y)[:, None]
        c, s = np.cos(self.turn) / self.scale, np.sin(self.turn) / self.scale
        return (c * x + s * y).astype(np.float32), (c * y - s * x).astype(np.float32)


@dataclass(frozen=True)
class Light:
    """Direction of the lamp, ambient part, a linear fall-off, exposure and colour."""

    direction: tuple[float, float, float]
    ambient: float
    slope: tuple[float, float]
    gain: tuple[float, float, float]


@dataclass
class Composite:
    """Unlit pixels: albedo [h, w, 3], height [h, w], and the part's coverage [h, w]."""

    albedo: Field
    height: Field
    body: Field


def make_program(seed: int, *, family: str | None = None) -> Program:
    """The program of one seed. Training seeds never draw a held-out family."""
    rng = np.random.default_rng([77, seed])
    names = sorted(PARTS) + sorted(SURFACES)
    if seed in SEEDS["train"]:
        names = [n for n in names if n not in HELD_OUT_FAMILIES]
    weights = np.array([1.0 if n in PARTS else 1.5 for n in names])
    drawn = str(rng.choice(names, p=weights / weights.sum()))
    name = family or drawn
    grey = bool(rng.random() < 0.3)
    light = tuple(float(x) for x in rng.random(4))
    if name in SURFACES:
        kinds, colours, material = SURFACES[name]
        colour = str(rng.choice(colours))
        kind = str(rng.choice(kinds))
        ground = palette.draw_texture(rng, kind, colour, float(rng.uniform(0, 0.4)))
        return Program(
            seed,
            name,
            "surface",
            material,
            colour,
            ground,
            colour,
            (),
            bool(rng.random() < 0.2),
            float(rng.uniform(0.7, 1.6)),
            grey,
            light,
        )
    part = Part(rng)
    PARTS[name](part)
    contrast = float(rng.uniform(0.02, 0.35))
    grounds = sorted(set(TEXTURES) - {"scales", "terrazzo"})
    kind = str(rng.choice(["plain", "plain", "plain", *grounds]))
    ground_colour = (
        palette.neutral(rng) if rng.random() < 0.75 else str(rng.choice(sorted(palette.COLOURS)))
    )
    ground = palette.draw_texture(rng, kind, ground_colour, float(rng.uniform(0, 0.2)), contrast)
    if abs(np.mean(ground.low) - np.mean(part.layers[0].texture.low)) < 0.12:
        factor = 0.35 if np.mean(ground.low) > 0.4 else 3.0
        ground = Texture(
            ground.kind,
            palette.dark(ground.low, factor),
            palette.dark(ground.high, factor),
            ground.knobs,
            ground.gloss,
        )
        ground_colour = "black" if factor < 1 else "white"
    return Program(
        seed,
        name,
        "part",
        part.material,
        part.colour,
        ground,
        ground_colour,
        tuple(part.layers),
        bool(rng.random() < 0.5) and not part.upright,
        float(rng.uniform(0.68, 0.98)),
        grey,
        light,
    )


def draw_pose(program: Program, rng: np.random.Generator, height: int, width: int) -> Pose:
    """A pose the program's station would show: a fixture's tolerance, or any turn."""
    turn = rng.uniform(0, 2 * np.pi) if program.free_turn else rng.normal(0, 0.03)
    half = min(height, width) / 2
    shift = 0.03 if program.kind == "part" else 0.6
    scale = program.fill * half * rng.uniform(0.96, 1.04)
    return Pose(
        float(turn),
        float(scale),
        width / 2 + half * rng.normal(0, shift),
        height / 2 + half * rng.normal(0, shift),
    )


def draw_light(program: Program, rng: np.random.Generator) -> Light:
    """The station's lamp, a little moved and dimmed."""
    a, tilt, ambient, warmth = program.light
    azimuth = 2 * np.pi * a + rng.normal(0, 0.15)
    elevation = 0.5 + 0.9 * tilt
    direction = (
        np.cos(azimuth) * np.cos(elevation),
        np.sin(azimuth) * np.cos(elevation),
        np.sin(elevation),
    )
    exposure = np.exp(rng.normal(0, 0.07))
    warm = 0.12 * (warmth - 0.5) + rng.normal(0, 0.01)
    slope = rng.normal(0, 0.07, 2)
    return Light(
        (float(direction[0]), float(direction[1]), float(direction[2])),
        0.35 + 0.4 * ambient,
        (float(slope[0]), float(slope[1])),
        (float(exposure * (1 + warm)), float(exposure), float(exposure * (1 - warm))),
    )


def coverage(shapes: Sequence[Points], pose: Pose, height: int, width: int) -> Field:
    """Anti-aliased coverage [h, w] in 0..1 of the union of filled outlines."""
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    for points in shapes:
        fixed = np.round(pose.pixels(points) * 2 * 16 - 8).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)


def compose(
    program: Program, layers: Sequence[Layer], pose: Pose, *, size: tuple[int, int], seed: int
) -> Composite:
    """Paint layers over the ground. A layer's noise depends on its place in the list alone."""
    height, width = size
    u, v = pose.canonical(height, width)
    ground, ground_height = surface(program.ground, u, v, np.random.default_rng([seed, 0]))
    albedo, relief = ground.copy(), ground_height.copy()
    body: Field = np.full(size, float(not program.layers), np.float32)
    edge = max(0.6, 0.02 * pose.scale)
    for index, layer in enumerate(layers, start=1):
        cover = coverage(layer.shapes, pose, height, width)
        if layer.soft:
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(0.3, layer.soft * pose.scale)))
        if layer.role == "hole":
            fall = cv2.GaussianBlur(cover, (0, 0), edge)
            albedo += cover[..., None] * (ground * np.float32(0.72) - albedo)
            relief += cover * (ground_height - relief) - np.float32(0.6) * fall * cover
            body = body * (1 - cover)
            continue
        if layer.opacity:
            own = np.random.default_rng([seed, index])
            colour, texture_height = surface(layer.texture, u, v, own)
            mix = (cover * np.float32(layer.opacity))[..., None]
            albedo += mix * (colour - albedo)
            relief += mix[..., 0] * (texture_height - (relief if layer.role == "body" else 0))
        if layer.role == "body":
            cast = cv2.GaussianBlur(cover, (0, 0), 2 * edge)
            shadow = np.roll(cast, (round(edge), round(edge)), (0, 1)) * (1 - cover)
            albedo *= 1 - np.float32(0.45) * shadow[..., None]
            body = np.maximum(body, cover)
        if layer.relief:
            relief += np.float32(layer.relief) * cv2.GaussianBlur(cover, (0, 0), edge)
    return Composite(albedo, relief, body)


def shade(scene: Composite, light: Light, gloss: float) -> Field:
    """Lit pixels [h, w, 3] in 0..1: Lambert plus a Blinn highlight of the relief's normals."""
    height, width = scene.height.shape
    steep = np.float32(min(height, width) / 128 * 1.2)
    dx = cv2.Sobel(scene.height, cv2.CV_32F, 1, 0, scale=0.125) * steep
    dy = cv2.Sobel(scene.height, cv2.CV_32F, 0, 1, scale=0.125) * steep
    length = 1 / np.sqrt(dx * dx + dy * dy + 1)
    lx, ly, lz = light.direction
    diffuse = np.clip((-dx * lx - dy * ly + lz) * length, 0, None) / lz
    hx, hy, hz = np.array([lx, ly, lz + 1]) / np.linalg.norm([lx, ly, lz + 1])
    specular = np.clip((-dx * hx - dy * hy + hz) * length, 0, 1) ** 24
    sx, sy = light.slope
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lamp = 1 + np.float32(sx) * x + np.float32(sy) * y
    flat = light.ambient + (1 - light.ambient) * diffuse
    lit = scene.albedo * (flat * lamp)[..., None] + (0.25 * gloss * specular * lamp)[..., None]
    out: Field = np.clip(lit * np.array(light.gain, np.float32), 0, 1)
    return out
