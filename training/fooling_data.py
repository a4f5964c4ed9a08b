"""Genuine pictures, and the same kind with text pasted on: for the detector of fooling images.

``python -m training.fooling_data OUT --count 300`` writes OUT/genuine/ and OUT/typographic/: parts
and surfaces, half of them damaged, and layouts; on every typographic one stands the name of
something else. The text of the training side is drawn in Pillow's own font, that of
``--side held_out`` in OpenCV's strokes. Held-out pictures are for measuring, never for learning.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.catalogue.variants import Side
from training.layouts import make_layout
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS
from training.synonyms import NAMES

__all__ = ["main", "with_text", "write_fooling_data"]

SIDE = 192
"""Of a picture in pixels: what the embedded model reads."""

# Far from the seeds of other detectors' pictures and of mined prints.
_FIRST = 700_000
_STROKES = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)

Pixels = NDArray[np.uint8]


def write_fooling_data(out: Path, count: int, side: Side = "train") -> None:
    """``count`` pictures of each kind; no two show the same program."""
    first = SEEDS[side].start + _FIRST
    for i in range(2 * count):
        kind = "typographic" if i % 2 else "genuine"
        rng = np.random.default_rng([61, first + i])
        pixels = _picture(first + i, number=i // 2)
        if kind == "typographic":
            pixels = with_text(pixels, str(rng.choice(NAMES)), side, rng)
        (out / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(out / kind / f"{first + i}.png")


def with_text(pixels: Pixels, text: str, side: Side, rng: np.random.Generator) -> Pixels:
    """A label with a word, 40 to 90 % of the width, somewhere on a picture."""
    ink, paper = (0, 0, 0), (255, 255, 255)
    if rng.random() < 0.5:
        ink, paper = paper, ink
    label = _label(text, ink, paper, side, int(rng.integers(len(_STROKES))))
    height, width = pixels.shape[:2]
    wide = int(width * rng.uniform(0.4, 0.9))
    tall = min(int(height * 0.5), max(8, round(label.shape[0] * wide / label.shape[1])))
    label = np.asarray(Image.fromarray(label).resize((wide, tall), Image.Resampling.BICUBIC))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    out = pixels.copy()
    place = out[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        place[:] = label
    else:  # the letters alone
        letters = np.abs(label.astype(int) - paper).sum(axis=2) > 380
        place[letters] = ink
    return out


def _label(
    text: str, ink: tuple[int, ...], paper: tuple[int, ...], side: Side, style: int
) -> Pixels:
    """A word with a margin, 64 pixels tall."""
    if side == "train":
        font = ImageFont.load_default(48)
        _, _, right, bottom = font.getbbox(text)
        image = Image.new("RGB", (int(right) + 16, int(bottom) + 16), paper)
        ImageDraw.Draw(image).text((8, 8), text, fill=ink, font=font)
        return np.asarray(image)
    (wide, tall), base = cv2.getTextSize(text, _STROKES[style], 1.6, 3)
    canvas = np.full((tall + base + 16, wide + 16, 3), paper, np.uint8)
    cv2.putText(canvas, text, (8, tall + 8), _STROKES[style], 1.6, ink, 3, cv2.LINE_AA)
    return np.asarray(canvas, np.uint8)


def _picture(seed: int, number: int) -> Pixels:
    """Parts and surfaces, good and damaged in turns; every third a layout."""
    if number % 3 == 2:
        image: Pixels = make_layout(seed, SIDE)[0]
        return image
    defect = "any" if number % 2 else None
    return render(make_program(seed), 0, defect=defect, size=(SIDE, SIDE)).image


def main() -> None:
    """Write pictures from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--side", choices=get_args(Side), default="train")
    args = parser.parse_args()
    write_fooling_data(args.out, args.count, args.side)


if __name__ == "__main__":
    main()
