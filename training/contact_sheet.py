"""Renders to look at: every name's ways, a good picture beside a defective one.

``python -m training.contact_sheet OUT.png --side train --names gear,wood``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import SURFACES
from training.catalogue.variants import Side
from training.defects import possible
from training.render import Render, render
from training.scenes import count_ways, make_program
from training.seeds import SEEDS

__all__ = ["main", "sheet"]

Picture = NDArray[np.uint8]


def sheet(
    names: Sequence[str],
    side: Side,
    *,
    columns: int = 3,
    size: int = 128,
    first: int = 0,
    defect: str = "any",
) -> Picture:
    """One row a name: good and defective neighbours of each way; masks are outlined in magenta."""
    lines = []
    for row, name in enumerate(names):
        ways = count_ways(name, side)
        tiles: list[Picture] = []
        for k in range(columns):
            seed = SEEDS[side][first + 97 * row + k]
            program = make_program(seed, family=name, variant=k % ways if ways else None)
            fits = possible(program.layers)
            kind = fits[(row + 3 * k) % len(fits)] if defect == "any" else defect
            if kind not in fits:
                kind = "any"
            tiles.append(render(program, 0, size=(size, size)).image)
            tiles.append(_outlined(render(program, 1, defect=kind, size=(size, size))))
        lines.append(np.concatenate(tiles, axis=1))
    return np.concatenate(lines, axis=0)


def main() -> None:
    """Write a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--side", choices=("train", "held_out"), default="train")
    parser.add_argument("--names", default="", help="comma-separated; all of the side by default")
    parser.add_argument("--defect", default="any")
    parser.add_argument("--columns", type=int, default=3, help="pairs in a row")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--first", type=int, default=0, help="offset of the seeds")
    args = parser.parse_args()
    shown = [n for n in (*sorted(PARTS), *sorted(SURFACES)) if count_ways(n, args.side)]
    picture = sheet(
        args.names.split(",") if args.names else shown,
        args.side,
        columns=args.columns,
        size=args.size,
        first=args.first,
        defect=args.defect,
    )
    cv2.imwrite(args.out, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def _outlined(shot: Render) -> Picture:
    image = shot.image.copy()
    if shot.mask.any():
        grown = cv2.dilate(shot.mask.astype(np.uint8), np.ones((7, 7), np.uint8))
        contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, contours, -1, (255, 0, 255), 1)
    return image


if __name__ == "__main__":
    main()
