"""From a loaded Pillow image of any mode to 8-bit RGB, with a note for what that took."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors.errors import FrameRefused, FrameUnsupported
from clipvet.detectors.frames._bit_depth import Depth, stretch, stretch_range
from clipvet.detectors.frames._decode_policy import HIGH_BIT_HELP, DecodePolicy

__all__ = ["to_rgb"]

_WITH_ALPHA = frozenset(["RGBA", "LA", "PA", "La", "RGBa"])
_NAMES = {"1": "1-bit", "L": "greyscale", "P": "palette", "PA": "palette", "LA": "greyscale"}


def to_rgb(
    image: Image.Image, depth: Depth, policy: DecodePolicy, notes: list[str]
) -> tuple[NDArray[np.uint8], str]:
    """Convert a loaded, oriented image.

    Returns:
        Contiguous uint8 [H, W, 3], and the word of the policy that made 8 bits of the samples.

    Raises:
        FrameRefused: more than 8 bits, and no policy for them.
        FrameUnsupported: no policy can do it.
    """
    if image.mode == "F":
        message = "float pixels have no declared range: convert them to an 8- or 16-bit PNG"
        raise FrameUnsupported(message)
    if depth.bits <= 8:
        return _eight_bit(image, policy, notes), "8-bit"
    if policy.high_bit is None:
        raise FrameRefused(f"{depth.bits} bits per sample: {HIGH_BIT_HELP}")
    if not depth.reduced:
        return _wide_grey(image, depth, policy.high_bit, notes), policy.describe()
    if policy.high_bit != "full-range":
        message = (
            f"{depth.bits}-bit colour, of which the decoder keeps 8 bits: only --high-bit "
            "full-range is possible; for a percentile or white level give a uint16 array"
        )
        raise FrameUnsupported(message)
    notes.append(f"{depth.bits}-bit colour, reduced by the decoder")
    return _eight_bit(image, policy, notes), policy.describe()


def _wide_grey(
    image: Image.Image, depth: Depth, high_bit: str | int, notes: list[str]
) -> NDArray[np.uint8]:
    values = np.asarray(image)
    if depth.bits > 16 or _tag(image, 339) == 2 or values.min() < 0 or values.max() > 65535:
        message = "signed or more than 16-bit samples: convert them to unsigned 16-bit"
        raise FrameUnsupported(message)
    if _tag(image, 262) == 0:  # white is zero, which Pillow inverts for 8 bits only
        values = depth.file_max - values
        notes.append("white is zero: inverted")
    low, high = stretch_range(
        values, high_bit=high_bit, file_max=depth.file_max, decoded_max=depth.decoded_max
    )
    grey = stretch(values.astype(np.uint16), low, high)
    notes.append("greyscale")
    return np.repeat(grey[:, :, None], 3, axis=2)


def _tag(image: Image.Image, number: int) -> object:
    """The first value of a TIFF tag; None for other formats."""
    tags = getattr(image, "tag_v2", None)
    value = None if tags is None else tags.get(number)
    return value[0] if isinstance(value, tuple) else value


def _eight_bit(image: Image.Image, policy: DecodePolicy, notes: list[str]) -> NDArray[np.uint8]:
    if image.mode in _NAMES:
        notes.append(_NAMES[image.mode])
    elif not image.mode.startswith("RGB"):
        notes.append(image.mode.lower())
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        image = _composite(image, policy.background, notes)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.array(rgb, dtype=np.uint8)


def _composite(
    image: Image.Image, background: tuple[int, int, int], notes: list[str]
) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB")
    notes.append("alpha composited on #{:02x}{:02x}{:02x}".format(*background))
    canvas = Image.new("RGB", rgba.size, background)
    canvas.paste(rgba, mask=alpha)
    return canvas
