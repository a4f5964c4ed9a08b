"""Layers to unlit pixels. What did not change between a good and a hurt part is painted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training.layers import Layer
from training.optics import Pose
from training.shapes import Points
from training.textures import Field, Texture, surface

__all__ = ["Canvas", "Composite", "coverage"]


@dataclass
class Composite:
    """Unlit pixels: albedo [h, w, 3], height [h, w], and the part's coverage [h, w]."""

    albedo: Field
    height: Field
    body: Field

    def copy(self) -> Composite:
        """A copy to paint on."""
        return Composite(self.albedo.copy(), self.height.copy(), self.body.copy())


def coverage(shapes: Sequence[Points], pose: Pose, height: int, width: int) -> Field:
    """Anti-aliased coverage [h, w] in 0..1 of the union of filled outlines."""
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    if shapes:
        everything = pose.pixels(np.concatenate(shapes)) * 32 - 8
        fixed = np.round(np.clip(everything, -30000 * 16, 30000 * 16)).astype(np.int32)
        first = 0
        for points in shapes:
            one = fixed[first : first + len(points)]
            first += len(points)
            cv2.fillPoly(canvas, [one], 255, lineType=cv2.LINE_AA, shift=4)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)


class Canvas:
    """One part on its ground in one pose.

    Args:
        ground: What lies below.
        layers: The good part's layers.
        pose: Where it lies.
        size: Height and width in pixels.
        seed: Of the textures' noise; a layer's noise depends on its place in the list alone.
    """

    def __init__(
        self,
        ground: Texture,
        layers: Sequence[Layer],
        pose: Pose,
        *,
        size: tuple[int, int],
        seed: int,
    ) -> None:
        self._pose, self._size, self._seed = pose, size, seed
        self._u, self._v = pose.canonical(*size)
        self._edge = max(0.6, 0.02 * pose.scale)
        self._textures: dict[int, tuple[Texture, Field, Field]] = {}
        self._ground, self._ground_height = surface(
            ground, self._u, self._v, np.random.default_rng([seed, 0])
        )
        self._good = tuple(layers)
        body: Field = np.full(size, float(not layers), np.float32)
        self.clean = Composite(self._ground.copy(), self._ground_height.copy(), body)
        self._bare = self.clean.copy()
        for index, layer in enumerate(self._good, start=1):
            self._paint(self.clean, index, layer)

    def hurt(self, layers: Sequence[Layer]) -> Composite:
        """The same part with other layers."""
        first = len(self._good)
        if any(a is not b for a, b in zip(self._good, layers, strict=False)):
            first, out = 0, self._bare.copy()
        else:
            out = self.clean.copy()
        for index, layer in enumerate(layers[first:], start=first + 1):
            self._paint(out, index, layer)
        return out

    def _surface(self, index: int, texture: Texture) -> tuple[Field, Field]:
        kept = self._textures.get(index)
        if kept is None or kept[0] != texture:
            own = np.random.default_rng([self._seed, index])
            kept = (texture, *surface(texture, self._u, self._v, own))
            if index <= len(self._good):
                self._textures[index] = kept
        return kept[1], kept[2]

    def _paint(self, on: Composite, index: int, layer: Layer) -> None:
        if not layer.shapes:
            return
        edge = self._edge
        cover = coverage(layer.shapes, self._pose, *self._size)
        if layer.soft:
            blur = max(0.3, layer.soft * self._pose.scale)
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), blur))
        if layer.inside:
            cover = cover * on.body
        if layer.role == "hole":
            fall = cv2.GaussianBlur(cover, (0, 0), edge)
            on.albedo += cover[..., None] * (self._ground * np.float32(0.72) - on.albedo)
            on.height += cover * (self._ground_height - on.height) - np.float32(0.6) * fall * cover
            on.body *= 1 - cover
            return
        if layer.opacity:
            colour, texture_height = self._surface(index, layer.texture)
            mix = cover * np.float32(layer.opacity)
            on.albedo += mix[..., None] * (colour - on.albedo)
            on.height += mix * (texture_height - (on.height if layer.role == "body" else 0))
        if layer.role == "body":
            cast = cv2.GaussianBlur(cover, (0, 0), 2 * edge)
            shadow = np.roll(cast, (round(edge), round(edge)), (0, 1)) * (1 - cover)
            on.albedo *= 1 - np.float32(0.45) * shadow[..., None]
        if layer.role in ("body", "detail"):
            on.body = np.maximum(on.body, cover)
        if layer.relief:
            on.height += np.float32(layer.relief) * cv2.GaussianBlur(cover, (0, 0), edge)
