"""Layers of a part, and the builder with which a family stacks them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training import shapes as sh
from training.palette import COLOURS, dark, material_texture
from training.textures import Texture

__all__ = ["Layer", "Part"]

Rng = np.random.Generator


@dataclass(frozen=True)
class Layer:
    """Shapes that share a texture.

    Attributes:
        shapes: Filled outlines.
        texture: What fills them.
        relief: Height above what lies below, negative for a recess.
        role: body, hole (shows the ground), detail, print, or defect.
        opacity: How much of the texture covers what lies below; 0 changes the height alone.
        soft: Blur of the outline in canonical units.
        inside: Cut off where the part ends.
    """

    shapes: tuple[sh.Points, ...]
    texture: Texture
    relief: float = 0.3
    role: str = "detail"
    opacity: float = 1.0
    soft: float = 0.0
    inside: bool = False


@dataclass
class Part:
    """What a family fills in: layers from the bottom up, and the words that describe them."""

    rng: Rng
    layers: list[Layer] = field(default_factory=list)
    material: str = "metal"
    colour: str = "grey"
    upright: bool = False

    def body(self, material: str, *outlines: sh.Points, relief: float = 0.5) -> Texture:
        """Add the body and take its words."""
        texture, self.colour = material_texture(self.rng, material)
        self.material = material
        self.layers.append(Layer(outlines, texture, relief, "body"))
        return texture

    def hole(self, *outlines: sh.Points) -> None:
        """Cut holes through everything below."""
        self.layers.append(
            Layer(outlines, Texture("plain", (0, 0, 0), (0, 0, 0), (0.5,) * 8), 0.0, "hole")
        )

    def detail(
        self,
        *outlines: sh.Points,
        like: Texture | None = None,
        shade: float = 1.0,
        relief: float = 0.3,
        role: str = "detail",
        material: str = "plastic",
    ) -> Texture:
        """Add shapes in a shade of another texture, or in a new one."""
        if like is None:
            like, _ = material_texture(self.rng, material)
        texture = Texture(
            like.kind, dark(like.low, shade), dark(like.high, shade), like.knobs, like.gloss
        )
        self.layers.append(Layer(outlines, texture, relief, role))
        return texture

    def print(self, *outlines: sh.Points) -> None:
        """Add flat ink that stands out from the body."""
        low = np.mean(self.layers[0].texture.low)
        ink = COLOURS[
            str(
                self.rng.choice(
                    ["white", "yellow", "silver"]
                    if low < 0.3
                    else ["black", "blue", "red", "black"]
                )
            )
        ]
        self.layers.append(Layer(outlines, Texture("plain", ink, ink, (0.5,) * 8), 0.0, "print"))

    def pick(self, *words: str) -> str:
        """One of the words."""
        return str(self.rng.choice(words))
