from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from clipvet.detectors.errors import FrameRefused, FrameUnsupported, UsageError
from clipvet.detectors.frames._frames import DecodePolicy, read_frame


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def png_chunks(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG of any depth, also of those that Pillow cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def png16(values: np.ndarray) -> bytes:
    """A 16-bit PNG, grey [H, W] or colour [H, W, 3 or 4], which Pillow cannot write."""
    height, width = values.shape[:2]
    colour = 0 if values.ndim == 2 else {3: 2, 4: 6}[values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_chunks(width, height, 16, colour, rows)


RAMP = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)


def test_16_bit_is_refused_with_the_sentence_that_says_what_to_set() -> None:
    colour = np.stack([RAMP] * 3, axis=2)
    for data in (png16(RAMP), png16(colour), encoded(Image.fromarray(RAMP), "TIFF")):
        with pytest.raises(FrameRefused, match=r"16 bits per sample.*--high-bit full-range"):
            read_frame(data)
    with pytest.raises(FrameRefused, match="high-bit"):
        read_frame(Image.fromarray(RAMP))


def test_16_bit_grey_by_each_policy() -> None:
    for data in (png16(RAMP), encoded(Image.fromarray(RAMP), "TIFF"), Image.fromarray(RAMP)):
        full = read_frame(data, policy=DecodePolicy(high_bit="full-range"))
        assert np.array_equal(full.pixels[..., 1].ravel(), np.arange(256))
        assert (full.bit_depth, full.policy) == (16, "full-range")
        white = read_frame(data, policy=DecodePolicy(high_bit=4095))
        expected = np.rint(np.minimum(RAMP / 4095, 1) * 255)
        assert np.array_equal(white.pixels[..., 0], expected)
        assert white.policy == "white:4095"
        percentile = read_frame(data, policy=DecodePolicy(high_bit="percentile"))
        low, high = np.percentile(RAMP, (0.1, 99.9))
        expected = np.rint(np.clip((RAMP - low) / (high - low), 0, 1) * 255)
        assert np.array_equal(percentile.pixels[..., 2], expected)
        assert percentile.policy == "percentile:0.1-99.9"


def test_8_bit_images_ignore_the_high_bit_policy() -> None:
    data = encoded(Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)), "PNG")
    frame = read_frame(data, policy=DecodePolicy(high_bit=4095))
    assert np.array_equal(frame.pixels[..., 0].ravel(), np.arange(256))
    assert frame.policy == "8-bit"


def test_a_constant_16_bit_image_survives_the_percentile_policy() -> None:
    data = png16(np.full((4, 4), 700, np.uint16))
    assert read_frame(data, policy=DecodePolicy(high_bit="percentile")).pixels.max() == 0


def test_16_bit_colour_only_by_its_full_range() -> None:
    for channels in (3, 4):
        colour = np.full((16, 16, channels), 65535, np.uint16)
        colour[..., :3] = RAMP[..., None]
        frame = read_frame(png16(colour), policy=DecodePolicy(high_bit="full-range"))
        assert np.abs(frame.pixels[..., 0].ravel() - RAMP.ravel() / 257).max() <= 1
        assert frame.notes == ("16-bit colour, reduced by the decoder",)
        for high_bit in ("percentile", 4095):
            with pytest.raises(FrameUnsupported, match="full-range"):
                read_frame(png16(colour), policy=DecodePolicy(high_bit=high_bit))


def test_a_white_level_is_in_the_units_of_the_file_where_pillow_rescales() -> None:
    header = b"P5 4 1 4095\n"
    data = header + np.array([0, 1000, 2000, 4095], dtype=">u2").tobytes()
    for policy in (DecodePolicy(high_bit="full-range"), DecodePolicy(high_bit=4095)):
        frame = read_frame(data, policy=policy)
        assert frame.pixels[0, :, 0].tolist() == [0, 62, 125, 255]
        assert frame.bit_depth == 12
    half = read_frame(data, policy=DecodePolicy(high_bit=2000))
    assert half.pixels[0, :, 0].tolist() == [0, 128, 255, 255]


def test_white_is_zero_is_inverted() -> None:
    data = bytearray(encoded(Image.fromarray(RAMP), "TIFF", tiffinfo={262: 0}))
    frame = read_frame(bytes(data), policy=DecodePolicy(high_bit="full-range"))
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, TiffImageFile)
    assert image.tag_v2[262] == 0
    assert np.array_equal(frame.pixels[..., 0].ravel(), np.arange(256)[::-1])


def test_float_signed_and_32_bit_images_are_unsupported() -> None:
    policy = DecodePolicy(high_bit="full-range")
    for array in (
        np.zeros((3, 3), np.float32),
        np.full((3, 3), -5, np.int32),
        np.full((3, 3), 70000, np.int32),
    ):
        with pytest.raises(FrameUnsupported):
            read_frame(encoded(Image.fromarray(array), "TIFF"), policy=policy)
        with pytest.raises(FrameUnsupported):
            read_frame(Image.fromarray(array), policy=policy)


def test_policies_parse_and_describe_themselves() -> None:
    for text, word in {
        "full-range": "full-range",
        "percentile": "percentile:0.1-99.9",
        "white=4095": "white:4095",
    }.items():
        assert DecodePolicy.parse(text).describe() == word
    assert DecodePolicy().describe() == "8-bit"
    for text in ["", "white", "white=", "white=x", "white=0", "white=70000", "auto", "4095"]:
        with pytest.raises(UsageError):
            DecodePolicy.parse(text)
