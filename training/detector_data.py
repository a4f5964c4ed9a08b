"""Folders of rendered pictures that detectors learn from, or are measured on.

``python -m training.detector_data parts OUT --count 200`` writes OUT/<name>_<seed>/ with good/,
defect/<kind>/ and masks/<kind>/, one folder for each program. ``harm OUT --count 300`` writes
OUT/bad/ with pictograms that warn of harm and OUT/good/ with as many layouts that do not. The same
arguments give the same pictures. ``--side held_out`` draws what training never shows: for
measuring, and never for learning.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.catalogue.variants import Side
from training.layouts import LayoutFacts, make_layout
from training.layouts.names import HAZARDS
from training.render import Render, render
from training.scenes import make_program
from training.seeds import SEEDS

__all__ = ["is_harmful", "main", "write_harm", "write_parts"]

SIDE = 192
"""Of a picture in pixels: what the embedded model reads."""

_SHOTS = 2
# Far from the seeds that training itself begins with and that benchmarks/mini.py measures on.
_FIRST = 500_000


def write_parts(out: Path, count: int, side: Side = "train") -> None:
    """Programs with two good and two defective instances each, and masks."""
    first = SEEDS[side].start + _FIRST
    for seed in range(first, first + count):
        program = make_program(seed)
        folder = out / f"{program.name.replace(' ', '_')}_{seed}"
        size = (SIDE, SIDE)
        for i in range(_SHOTS):
            _write(folder / "good" / f"{i}.png", render(program, i, size=size).image)
            shot = _defective(seed, first_instance=100 * (i + 1))
            kind = str(shot.facts.defect).replace(" ", "_")
            _write(folder / "defect" / kind / f"{i}.png", shot.image)
            _write(folder / "masks" / kind / f"{i}.png", shot.mask.astype(np.uint8) * 255)


def write_harm(out: Path, count: int, side: Side = "train") -> None:
    """``count`` layouts of each kind; needs the fonts (``python -m training.fonts``)."""
    wanted = {"bad": count, "good": count}
    seed = SEEDS[side].start + _FIRST
    while any(wanted.values()):
        image, facts = make_layout(seed, SIDE)
        kind = "bad" if is_harmful(facts) else "good"
        if wanted[kind]:
            _write(out / kind / f"{seed}.png", image)
            wanted[kind] -= 1
        seed += 1


def is_harmful(facts: LayoutFacts) -> bool:
    """Whether a layout shows a pictogram of danger; a sign that bans it shows it, too."""
    return facts.pictogram in HAZARDS


def _defective(seed: int, first_instance: int) -> Render:
    program = make_program(seed)
    instance = first_instance
    while True:  # a defect that would not have shown leaves its instance good
        shot = render(program, instance, defect="any", size=(SIDE, SIDE))
        if shot.facts.defect:
            return shot
        instance += 1


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def main() -> None:
    """Write one kind of folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["parts", "harm"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--side", choices=get_args(Side), default="train")
    args = parser.parse_args()
    write = {"parts": write_parts, "harm": write_harm}[args.kind]
    write(args.out, args.count, args.side)


if __name__ == "__main__":
    main()
