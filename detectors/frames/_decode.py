"""From the bytes of an image file, or a Pillow image, to oriented pixels: fully, once, noted.

Pillow is the decoder, because it refuses a truncated file where OpenCV fills the rest with
grey. Every way in which an image can be broken ends as a ``FrameError``.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from clipvet.detectors.errors import (
    FrameError,
    FrameRefused,
    FrameUnreadable,
    FrameUnsupported,
    UnfitEnvironment,
)
from clipvet.detectors.frames._bit_depth import Depth, declared_depth
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._magic import explain_undecodable
from clipvet.detectors.frames._rgb import to_rgb

__all__ = ["Decoded", "decode_bytes", "decode_image"]

# Formats that need a helper program, that Pillow only locates and does not decode, or whose
# values it does not scale as the file says.
_LEFT_OUT = frozenset(
    "BUFR EPS FITS FPX GRIB HDF5 IPTC MCIDAS MIC MPEG PDF WMF XVTHUMB".split()  # noqa: SIM905
)
# Formats that load without a warning once their header is read: they load in parallel.
_QUIET = frozenset(["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"])
_ORIENTATION = 274  # EXIF tag
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Python's warning filters are one list for all threads, so one thread at a time changes them.
_WARNINGS_LOCK = threading.RLock()


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """Pixels uint8 RGB [H, W, 3], oriented, and how they came about (see ``Frame``)."""

    pixels: NDArray[np.uint8]
    format: str | None
    orientation: int
    bit_depth: int
    policy: str
    notes: tuple[str, ...]


def decode_bytes(data: bytes, policy: DecodePolicy) -> Decoded:
    """Decode the bytes of an image file; safe to call from several threads.

    Raises:
        FrameError: the reason and what to do, without a file name.
        UnfitEnvironment: Pillow was told to accept truncated files.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        message = "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, which hides damage: set it to False"
        raise UnfitEnvironment(message)
    if not data:
        raise FrameUnreadable("the file is empty")
    notes: list[str] = []
    with _reasons(data), _noted_warnings(notes):
        Image.init()
        formats = [name for name in Image.OPEN if name not in _LEFT_OUT]
        image: Image.Image = Image.open(io.BytesIO(data), formats=formats)
        policy.check_size(*image.size)
        depth = declared_depth(image, data)
    return _decode(image, depth, policy, notes, data)


def decode_image(image: Image.Image, policy: DecodePolicy) -> Decoded:
    """Decode a Pillow image, loading it if that has not happened.

    Raises:
        FrameError: the reason and what to do.
    """
    policy.check_size(*image.size)
    return _decode(image, declared_depth(image, None), policy, [], b"")


def _decode(
    image: Image.Image, depth: Depth, policy: DecodePolicy, notes: list[str], data: bytes
) -> Decoded:
    with _reasons(data):
        turned = 1
        with _noted_warnings(notes):
            if image.format == "TIFF":
                turned = _orientation(image, notes)  # Pillow turns it while loading
            if image.format not in _QUIET:
                image.load()
        image.load()
        policy.check_size(*image.size)
        with _noted_warnings(notes):
            pending = _orientation(image, notes)
        upright = image.transpose(_TRANSPOSE[pending]) if pending in _TRANSPOSE else image
        pixels, word = to_rgb(upright, depth, policy, notes)
        with _noted_warnings(notes):
            _note_frames(image, notes)
    pixels.flags.writeable = False
    return Decoded(
        pixels=pixels,
        format=image.format,
        orientation=turned if pending == 1 else pending,
        bit_depth=depth.bits,
        policy=word,
        notes=tuple(dict.fromkeys(notes)),
    )


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception as error:  # noqa: BLE001 - damaged metadata must not cost the pixels
        notes.append(f"EXIF ignored: {_one_line(error)}")
        return 1
    if isinstance(value, int) and 1 <= value <= 8:
        return value
    notes.append(f"EXIF orientation {_one_line(value)} ignored")
    return 1


def _note_frames(image: Image.Image, notes: list[str]) -> None:
    if image.format == "PSD":  # its further frames are the layers of the picture
        return
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:  # noqa: BLE001 - damage after the first frame
        notes.append("first of several frames, of which a later one is damaged")
        return
    if frames > 1:
        notes.append(f"first of {frames} frames")


@contextmanager
def _noted_warnings(notes: list[str]) -> Iterator[None]:
    """Turn Pillow's warnings into notes, except of sizes, which the policy judges."""
    with _WARNINGS_LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            notes.extend(
                f"Pillow: {_one_line(warning.message)}"
                for warning in caught
                if not issubclass(warning.category, Image.DecompressionBombWarning)
                and not issubclass(warning.category, DeprecationWarning)
            )


@contextmanager
def _reasons(data: bytes) -> Iterator[None]:
    """Turn whatever Pillow raises for this file into a ``FrameError`` with a reason."""
    try:
        yield
    except (FrameError, UnfitEnvironment):
        raise
    except Image.DecompressionBombError as error:
        message = "more pixels than Pillow's own limit of 2 x PIL.Image.MAX_IMAGE_PIXELS: "
        raise FrameRefused(message + "cut it, or raise that limit") from error
    except MemoryError as error:
        raise FrameRefused("decoding it takes more memory than there is: cut it") from error
    except UnidentifiedImageError as error:
        known, clause = explain_undecodable(data)
        raise (FrameUnsupported if known else FrameUnreadable)(clause) from error
    except Exception as error:
        message = f"damaged or incomplete ({_one_line(error)}): get the file again"
        raise FrameUnreadable(message) from error


def _one_line(thing: object) -> str:
    text = " ".join(str(thing).split()) or type(thing).__name__
    return text if len(text) <= 120 else text[:117] + "..."
