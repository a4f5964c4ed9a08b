"""Where the drawings of a pictogram come from, and their masks."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from training import fonts
from training.catalogue.variants import Side, Variants
from training.layouts.drawn import DRAWN
from training.layouts.names import PICTOGRAM_WORDS

__all__ = ["ONE_SOURCE", "PICTOGRAMS", "choices", "glyph"]

_SIDE = 128

# pictogram -> code points in Font Awesome, Elusive, Noto Symbols 2 (after "s": Noto Symbols) and
# Material Icons; "-" where the font has none.
_TABLE = """
anchor           f13d -    s2693 f1cd
bed              f236 -    1f6cf efdf
bell             f0f3 f114 1f56d e7f4
bicycle          f206 -    1f6b2 e52f
bomb             f1e2 -    1f4a3 -
book             f02d f118 1f56e e865
bug              f188 -    1f577 e868
bus              f207 -    1f68d e530
camera           f030 f123 1f4f7 e412
car              f1b9 f124 1f698 e531
check mark       f00c f1b3 2714  e5ca
child            f1ae f131 -     eb67
clock            f017 f20f 1f550 e8b5
cloud            f0c2 f137 2601  e2bd
computer         f108 f1eb 1f5a5 e30c
cross mark       f00d f1dd 2718  e5cd
cup              f0f4 -    2615  e541
cutlery          f0f5 -    -     e56c
drop             f043 f210 -     e798
electricity      f0e7 -    1f5f2 ea0b
exclamation mark f12a -    2757  e645
eye              f06e f151 1f441 e8f4
fire             f06d f15f -     ef55
first aid        f0fa -    271a  f109
flag             f024 f161 s2691 e153
flower           -    -    2740  e545
fuel             -    -    s26fd e546
gift             f06b f171 -     e8f6
hand             f256 -    1f590 e764
hourglass        f254 f18a 231b  e88c
house            f015 f189 1f3e0 e88a
key              f084 f196 1f5dd e0da
leaf             f06c f19a -     ea35
letter           f0e0 f14b 2709  e158
light bulb       f0eb f11f -     e0f0
lock             f023 f1a2 1f512 e897
magnet           f076 f1a4 -     -
magnifier        f002 f1ee 1f50d e8b6
man              f183 -    1f6b9 e4eb
moon             f186 -    s263e e51c
motorcycle       f21c -    1f3cd e9f9
music            f001 f1ad s266b e405
no entry         f05e f111 26d4  e14b
paw              f1b0 -    -     e91d
pencil           f040 f1bb 270f  e3c9
person           f007 f21b -     e7fd
phone            f095 f1be 260e  e0cd
plane            f072 f1c4 2708  e539
power            f011 f1b0 -     e8ac
printer          f02f f1cd 1f5a8 e8ad
question mark    f128 f1d1 2753  eb8b
recycling        f1b8 -    s267b e760
rocket           f135 -    -     eba5
sad face         f119 -    s2639 e814
scissors         f0c4 f1e9 2702  e14e
shield           f132 -    1f6e1 e9e0
ship             f21a -    s26f4 e532
smile            f118 f1f7 s263a e7f2
snowflake        f2dc -    2744  eb3b
sun              f185 -    2600  e430
train            f238 -    -     e570
trash            f1f8 f213 1f5d1 e872
tree             f1bb -    -     ea63
truck            f0d1 -    26df  e558
umbrella         f0e9 -    2602  f1ad
warning          f071 f227 26a0  e002
wheelchair       f193 f22a 267f  e914
woman            f182 -    1f6ba e13e
wrench           f0ad f22d -     e869
"""
_COLUMNS = ("awesome", "elusive", "symbols2", "material")
# Drawn here (a name of ``DRAWN``) for training, and a font's or another drawing for measuring.
_OWN: dict[str, Variants[str]] = {
    "biohazard": Variants(("drawn biohazard",), ("symbols2 2623",)),
    "cat": Variants(("drawn cat",), ("symbols2 1f408",)),
    "dog": Variants(("drawn dog",), ("symbols2 1f415",)),
    "fish": Variants(("drawn fish",), ("symbols2 1f41f",)),
    "gun": Variants(("drawn gun",), ("drawn revolver",)),
    "knife": Variants(("drawn knife", "drawn cleaver"), ("symbols2 1f5e1",)),
    "radioactive": Variants(("drawn radioactive",), ("symbols2 2622",)),
    "skull": Variants(("drawn skull", "symbols2 2620"), ("symbols2 1f571",)),
}


def _ways(codes: list[str]) -> Variants[str]:
    """The last source of the row is held out, the others are trained."""
    found = []
    for column, code in zip(_COLUMNS, codes, strict=True):
        if code != "-":
            font = "symbols" if code.startswith("s") else column
            found.append(f"{font} {code.removeprefix('s')}")
    return Variants(tuple(found[:-1] or found), tuple(found[-1:] if len(found) > 1 else ()))


# pictogram -> its drawings, "SOURCE CODE"
PICTOGRAMS: dict[str, Variants[str]] = _OWN | {
    " ".join(row.split()[:-4]): _ways(row.split()[-4:]) for row in _TABLE.strip().splitlines()
}
# Names whose only drawing is trained: their numbers on held-out seeds say nothing new.
ONE_SOURCE = frozenset(n for n, ways in PICTOGRAMS.items() if not ways.held_out)

assert set(PICTOGRAMS) == set(PICTOGRAM_WORDS)


@cache
def choices(side: Side) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Pictograms and the drawings that this side may show, without those of fonts not fetched."""
    if not fonts.available():
        return ()
    return tuple((n, PICTOGRAMS[n].of(side) or PICTOGRAMS[n].trained) for n in sorted(PICTOGRAMS))


@cache
def glyph(drawing: str) -> NDArray[np.uint8]:
    """Coverage 0..255 [128, 128]; the longer side of the drawing fills the square.

    Raises:
        ValueError: The font lacks the glyph.
    """
    source, _, code = drawing.partition(" ")
    if source == "drawn":
        return _fitted(DRAWN[code]())
    face = fonts.font(source, 3 * _SIDE)
    found = face.getmask(chr(int(code, 16)), mode="L")
    absent = face.getmask("\U0010fffd", mode="L")
    if found.size == absent.size and bytes(found) == bytes(absent):
        raise ValueError(f"{source} has no glyph {code}")
    width, height = found.size
    return _fitted(np.frombuffer(bytes(found), np.uint8).reshape(height, width))


def _fitted(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.nonzero(mask.max(axis=1))[0], np.nonzero(mask.max(axis=0))[0]
    tight = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = tight.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + height, left : left + width] = tight
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
