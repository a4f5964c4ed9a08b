"""The real inspection sets: where their images and masks lie, and how many are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["REAL_SETS", "RealSet", "find"]

_GOOD, _BAD = 60, 100


@dataclass(frozen=True)
class RealSet:
    """Folders of one set below its own; ``masks`` holds STEM_mask.png in folders like ``bad``.

    ``free`` sets may be looked at while the model is made; the others once for each release.
    """

    good: str
    bad: tuple[str, ...]
    masks: tuple[str, ...]
    free: bool


REAL_SETS: dict[str, RealSet] = {
    "aws_cookie": RealSet("train/good", ("train/anomaly",), ("masks/anomaly",), free=True),
    "elpv": RealSet("images/good", ("images/defect",), (), free=True),
    "kolektorsdd": RealSet("images/good", ("images/defect",), ("masks/defect",), free=False),
    "mvtec_bottle": RealSet(
        "test/good",
        ("test/broken_large", "test/broken_small", "test/contamination"),
        (
            "ground_truth/broken_large",
            "ground_truth/broken_small",
            "ground_truth/contamination",
        ),
        free=False,
    ),
}


def find(data: Path, name: str) -> tuple[list[Path], list[Path], list[Path | None]]:
    """The first 60 good and 100 defective images of a set, and the masks of the latter.

    Raises:
        FileNotFoundError: the set has no images there.
    """
    where, root = REAL_SETS[name], data / name
    good = _images(root / where.good)[:_GOOD]
    bad = [p for folder in where.bad for p in _images(root / folder)][:_BAD]
    if not good or not bad:
        raise FileNotFoundError(f"{root} holds no images of {name}")
    masks: list[Path | None] = []
    for path in bad:
        pairs = dict(zip(where.bad, where.masks, strict=bool(where.masks)))
        folder = pairs.get(path.parent.relative_to(root).as_posix())
        mask = root / folder / f"{path.stem}_mask.png" if folder else None
        masks.append(mask if mask and mask.exists() else None)
    return good, bad, masks


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"})
