"""Heatmaps drawn over the image: a fixed range, a colour scale, and a bar that says both."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors.heatmaps._heatmaps import Heatmap

__all__ = ["colours", "render_overlay"]

# Control points of a scale from black through violet, red and orange to pale yellow whose
# lightness rises all the way, so it survives greyscale printing and colour blindness.
_STOPS = (
    (0.00, (3, 3, 14)),
    (0.14, (34, 12, 76)),
    (0.28, (84, 16, 109)),
    (0.42, (134, 33, 105)),
    (0.56, (184, 54, 82)),
    (0.68, (221, 82, 56)),
    (0.80, (243, 126, 34)),
    (0.90, (250, 180, 56)),
    (1.00, (252, 244, 160)),
)
_MAX_ALPHA = 0.85
_LEAST_WIDTH = 256
_INK, _PAPER, _EDGE = (236, 236, 240), (24, 24, 28), (70, 70, 78)


def colours() -> NDArray[np.uint8]:
    """The colour scale, from the lowest score to the highest: uint8 RGB [256, 3]."""
    return _scale().copy()


def render_overlay(
    pixels: NDArray[np.uint8],
    heatmap: Heatmap,
    *,
    low: float,
    high: float,
    label: str | None = None,
    side_by_side: bool = False,
) -> NDArray[np.uint8]:
    """Draw a heatmap over its image, with a legend bar below.

    The range is the caller's and never the image's own, so pictures of one run compare: a good
    part stays dark. Colour and opacity both rise with the score; at ``low`` and below nothing
    is drawn.

    Args:
        pixels: the oriented image, uint8 RGB [H, W, 3].
        heatmap: of that image.
        low: score at which the scale begins.
        high: score at which it ends; scores beyond are clipped.
        label: one line for the legend ("winclip  score 0.71  flag").
        side_by_side: put the plain image to the left of the overlay.

    Returns:
        uint8 RGB, the picture above its legend: [H + bar, W, 3], or 2 W + gap wide; images
        narrower than 256 px are enlarged by a whole factor first.

    Raises:
        ValueError: the range is empty, or the heatmap belongs to an image of another size.
    """
    height, width = pixels.shape[:2]
    if not low < high:
        raise ValueError(f"the range {low}..{high} is empty: give low < high")
    if heatmap.image_size != (width, height):
        message = f"the heatmap is of a {heatmap.image_size} image and this one is {width, height}"
        raise ValueError(message)
    heat = np.clip((heatmap.resized() - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    overlay = _blend(pixels, np.rint(heat * 255.0).astype(np.uint8))
    zoom = -(-_LEAST_WIDTH // width)  # a legend needs room, and a thumbnail needs enlarging
    panels = [_enlarge(overlay, zoom)]
    if side_by_side:
        gap = np.full((height * zoom, max(4, width * zoom // 80), 3), _PAPER, dtype=np.uint8)
        panels = [_enlarge(pixels, zoom), gap, *panels]
    picture = np.concatenate(panels, axis=1)
    size = int(np.clip(width * zoom // 32, 12, 56))
    bar = _legend(picture.shape[1], size, low=low, high=high, label=label)
    return np.concatenate([picture, bar], axis=0)


def _blend(pixels: NDArray[np.uint8], heat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay the colour of each heat 0..255 over the pixel, the more opaque the hotter."""
    alpha = np.rint(np.linspace(0.0, 255.0 * _MAX_ALPHA, 256)).astype(np.uint16)
    over = _scale() * alpha[:, None]
    under = pixels * (255 - alpha)[heat][:, :, None]
    return ((under + over[heat] + 127) // 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _scale() -> NDArray[np.uint8]:
    places = [place * 255.0 for place, _ in _STOPS]
    channels = [
        np.interp(np.arange(256), places, [colour[channel] for _, colour in _STOPS])
        for channel in range(3)
    ]
    table: NDArray[np.uint8] = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    table.flags.writeable = False
    return table


def _enlarge(pixels: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    return pixels if zoom == 1 else pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _legend(
    width: int, size: int, *, low: float, high: float, label: str | None
) -> NDArray[np.uint8]:
    """A strip with the label, and below it the scale between its two numbers."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    pad, line = size // 2, size * 3 // 2
    lines = 1 if label is None else 2
    strip = Image.new("RGB", (width, pad + lines * line + pad // 2), _PAPER)
    draw = ImageDraw.Draw(strip)
    if label is not None:
        text = _fit(" ".join(label.split()), font, width - 2 * pad)
        draw.text((pad, pad // 2 + line // 2), text, font=font, fill=_INK, anchor="lm")
    middle = strip.height - pad // 2 - line // 2
    start, end = f"{low:.3g}", f"{high:.3g}"
    left = 2 * pad + round(font.getlength(start))
    right = width - 2 * pad - round(font.getlength(end))
    draw.text((pad, middle), start, font=font, fill=_INK, anchor="lm")
    draw.text((width - pad, middle), end, font=font, fill=_INK, anchor="rm")
    if right - left > 8:
        ramp = _scale()[np.linspace(0, 255, right - left).round().astype(np.intp)]
        thick = max(6, size * 2 // 3)
        top = middle - thick // 2
        draw.rectangle((left - 1, top - 1, right, top + thick), outline=_EDGE)
        strip.paste(Image.fromarray(np.tile(ramp[None], (thick, 1, 1))), (left, top))
    return np.asarray(strip)


def _fit(text: str, font: Any, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
