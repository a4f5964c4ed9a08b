"""Image-caption pairs to train on: ``captions.jsonl`` or ``captions.csv`` beside the images."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipvet.detectors import UsageError

__all__ = ["Pair", "read_pairs"]

_FORM = 'a line is {"image": "images/1.png", "caption": "a photo of a bolt"}, or image,caption'


@dataclass(frozen=True)
class Pair:
    """One image and a sentence that is true of it."""

    image: Path
    caption: str


def read_pairs(data: Path) -> list[Pair]:
    """All pairs of a folder, in the order of its file; an image may have several captions.

    Raises:
        UsageError: no such folder or file, a line that is no pair, an image that is not there.
    """
    for name, rows in (("captions.jsonl", _jsonl), ("captions.csv", _csv)):
        path = data / name
        if path.is_file():
            try:
                pairs = [_pair(path, line, row) for line, row in rows(path)]
            except (OSError, UnicodeDecodeError, csv.Error) as error:
                raise UsageError(f"{path} cannot be read ({error})") from error
            if len({pair.caption for pair in pairs}) < 2:
                raise UsageError(f"{path} has fewer than two different captions: give more pairs")
            return pairs
    raise UsageError(f"--data {data} has neither captions.jsonl nor captions.csv: {_FORM}")


def _jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, row


def _pair(path: Path, line: int, row: Any) -> Pair:
    image, caption = (row.get("image"), row.get("caption")) if isinstance(row, dict) else (None, 0)
    if (
        not isinstance(image, str)
        or not isinstance(caption, str)
        or not image
        or not caption.strip()
    ):
        raise UsageError(f"{path}, line {line} is no pair: {_FORM}")
    file = path.parent / image
    if not file.is_file():
        raise UsageError(f"{path}, line {line}: there is no image {file}")
    return Pair(image=file, caption=caption.strip())
