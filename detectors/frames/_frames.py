"""One decoded image, from a file, bytes, a Pillow image or an array."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors.errors import (
    FrameError,
    FrameRefused,
    FrameUnreadable,
    FrameUnsupported,
    UsageError,
)
from clipvet.detectors.frames._bit_depth import stretch, stretch_range
from clipvet.detectors.frames._decode import Decoded, decode_bytes, decode_image
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.frames._magic import HEAD_BYTES, has_image_suffix, is_image

__all__ = ["DecodePolicy", "Frame", "FrameSource", "is_candidate", "read_frame"]

FrameSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]

MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One decoded image.

    Attributes:
        pixels: uint8 RGB [H, W, 3], contiguous, read-only, EXIF-oriented.
        orientation: EXIF orientation 1..8 that was applied to the stored pixels.
        bit_depth: bits per sample in the source.
        policy: how they became 8: ``8-bit``, ``full-range``, ``percentile:0.1-99.9``,
            ``white:4095``.
        notes: what else decoding took ("alpha composited on #000000", "first of 12 frames").
        sha256: of the file's bytes; None for Pillow images and arrays.
        source: the path as given, ``bytes``, ``image`` or ``array``.
    """

    pixels: NDArray[np.uint8]
    orientation: int = 1
    bit_depth: int = 8
    policy: str = "8-bit"
    notes: tuple[str, ...] = ()
    sha256: str | None = None
    source: str = "array"

    @property
    def width(self) -> int:
        """Pixels from left to right, oriented."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom, oriented."""
        return int(self.pixels.shape[0])


def read_frame(
    source: FrameSource,
    *,
    policy: DecodePolicy = DecodePolicy(),  # noqa: B008 - frozen
    bgr: bool = False,
    white_level: int | None = None,
) -> Frame:
    """Decode an image completely; safe to call from several threads.

    Args:
        source: path of a file; bytes of one; Pillow image; or array: uint8 [H, W], [H, W, 1]
            or [H, W, 3] RGB, or uint16 of these shapes with a white level.
        policy: what to do where the source does not say how it becomes 8-bit RGB.
        bgr: an array's channels are in OpenCV's order.
        white_level: the value of a uint16 array that becomes 255; overrides the policy.

    Raises:
        FrameUnreadable: damaged, empty, truncated, gone or no image.
        FrameUnsupported: a format or array type that is not decoded.
        FrameRefused: too large, or more than 8 bits without a policy for them.
        UsageError: ``bgr`` or ``white_level`` for something that is not an array.
    """
    if isinstance(source, np.ndarray):
        return _read_array(source, policy, bgr=bgr, white_level=white_level)
    if bgr or white_level is not None:
        raise UsageError("bgr and white_level describe arrays: leave them out for files and images")
    if isinstance(source, Image.Image):
        return _frame(decode_image(source, policy), source="image")
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        digest = hashlib.sha256(data).hexdigest()
        return _frame(decode_bytes(data, policy), source="bytes", sha256=digest)
    try:
        path = Path(source)
    except TypeError:
        message = f"cannot read {type(source).__name__}: give a path, bytes, Pillow image or array"
        raise FrameUnsupported(message) from None
    return _read_file(path, policy)


def is_candidate(path: str | os.PathLike[str]) -> bool:
    """True if a file is worth decoding: by its suffix, or else by its first bytes.

    Nothing but a regular file is ever opened, so a pipe cannot block this.
    """
    path = Path(path)
    if has_image_suffix(path):
        return True
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return is_image(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return False


def _read_file(path: Path, policy: DecodePolicy) -> Frame:
    try:
        data = _file_bytes(path)
        decoded = decode_bytes(data, policy)
    except FrameError as error:
        raise type(error)(error.reason, file=_shown(path)) from error
    frame = _frame(decoded, source=str(path), sha256=hashlib.sha256(data).hexdigest())
    return replace(frame, notes=_suffix_note(path, decoded.format) + frame.notes)


def _file_bytes(path: Path) -> bytes:
    """Read a regular file once; anything else is not even opened (a pipe would block)."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FrameUnreadable("this is a folder: give image files, or the folder to a run")
        if not stat.S_ISREG(status.st_mode):
            raise FrameUnreadable("not a regular file but a pipe, socket or device: give a file")
        if status.st_size > MAX_FILE_BYTES:
            message = f"the file has {status.st_size} bytes, above {MAX_FILE_BYTES}: cut it"
            raise FrameRefused(message)
        return path.read_bytes()
    except FileNotFoundError:
        raise FrameUnreadable("no such file: check the path") from None
    except PermissionError:
        raise FrameUnreadable("no permission to read it: check the file's mode") from None
    except OSError as error:
        raise FrameUnreadable(f"cannot be read ({error.strerror or error}): check it") from error
    except ValueError as error:
        raise FrameUnreadable(f"this is no path ({error}): check it") from error


def _frame(decoded: Decoded, *, source: str, sha256: str | None = None) -> Frame:
    return Frame(
        pixels=decoded.pixels,
        orientation=decoded.orientation,
        bit_depth=decoded.bit_depth,
        policy=decoded.policy,
        notes=decoded.notes,
        sha256=sha256,
        source=source,
    )


def _suffix_note(path: Path, format: str | None) -> tuple[str, ...]:  # noqa: A002
    promised = Image.registered_extensions().get(path.suffix.lower())
    same = {"MPO": "JPEG", "DIB": "BMP"}
    if promised is None or same.get(promised, promised) == same.get(format or "", format):
        return ()
    return (f"the name says {promised}, the content is {format}",)


def _read_array(
    array: NDArray[Any], policy: DecodePolicy, *, bgr: bool, white_level: int | None
) -> Frame:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        message = f"an array of shape {array.shape}: give [H, W], [H, W, 1] or [H, W, 3]"
        raise FrameUnsupported(message + " (composite alpha first)" * (array.shape[-1:] == (4,)))
    policy.check_size(array.shape[1], array.shape[0])
    if array.ndim == 2:
        array = array[:, :, None]
    if bgr:
        if array.shape[2] != 3:
            raise FrameUnsupported("bgr=True for an array of one channel: give three, or leave it")
        array = array[:, :, ::-1]
    samples, word = _eight_bit(array, policy, white_level)
    pixels = np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples.copy(order="C")
    pixels.flags.writeable = False
    return Frame(pixels=pixels, bit_depth=8 * array.dtype.itemsize, policy=word)


def _eight_bit(
    array: NDArray[Any], policy: DecodePolicy, white_level: int | None
) -> tuple[NDArray[np.uint8], str]:
    if array.dtype == np.uint8:
        if white_level is not None:
            raise UsageError("white_level is for uint16 arrays: this one is uint8, leave it out")
        return array, "8-bit"
    if array.dtype != np.uint16:
        message = f"an array of {array.dtype} has no declared range: convert it to uint8, or to "
        raise FrameUnsupported(message + "uint16 and give white_level")
    rule = policy if white_level is None else replace(policy, high_bit=white_level)
    if rule.high_bit is None:
        message = "a uint16 array needs its white: give white_level (4095 for 12 bits)"
        raise FrameRefused(message)
    low, high = stretch_range(array, high_bit=rule.high_bit, file_max=65535, decoded_max=65535)
    return stretch(array.astype(np.uint16), low, high), rule.describe()


def _shown(path: Path) -> str:
    """The path on one line, with whatever cannot be printed escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
