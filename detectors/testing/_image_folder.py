"""A folder of small pictures as real folders are: most are fine, and some are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from clipvet.detectors.records._records import ImageStatus
from clipvet.detectors.testing._subject import textures

__all__ = ["IMAGE_FOLDER", "write_image_folder"]

IMAGE_FOLDER: Mapping[str, ImageStatus] = MappingProxyType(
    {
        "good/0.png": "ok",
        "good/1.png": "ok",
        "good/2.png": "ok",
        "good/3.png": "ok",
        "dark.png": "ok",
        "grey.png": "ok",
        "cmyk.jpg": "ok",
        "rotated.jpg": "ok",
        "odd names/a b'c (1) #2 %41.png": "ok",
        "odd names/Größe-寸法.png": "ok",
        "deep.png": "refused",
        "truncated.jpg": "unreadable",
        "text.jpg": "unreadable",
        "empty.png": "unreadable",
    }
)
"""Path in the folder -> status of its record without any ``--high-bit``."""


def write_image_folder(folder: Path) -> Path:
    """Write the pictures of :data:`IMAGE_FOLDER`, rendered here, into a folder.

    ``deep.png`` has 16 bits; ``rotated.jpg`` says by EXIF that it is to be turned, so that it
    is as high as it is stored wide; ``truncated.jpg`` ends halfway; ``text.jpg`` is text.

    Returns:
        the folder.
    """
    pictures = textures(4, seed=4)
    grey = pictures[0][:, :, 0]
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: to be turned clockwise
    parts: dict[str, tuple[Any, dict[str, Any]]] = {
        **{f"good/{index}.png": (pixels, {}) for index, pixels in enumerate(pictures)},
        "dark.png": (pictures[1] // 12, {}),
        "grey.png": (grey, {}),
        "deep.png": (grey.astype(np.uint16) * 16, {}),
        "rotated.jpg": (pictures[2], {"exif": turned}),
        "truncated.jpg": (pictures[1], {}),
        "odd names/a b'c (1) #2 %41.png": (pictures[3], {}),
        "odd names/Größe-寸法.png": (pictures[3], {}),
    }
    for name, (pixels, options) in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name, **options)
    Image.fromarray(pictures[0]).convert("CMYK").save(folder / "cmyk.jpg")
    whole = folder / "truncated.jpg"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (folder / "text.jpg").write_text("this is no picture\n", encoding="utf-8")
    (folder / "empty.png").touch()
    return folder
