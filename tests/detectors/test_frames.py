from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipvet.detectors.errors import (
    FrameError,
    FrameRefused,
    FrameUnreadable,
    FrameUnsupported,
    UsageError,
)
from clipvet.detectors.frames._frames import (
    DecodePolicy,
    Frame,
    FrameSource,
    is_candidate,
    read_frame,
)


def picture(height: int = 20, width: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()


def test_a_file_gives_its_pixels_size_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    path.write_bytes(png(picture()))
    frame = read_frame(path)
    assert np.array_equal(frame.pixels, picture())
    assert (frame.width, frame.height) == (30, 20)
    assert frame.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert frame.source == str(path)
    assert (frame.orientation, frame.bit_depth, frame.policy, frame.notes) == (1, 8, "8-bit", ())
    assert np.array_equal(read_frame(str(path)).pixels, frame.pixels)


@pytest.mark.parametrize("kind", ["path", "bytes", "image", "array"])
def test_all_sources_agree_and_give_contiguous_read_only_pixels(kind: str, tmp_path: Path) -> None:
    (tmp_path / "part.png").write_bytes(png(picture()))
    sources: dict[str, FrameSource] = {
        "path": tmp_path / "part.png",
        "bytes": png(picture()),
        "image": Image.fromarray(picture()),
        "array": picture(),
    }
    frame = read_frame(sources[kind])
    assert np.array_equal(frame.pixels, picture())
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 0


def test_an_array_is_copied_so_a_camera_may_reuse_its_buffer() -> None:
    buffer = picture()
    frame = read_frame(buffer)
    buffer[:] = 0
    assert np.array_equal(frame.pixels, picture())


def test_array_layouts() -> None:
    grey = picture()[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(read_frame(grey).pixels, expected)
    assert np.array_equal(read_frame(grey[:, :, None]).pixels, expected)
    assert np.array_equal(read_frame(picture()[:, :, ::-1], bgr=True).pixels, picture())
    assert np.array_equal(read_frame(picture()[::2, ::-1]).pixels, picture()[::2, ::-1])


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((4, 4), np.float32), FrameUnsupported, "float32"),
        (np.zeros((4, 4), bool), FrameUnsupported, "uint8"),
        (np.zeros((4, 4), np.int16), FrameUnsupported, "int16"),
        (np.zeros((4, 4, 4), np.uint8), FrameUnsupported, "alpha"),
        (np.zeros((4, 4, 2), np.uint8), FrameUnsupported, "shape"),
        (np.zeros((1, 3, 4, 4), np.uint8), FrameUnsupported, "shape"),
        (np.zeros(7, np.uint8), FrameUnsupported, "shape"),
        (np.zeros((0, 4), np.uint8), FrameUnreadable, "no pixels"),
        (np.zeros((4, 4), np.uint16), FrameRefused, "white_level"),
    ],
)
def test_arrays_that_are_refused(array: np.ndarray, error: type[FrameError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_frame(array)


def test_uint16_arrays_by_white_level_or_policy() -> None:
    array = np.array([[0, 2048, 4095, 65535]], dtype=np.uint16)
    frame = read_frame(array, white_level=4095)
    assert frame.pixels[0, :, 0].tolist() == [0, 128, 255, 255]
    assert (frame.bit_depth, frame.policy) == (16, "white:4095")
    full = read_frame(array, policy=DecodePolicy(high_bit="full-range"))
    assert full.pixels[0, :, 1].tolist() == [0, 8, 16, 255]
    both = read_frame(array, policy=DecodePolicy(high_bit="full-range"), white_level=4095)
    assert both.policy == "white:4095"
    colour = np.stack([array] * 3, axis=2)
    colour[..., 0] = 4095
    assert read_frame(colour, white_level=4095, bgr=True).pixels[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("source", [b"x", "x.png", Image.new("L", (2, 2))])
def test_array_options_are_for_arrays(source: FrameSource) -> None:
    with pytest.raises(UsageError):
        read_frame(source, bgr=True)
    with pytest.raises(UsageError):
        read_frame(source, white_level=255)


def test_other_types_are_unsupported() -> None:
    with pytest.raises(FrameUnsupported, match="list"):
        read_frame([[1, 2]])  # type: ignore[arg-type]  # a wrong type on purpose
    with pytest.raises(FrameUnsupported, match="bgr"):
        read_frame(np.zeros((4, 4), np.uint8), bgr=True)
    with pytest.raises(UsageError, match="uint16"):
        read_frame(np.zeros((4, 4), np.uint8), white_level=9)


def test_reasons_for_what_is_no_readable_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    reasons = {
        tmp_path: "folder",
        tmp_path / "pipe.png": "pipe",
        tmp_path / "empty.png": "empty",
        tmp_path / "missing.png": "no such file",
        tmp_path / "loop.png": "cannot be read",
        tmp_path / "dangling.png": "no such file",
        tmp_path / ("x" * 300 + ".png"): "cannot be read",
        tmp_path / "empty.png" / "below": "cannot be read",
        Path("/dev/zero"): "device",
        Path("a\0b"): "no path",
    }
    for path, words in reasons.items():
        with pytest.raises(FrameUnreadable, match=words) as caught:
            read_frame(path)
        assert "\n" not in str(caught.value)
        assert "\0" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_said(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(png(picture()))
    path.chmod(0)
    with pytest.raises(FrameUnreadable, match="permission"):
        read_frame(path)


def test_permission_error_as_the_system_raises_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(png(picture()))

    def denied(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(FrameUnreadable, match="permission"):
        read_frame(path)


def test_odd_names_are_shown_on_one_line(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\nb\xff.png"))
    path.write_bytes(b"no image")
    with pytest.raises(FrameUnreadable) as caught:
        read_frame(path)
    assert str(caught.value).isprintable()
    assert str(caught.value).encode("utf-8")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse
    with pytest.raises(FrameRefused, match="bytes"):
        read_frame(path)


def test_content_decides_and_a_wrong_suffix_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "part.jpg"
    path.write_bytes(png(picture()))
    frame = read_frame(path)
    assert np.array_equal(frame.pixels, picture())
    assert frame.notes == ("the name says JPEG, the content is PNG",)
    bare = tmp_path / "part"
    bare.write_bytes(png(picture()))
    assert read_frame(bare).notes == ()


def test_candidates_by_suffix_or_magic(tmp_path: Path) -> None:
    for name in ["a.png", "b.JPG", "c.tiff", "d.heic"]:
        (tmp_path / name).write_bytes(b"whatever")
        assert is_candidate(tmp_path / name)
    image = Image.fromarray(picture())
    for kind in ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "AVIF"]:
        image.save(tmp_path / f"no_suffix_{kind}", format=kind)
        assert is_candidate(tmp_path / f"no_suffix_{kind}"), kind
    for name, content in {"notes.txt": b"BM is a word", "empty": b"", "z": b"\0" * 64}.items():
        (tmp_path / name).write_bytes(content)
        assert not is_candidate(tmp_path / name), name
    os.mkfifo(tmp_path / "pipe")
    assert not is_candidate(tmp_path / "pipe")  # and does not block
    assert not is_candidate(tmp_path)
    assert not is_candidate(tmp_path / "missing")
    assert not is_candidate("a\0b")


@settings(max_examples=40, deadline=None)
@given(orientation=st.integers(1, 8), height=st.integers(1, 9), width=st.integers(1, 9))
def test_every_orientation_is_applied_once(orientation: int, height: int, width: int) -> None:
    stored = picture(height, width)
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation](stored)
    for kind in ["PNG", "TIFF", "WEBP"]:
        buffer = io.BytesIO()
        exif = Image.Exif()
        exif[274] = orientation
        options = {"lossless": True} if kind == "WEBP" else {}
        Image.fromarray(stored).save(buffer, format=kind, exif=exif, **options)
        frame = read_frame(buffer.getvalue())
        assert np.array_equal(frame.pixels, turned), kind
        assert frame.orientation == orientation, kind


def test_a_frame_is_a_value() -> None:
    frame = Frame(pixels=picture())
    with pytest.raises(AttributeError):
        frame.orientation = 3  # type: ignore[misc]
