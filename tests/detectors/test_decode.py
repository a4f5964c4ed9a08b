from __future__ import annotations

import contextlib
import io
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from clipvet.detectors.errors import (
    FrameError,
    FrameRefused,
    FrameUnreadable,
    FrameUnsupported,
    UnfitEnvironment,
)
from clipvet.detectors.frames._frames import DecodePolicy, read_frame


def noise(height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG whose header says that it is of this size."""
    data = encoded(Image.new("L", (1, 1)), "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {},
    "progressive": {"progressive": True},
    "PNG": {},
    "BMP": {},
    "GIF": {},
    "TIFF": {},
    "TIFF-lzw": {"compression": "tiff_lzw"},
    "WEBP": {},
    "WEBP-lossless": {"lossless": True},
    "JPEG2000": {},
    "PPM": {},
    "TGA": {},
    "AVIF": {},
}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", FORMATS)
def test_truncated_files_are_unreadable(name: str, share: float) -> None:
    kind = {"progressive": "JPEG"}.get(name, name.split("-", maxsplit=1)[0])
    data = encoded(Image.fromarray(noise()), kind, **FORMATS[name])
    assert read_frame(data).width == 96
    with pytest.raises(FrameUnreadable):
        read_frame(data[: int(len(data) * share)])


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_a_damaged_byte_never_escapes_as_another_error(name: str) -> None:
    data = bytearray(encoded(Image.fromarray(noise(16, 16)), name))
    rng = np.random.default_rng(2)
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            damaged[at] = rng.integers(256)
        with contextlib.suppress(FrameError):
            assert read_frame(bytes(damaged)).pixels.ndim == 3


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", FrameUnreadable, "empty"),
        (b"hello, this is not a picture\n" * 3, FrameUnreadable, "text"),
        (b"<!DOCTYPE html><html></html>", FrameUnreadable, "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", FrameUnreadable, "LFS"),
        (b"\0" * 4096, FrameUnreadable, "zeros"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, FrameUnreadable, "damaged"),
        (b"%PDF-1.7 ...", FrameUnsupported, "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", FrameUnsupported, "PostScript"),
        (b"v/1\x01" + b"\0" * 60, FrameUnsupported, "OpenEXR"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 60, FrameUnsupported, "HEIC"),
        (bytes(range(256)), FrameUnreadable, "no known picture"),
    ],
)
def test_what_it_is_instead(data: bytes, error: type[FrameError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_frame(data)


def test_bombs_are_refused_by_their_header() -> None:
    bomb = png_claiming(60000, 60000)
    with pytest.raises(FrameRefused, match="pixels"):
        read_frame(bomb)
    tall = png_claiming(1, 70000)
    with pytest.raises(FrameRefused, match="side"):
        read_frame(tall)
    data = encoded(Image.fromarray(noise()), "PNG")
    assert read_frame(data, policy=DecodePolicy(max_pixels=64 * 96)).height == 64
    with pytest.raises(FrameRefused, match="max_pixels"):
        read_frame(data, policy=DecodePolicy(max_pixels=64 * 96 - 1))
    with pytest.raises(FrameRefused, match="max_side"):
        read_frame(noise(), policy=DecodePolicy(max_side=95))


def test_between_pillows_warning_and_its_error_the_policy_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(Image.fromarray(noise()), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)  # 6144 pixels: a warning of Pillow's
    frame = read_frame(data)
    assert frame.notes == ()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # an error of Pillow's
    with pytest.raises(FrameRefused, match="MAX_IMAGE_PIXELS"):
        read_frame(data)


def test_pillow_told_to_accept_truncated_files_is_an_unfit_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UnfitEnvironment, match="LOAD_TRUNCATED_IMAGES"):
        read_frame(encoded(Image.fromarray(noise()), "PNG"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "L-key", "RGB-key"])
def test_alpha_lands_on_the_declared_background(mode: str) -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[..., :3] = 200  # grey, so that LA can hold it too
    rgba[0, :, 3] = 255
    image = Image.fromarray(rgba)
    options: dict[str, object] = {}
    if mode == "LA":
        image = image.convert("LA")
    elif mode in ("P", "PA"):
        image = Image.fromarray(np.array([[1, 1, 1], [0, 0, 0]], np.uint8))
        image = image.convert("P")
        image.putpalette([9, 9, 9, 200, 200, 200])
        options = {"transparency": 0}
    elif mode.endswith("key"):
        image = Image.fromarray(np.array([[200] * 3, [9] * 3], np.uint8)).convert(mode[:-4])
        options = {"transparency": 9 if mode == "L-key" else (9, 9, 9)}
    data = encoded(image, "PNG", **options)
    black = read_frame(data)
    red = read_frame(data, policy=DecodePolicy(background=(255, 0, 0)))
    assert black.pixels[0, 0].tolist() == red.pixels[0, 0].tolist() == [200, 200, 200]
    assert black.pixels[1, 1].tolist() == [0, 0, 0]
    assert red.pixels[1, 1].tolist() == [255, 0, 0]
    assert "alpha composited on #000000" in black.notes
    assert "alpha composited on #ff0000" in red.notes


def test_half_transparent_is_mixed_and_opaque_alpha_is_not_mentioned() -> None:
    rgba = np.full((1, 1, 4), (100, 200, 40, 128), np.uint8)
    frame = read_frame(Image.fromarray(rgba), policy=DecodePolicy(background=(0, 0, 255)))
    expected = np.array([100, 200, 40]) * 128 / 255 + np.array([0, 0, 255]) * 127 / 255
    assert np.abs(frame.pixels[0, 0] - expected).max() <= 1
    rgba[..., 3] = 255
    assert read_frame(Image.fromarray(rgba)).notes == ()


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "LAB", "RGBX", "RGBa", "La"]
)
def test_every_8_bit_mode_becomes_rgb(mode: str) -> None:
    grey = Image.fromarray(np.full((4, 5), 255, np.uint8))
    neutral = Image.new("L", grey.size, 128)
    if mode == "LAB":
        image = Image.merge("LAB", [grey, neutral, neutral])
    elif mode in ("RGBa", "La"):
        image = grey.convert("RGBA" if mode == "RGBa" else "LA").convert(mode)
    else:
        image = grey.convert("RGB").convert(mode)
    frame = read_frame(image)
    assert frame.pixels.shape == (4, 5, 3)
    assert frame.pixels.min() >= 250, "white stays white"


def test_cmyk_jpeg_and_1_bit_tiff_files() -> None:
    colour = Image.new("RGB", (8, 8), (250, 10, 20))
    frame = read_frame(encoded(colour.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(frame.pixels.astype(int) - [250, 10, 20]).max() < 12
    assert frame.notes == ("cmyk",)
    bits = np.random.default_rng(0).integers(0, 2, (9, 11)).astype(bool)
    frame = read_frame(encoded(Image.fromarray(bits), "TIFF", compression="group4"))
    assert np.array_equal(frame.pixels[..., 0], bits * np.uint8(255))
    assert frame.bit_depth == 1


def test_animations_give_their_first_frame_and_say_so() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        frame = read_frame(data)
        assert frame.pixels[0, 0].tolist() == [255, 0, 0], kind
        assert "first of 3 frames" in frame.notes, kind


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_invalid_orientation_is_ignored_and_noted(value: int) -> None:
    exif = Image.Exif()
    exif[274] = value
    frame = read_frame(encoded(Image.fromarray(noise()), "PNG", exif=exif))
    assert np.array_equal(frame.pixels, noise())
    assert frame.orientation == 1
    assert frame.notes == (f"EXIF orientation {value} ignored",)


def test_damaged_exif_does_not_cost_the_pixels() -> None:
    frame = read_frame(encoded(Image.fromarray(noise()), "PNG", exif=b"Exif\0\0garbage!"))
    assert np.array_equal(frame.pixels, noise())
    assert any("EXIF" in note or "Pillow" in note for note in frame.notes)


def test_threads_decode_alike_and_leave_the_warning_filters_alone() -> None:
    exif = Image.Exif()
    exif[274] = 6
    image = Image.fromarray(noise())
    sources = [
        encoded(image, "PNG", exif=exif),
        encoded(image, "JPEG"),
        encoded(image, "TIFF", exif=exif),
        encoded(image, "TGA"),
        encoded(image, "PNG")[:900],
        encoded(image, "PNG", exif=b"Exif\0\0garbage!"),
    ] * 10

    def outcome(data: bytes) -> object:
        try:
            frame = read_frame(data)
        except FrameError as error:
            return str(error)
        return frame.pixels.tobytes(), frame.orientation, frame.notes

    before = list(warnings.filters)
    single = [outcome(data) for data in sources]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, sources)) == single
    assert warnings.filters == before
    assert threading.active_count() < 20
