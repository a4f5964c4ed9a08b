"""Pictures with masks to train on: where they are, and a mask at the network's input size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors import UsageError, is_candidate, read_frame

__all__ = ["Picture", "find_pictures", "read_mask"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: ``mask`` is None where it shows no defect."""

    path: Path
    mask: Path | None = None


def find_pictures(data: Path) -> list[Picture]:
    """Normal and defective pictures of one object, or of each object in a folder.

    An object is a folder with ``good/``, ``defect/<kind>/`` and ``masks/<kind>/``, or one of
    MVTec AD with ``test/good/``, ``test/<kind>/`` and ``ground_truth/<kind>/``. A mask has the
    name of its picture, with or without ``_mask`` behind it, and any suffix.

    Raises:
        UsageError: no such folder, no normal or no defective pictures, or one without its mask.
    """
    if not data.is_dir():
        raise UsageError(f"--data {data}: there is no such folder")
    roots = (
        [data]
        if _is_object(data)
        else [path for path in sorted(data.iterdir()) if _is_object(path)]
    )
    pictures = [picture for root in roots for picture in _of_object(root)]
    for wanted, there in (
        ("normal", any(picture.mask is None for picture in pictures)),
        ("defective", any(picture.mask is not None for picture in pictures)),
    ):
        if not there:
            raise UsageError(
                f"--data {data} has no {wanted} pictures: give a folder with good/, defect/<kind>/ "
                "and masks/<kind>/, or one of such folders for each object"
            )
    return pictures


def read_mask(picture: Picture, side: int) -> NDArray[np.bool_]:
    """Where a picture is defective, bool [side, side]; nowhere without a mask.

    Squashed with Pillow's bilinear filter, then cut at one half, as the original does.

    Raises:
        UsageError: the mask of a defective picture has nothing white.
    """
    if picture.mask is None:
        return np.zeros((side, side), dtype=bool)
    white = read_frame(picture.mask).pixels[:, :, 0]
    if white.max() <= 127:
        raise UsageError(
            f"{picture.mask} has nothing white, its largest value is {white.max()}: draw the "
            "defect with 255"
        )
    grey = Image.fromarray(white)
    small = np.asarray(grey.resize((side, side), Image.Resampling.BILINEAR))
    mask: NDArray[np.bool_] = small > 127.5
    return mask


def _is_object(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in ("good", "defect", "test"))


def _of_object(root: Path) -> Iterator[Picture]:
    benchmark = (root / "test").is_dir()
    defects, masks = (
        (root / "test", root / "ground_truth") if benchmark else (root / "defect", root / "masks")
    )
    good = (defects if benchmark else root) / "good"
    yield from (Picture(path=path) for path in _images(good))
    kinds = sorted(path for path in defects.iterdir() if path.is_dir()) if defects.is_dir() else []
    for kind in kinds:
        if kind == good:
            continue
        by_name = {path.stem.removesuffix("_mask"): path for path in _images(masks / kind.name)}
        for path in _images(kind):
            if path.stem not in by_name:
                raise UsageError(
                    f"{path} has no mask in {masks / kind.name}: draw one, white where the defect "
                    "is, or leave the picture out"
                )
            yield Picture(path=path, mask=by_name[path.stem])


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and is_candidate(path))
