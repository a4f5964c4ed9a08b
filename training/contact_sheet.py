"""Renders to look at: ``python -m training.contact_sheet OUT.png [--held-out] [--defects]``."""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from numpy.typing import NDArray

from training.defects import possible
from training.parts import PARTS
from training.render import render
from training.scenes import SURFACES, make_program
from training.seeds import SEEDS

__all__ = ["main", "sheet"]


def sheet(seeds: range, *, defects: bool, rows: int, columns: int, size: int) -> NDArray[np.uint8]:
    """Renders in a grid [rows * size, columns * size, 3]; a defect is outlined in magenta."""
    families = sorted(PARTS) + sorted(SURFACES)
    tiles = []
    for i in range(rows * columns):
        program = make_program(seeds[i // len(families)], family=families[i % len(families)])
        kinds = possible(program.layers)
        kind = kinds[i % len(kinds)] if defects else None
        shot = render(program, i, defect=kind, size=(size, size))
        image = shot.image.copy()
        if defects and shot.mask.any():
            grown = cv2.dilate(shot.mask.astype(np.uint8), np.ones((7, 7), np.uint8))
            contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(image, contours, -1, (255, 0, 255), 1)
        tiles.append(image)
    lines = [np.concatenate(tiles[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    return np.concatenate(lines, axis=0)


def main() -> None:
    """Write a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--defects", action="store_true")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--columns", type=int, default=11)
    parser.add_argument("--size", type=int, default=128)
    args = parser.parse_args()
    seeds = SEEDS["held_out" if args.held_out else "train"]
    picture = sheet(
        seeds, defects=args.defects, rows=args.rows, columns=args.columns, size=args.size
    )
    cv2.imwrite(args.out, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
