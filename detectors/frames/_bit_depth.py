"""How many bits a file gives a sample, and the explicit ways from more than 8 of them to 8."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["PERCENTILES", "Depth", "declared_depth", "stretch", "stretch_range"]

PERCENTILES = (0.1, 99.9)


@dataclass(frozen=True, kw_only=True)
class Depth:
    """The samples of an image file.

    Attributes:
        bits: per sample, as the file declares them.
        file_max: the largest value that the file can hold in them.
        decoded_max: the value to which the decoder maps ``file_max``.
        reduced: True if the decoder keeps only 8 bits of more.
    """

    bits: int
    file_max: int
    decoded_max: int
    reduced: bool = False


def declared_depth(image: Image.Image, data: bytes | None) -> Depth:
    """Read the depth from the header, before the pixels are loaded.

    Pillow reduces 16-bit colour to 8 bits without a word, so its mode is not enough.

    Args:
        image: opened and not loaded.
        data: the file's bytes; None for an image that was opened elsewhere.
    """
    bits, scaled = _declared_bits(image, data)
    file_max = (1 << bits) - 1
    if image.format == "PPM" and (maximum := _ppm_maximum(image)):
        bits, file_max = maximum.bit_length(), maximum
    wide = image.mode.startswith("I")
    if wide:
        bits = max(bits, 9)
        return Depth(bits=bits, file_max=file_max, decoded_max=65535 if scaled else file_max)
    return Depth(bits=bits, file_max=file_max, decoded_max=255, reduced=bits > 8)


def stretch_range(
    values: NDArray[Any], *, high_bit: str | int, file_max: int, decoded_max: int
) -> tuple[float, float]:
    """The values that become 0 and 255: the policy, in units of ``values``."""
    if high_bit == "percentile":
        low, high = np.percentile(values, PERCENTILES)
        return float(low), float(high)
    white = file_max if high_bit == "full-range" else int(high_bit)
    return 0.0, white * decoded_max / file_max


def stretch(values: NDArray[np.uint16], low: float, high: float) -> NDArray[np.uint8]:
    """Map ``low``..``high`` to 0..255, clipped and rounded to the nearest: uint8, same shape."""
    span = high - low if high > low else 1.0
    levels = np.clip((np.arange(65536) - low) * (255.0 / span), 0.0, 255.0)
    table: NDArray[np.uint8] = np.rint(levels).astype(np.uint8)
    return table[values]


def _declared_bits(image: Image.Image, data: bytes | None) -> tuple[int, bool]:
    """Bits per sample, and whether the decoder scales wide samples up to 16 bits."""
    if image.format == "TIFF":
        declared = getattr(image, "tag_v2", {}).get(258, (8,))
        return max(declared if isinstance(declared, tuple) else (declared,)), False
    if image.format == "PNG" and data is not None and data[12:16] == b"IHDR":
        return data[24], False
    if image.format == "JPEG2000" and data is not None:
        return _jpeg2000_bits(data), True
    if image.format == "AVIF" and data is not None:
        return _avif_bits(data), False
    if image.format == "PPM":
        return {"I": 16, "1": 1}.get(image.mode, 8), True
    tile = str(getattr(image, "tile", ""))
    if image.mode.startswith("I") or re.search(r";16[BLNR]|SGI16", tile):
        return 16, False
    return (1 if image.mode == "1" else 8), False


def _ppm_maximum(image: Image.Image) -> int | None:
    if image.mode == "1":
        return None
    for tile in getattr(image, "tile", ()):
        arguments = tile[3]
        if isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] > 1:
            return arguments[-1]
    return 65535 if image.mode == "I" else None


def _jpeg2000_bits(data: bytes) -> int:
    start = data.find(b"\xff\x4f\xff\x51")  # SOC, SIZ; Ssiz is byte 38 after the SIZ marker
    at = start + 2 + 40
    return (data[at] & 0x7F) + 1 if start >= 0 and at < len(data) else 8


def _avif_bits(data: bytes) -> int:
    at = data.find(b"av1C") + 6  # marker and version, profile and level, then the flags
    flags = data[at] if 6 <= at < len(data) else 0
    if flags & 0x20:
        return 12
    return 10 if flags & 0x40 else 8
