"""Write ``sample_data/``: ``python -m training.sample_data [OUT]``; same bytes every time.

(The same versions of numpy, OpenCV and Pillow are meant: codecs of other versions may differ.)
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from training.render import render
from training.scenes import Program, make_program
from training.seeds import SEEDS

__all__ = ["DEFECTS", "GOOD", "PART", "SIZE", "files", "main"]

# The part on the line: family and program seed; 60 good instances and 16 defective ones. The first
# seed whose station holds the part in a fixture, in colour and whole.
PART = ("connector", SEEDS["sample"].start + 8)
SIZE = (256, 320)
GOOD = 60
DEFECTS: dict[str, int] = {
    "bent": 1,
    "chip": 2,
    "crack": 2,
    "foreign body": 2,
    "hole": 1,
    "misplaced part": 2,
    "missing part": 2,
    "scratch": 2,
    "stain": 1,
    "wrong colour": 1,
}
_WRONG = ("bearing", "board", "bottle", "cookie", "gear", "leather", "transistor", "wood")


def files() -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file."""
    family, seed = PART
    part = make_program(seed, family=family)
    for i in range(GOOD):
        yield f"parts/good/{i:03d}.jpg", _jpeg(render(part, i, size=SIZE).image)
    instance = 1000
    for kind, count in DEFECTS.items():
        folder = kind.replace(" ", "_")
        for i in range(count):
            instance += 1
            shot = render(part, instance, defect=kind, size=SIZE)
            while not shot.facts.defect:  # would not have shown on this instance
                instance += 1
                shot = render(part, instance, defect=kind, size=SIZE)
            yield f"parts/defect/{folder}/{i:03d}.jpg", _jpeg(shot.image)
            mask = Image.fromarray(shot.mask.astype(np.uint8) * 255)
            yield f"parts/masks/{folder}/{i:03d}.png", _saved(mask, "PNG")
    yield from _mixed(part)
    yield "questions.jsonl", _questions()


def _mixed(part: Program) -> Iterator[tuple[str, bytes]]:
    """Wrong parts, and files as cameras and people leave them behind."""
    for i, family in enumerate(_WRONG):
        other = make_program(SEEDS["sample"].start + 100 + i, family=family)
        size = (256, 256) if i % 2 else (240, 320)
        yield f"mixed/wrong_part_{family}.jpg", _jpeg(render(other, 0, size=size).image)
    image = Image.fromarray(render(part, 2000, size=SIZE).image)
    whole = _saved(image, "JPEG", quality=90)
    yield "mixed/truncated.jpg", whole[: len(whole) // 2]
    yield "mixed/empty.png", b""
    yield "mixed/text.jpg", b"This is a note that somebody saved as a picture.\n"
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    yield "mixed/sixteen_bit.png", _saved(Image.fromarray(grey), "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    turned = image.transpose(Image.Transpose.ROTATE_90)
    yield "mixed/exif_rotated.jpg", _saved(turned, "JPEG", quality=90, exif=exif)
    yield "mixed/cmyk.jpg", _saved(image.convert("CMYK"), "JPEG", quality=90)
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    inside = np.hypot((x - width / 2) / width, (y - height / 2) / height) < 0.47
    small = image.copy()
    small.putalpha(Image.fromarray((inside * 255).astype(np.uint8)))
    yield "mixed/alpha.png", _saved(small, "PNG")


def _questions() -> bytes:
    """Questions about the wrong parts that can be answered, that cannot, and one for every file."""
    rows: list[dict[str, object]] = []
    for shown, other in zip(_WRONG, (*_WRONG[1:], _WRONG[0]), strict=True):
        image, question = f"mixed/wrong_part_{shown}.jpg", "what is shown?"
        rows.append({"image": image, "question": question, "choices": [shown, other]})
        rows.append({"image": image, "question": question, "choices": ["one", "two"]})
    rows.append({"question": "what color is the circle?", "choices": ["red", "blue", "green"]})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _jpeg(pixels: np.typing.NDArray[np.uint8]) -> bytes:
    return _saved(Image.fromarray(pixels), "JPEG", quality=90)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def main() -> None:
    """Write all files under a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("sample_data"))
    out: Path = parser.parse_args().out
    total = 0
    for name, content in files():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total += len(content)
    print(f"{total / 1e6:.2f} MB under {out}")


if __name__ == "__main__":
    main()
