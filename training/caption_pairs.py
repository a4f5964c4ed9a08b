"""Rendered pictures with captions, for training that reads image-caption pairs.

``python -m training.caption_pairs OUT --count 6000`` writes OUT/images/<seed>.png and
OUT/captions.jsonl with the fields ``image`` and ``caption``, half of the pictures parts and
surfaces, half layouts. A caption is one that names what is shown: a sentence about the state alone
would be true of half of all pictures, and such losses count it as false for all but one. The same
arguments give the same files. ``--side held_out`` draws what training never shows: for measuring,
and never for learning.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from training.captions import Caption, caption
from training.catalogue.variants import Side
from training.layouts import LayoutFacts, make_layout
from training.render import Facts, render
from training.scenes import make_program
from training.seeds import SEEDS
from training.synonyms import NAMES

__all__ = ["main", "naming_caption", "write_pairs"]

SIDE = 192
"""Of a picture in pixels: what the embedded model reads."""

# Far from the seeds that training itself begins with, of detector_data and of questions.
_FIRST = 900_000
# Claims that tell what a picture shows.
_NAMING = {"called", "shows", "exactly", "relation"}
_ATTEMPTS = 50


def naming_caption(facts: Facts | LayoutFacts, rng: np.random.Generator) -> Caption:
    """A sentence that is true of a picture and names something in it."""
    for _ in range(_ATTEMPTS):
        made = caption(facts, rng)
        claims = {claim[0] for claim in made.stated}
        if claims & _NAMING and "?" not in made.text:
            return made
    raise ValueError(f"no caption names what is shown: {facts}")


def write_pairs(out: Path, count: int, side: Side = "train") -> None:
    """``count`` pictures with one caption each, none of a name that no training shows."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    seed = SEEDS[side].start + _FIRST
    while len(lines) < count:
        rng = np.random.default_rng([58, seed])
        made = _picture(seed, layout=len(lines) % 2 == 1, rng=rng)
        if made is not None:
            pixels, facts = made
            name = f"images/{seed}.png"
            Image.fromarray(pixels).save(out / name)
            text = naming_caption(facts, rng).text
            lines.append(json.dumps({"image": name, "caption": text}) + "\n")
        seed += 1
    (out / "captions.jsonl").write_text("".join(lines), encoding="utf-8")


def _picture(
    seed: int, *, layout: bool, rng: np.random.Generator
) -> tuple[np.ndarray, Facts | LayoutFacts] | None:
    if layout:
        return make_layout(seed, SIDE)
    program = make_program(seed)
    if program.name not in NAMES:
        return None
    defect = "any" if rng.random() < 0.5 else None
    shot = render(program, 0, defect=defect, size=(SIDE, SIDE))
    return shot.image, shot.facts


def main() -> None:
    """Write pictures and captions from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--side", choices=get_args(Side), default="train")
    args = parser.parse_args()
    write_pairs(args.out, args.count, args.side)


if __name__ == "__main__":
    main()
