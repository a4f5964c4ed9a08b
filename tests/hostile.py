"""A folder of broken, odd and hostile files, made here, with what must become of each."""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

import numpy as np
from PIL import Image

from tests.runs import picture

__all__ = ["HUGE", "VANISHING", "Expected", "png_of_zeros", "write_archive", "write_corpus"]

Expected = dict[str, frozenset[str]]
"""Name of the file below the folder, as record ids have it -> statuses that are right."""

OK, UNREADABLE = frozenset({"ok"}), frozenset({"unreadable"})
UNSUPPORTED, REFUSED = frozenset({"unsupported"}), frozenset({"refused"})
ANY = frozenset({"ok", "unreadable", "unsupported", "refused"})

FORMATS: Final = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF", "bmp": "BMP",
                  "gif": "GIF"}  # fmt: skip
HUGE: Final = "bomb/36-megapixels.png"
VANISHING: Final = tuple(f"vanishing-{number}.png" for number in range(8))
"""In the folder itself, so that they are listed before the first image is judged."""
_FLIPS = 8


def write_corpus(folder: Path) -> Expected:
    """Write it into a new folder."""
    folder.mkdir(parents=True)
    expected: Expected = {}
    for part in (_damaged, _disguised, _bombs, _shapes, _named):
        for name, content, statuses in part():
            path = folder / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            assert _as_id(name) not in expected
            expected[_as_id(name)] = statuses
    for vanishing in VANISHING:
        (folder / vanishing).write_bytes(_image())
        expected[vanishing] = OK | UNREADABLE
    return expected | _special(folder) | _deep(folder)


def write_archive(path: Path) -> Expected:
    """A ZIP file with archives in it, a bomb, and names that lead out of it."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("deeper.zip", _zip(_zip(_image())))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", _image())
        file.writestr("nested.zip", inner.getvalue())
        file.writestr("../../out.png", _image())
        file.writestr("/absolute.png", _image())
        with file.open("bomb.png", "w", force_zip64=True) as member:
            for _ in range(257):
                member.write(bytes(1 << 20))
    return {
        "a.png": OK, "nested.zip": UNSUPPORTED, "%2E%2E/%2E%2E/out.png": OK, "%2Fabsolute.png": OK,
        "bomb.png": REFUSED,
    }  # fmt: skip


def png_of_zeros(width: int, height: int, *, claimed: tuple[int, int] | None = None) -> bytes:
    """A 1-bit PNG that is black all over, a thousandth of its pixels in bytes.

    Args:
        width, height: of what it holds.
        claimed: size in the header, if that lies.
    """
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", *(claimed or (width, height)), 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    )


Files = Iterator[tuple[bytes, bytes, frozenset[str]]]


def _damaged() -> Files:
    """Every format cut at every 10 %, and with bits flipped."""
    rng = np.random.default_rng(7)
    for suffix, kind in FORMATS.items():
        whole = _image(kind)
        yield f"whole/a.{suffix}".encode(), whole, OK
        for percent in range(10, 100, 10):
            name = f"cut/{percent}.{suffix}".encode()
            yield name, whole[: len(whole) * percent // 100], UNREADABLE
        for number in range(_FLIPS):
            flipped = bytearray(whole)
            for at in rng.integers(0, len(whole), 1 + number):
                flipped[at] ^= 1 << int(rng.integers(8))
            yield f"flipped/{number}.{suffix}".encode(), bytes(flipped), ANY


def _disguised() -> Files:
    """Wrong suffixes and polyglots: what lies at the start of a file decides."""
    png, jpeg = _image("PNG"), _image("JPEG")
    yield b"suffix/png.jpg", png, OK
    yield b"suffix/jpeg.txt", jpeg, OK
    yield b"suffix/jpeg", jpeg, OK
    yield b"suffix/text.png", b"no picture, but words\n" * 9, UNREADABLE
    yield b"suffix/empty.png", b"", UNREADABLE
    yield b"suffix/empty", b"", UNREADABLE
    yield b"suffix/zeros.tif", bytes(4096), UNREADABLE
    yield b"suffix/pdf.png", b"%PDF-1.7\n" + png, UNSUPPORTED
    yield b"suffix/script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", UNSUPPORTED
    yield b"suffix/page.svg", b"<svg onload='alert(1)'/>", UNSUPPORTED
    yield b"suffix/elf.png", b"\x7fELF" + bytes(60), UNREADABLE
    yield b"polyglot/png-and-zip.png", png + _zip(jpeg), OK
    yield b"polyglot/zip-and-png.zip", _zip(png) + png, UNSUPPORTED
    yield b"polyglot/gif-and-script.gif", b"GIF89a/*" + bytes(9) + b"*/=1;alert(1)", UNREADABLE
    yield b"polyglot/html-and-jpeg.html", b"<!DOCTYPE html><p>" + jpeg, UNREADABLE
    yield b"polyglot/jpeg-and-php.jpg", jpeg + b"<?php system($_GET[0]); ?>", OK
    yield b"polyglot/two-jpegs.jpg", jpeg + jpeg, OK


def _bombs() -> Files:
    """Small files that are large, or say so."""
    yield b"bomb/claims-60000.png", png_of_zeros(9, 9, claimed=(60_000, 60_000)), REFUSED
    yield b"bomb/claims-2147483647.png", png_of_zeros(9, 9, claimed=(2**31 - 1,) * 2), REFUSED
    yield b"bomb/claims-4000.png", png_of_zeros(9, 9, claimed=(4000, 4000)), UNREADABLE
    yield os.fsencode(HUGE), png_of_zeros(6000, 6000), OK
    words = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9))
    plain = _image("PNG")
    yield b"bomb/words.png", plain[:33] + words + plain[33:], UNREADABLE
    bmp = bytearray(_image("BMP"))
    bmp[18:26] = struct.pack("<ii", 50_000, 50_000)
    yield b"bomb/claims-50000.bmp", bytes(bmp), REFUSED
    gif = bytearray(_image("GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    yield b"bomb/claims-65535.gif", bytes(gif), REFUSED
    frames = [Image.new("L", (8, 8), shade) for shade in range(200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    yield b"bomb/200-frames.gif", buffer.getvalue(), OK
    archive = _zip(_image())
    for _ in range(6):
        archive = _zip(archive)
    yield b"bomb/nested.zip", archive, UNSUPPORTED


def _shapes() -> Files:
    for suffix, kind in FORMATS.items():
        yield f"shape/1x1.{suffix}".encode(), _image(kind, (1, 1)), OK
    yield b"shape/60000x1.png", png_of_zeros(60_000, 1), OK
    yield b"shape/1x60000.png", png_of_zeros(1, 60_000), OK
    yield b"shape/100000x1.png", png_of_zeros(100_000, 1), REFUSED
    yield b"shape/1x100000.png", png_of_zeros(1, 100_000), REFUSED
    yield b"shape/100000x100.tif", _image("TIFF", (100_000, 100)), REFUSED


def _named() -> Files:
    names = [
        "prüf/größe-ü.png".encode(), "部品/検査.png".encode(), "😀.png".encode(),
        "cafe\u0301.png".encode(), "caf\u00e9.png".encode(), "right\u202eto-left.png".encode(),
        b"caf\xe9.png", b"\xff\xfe.png", b"half\xc3.png", b"new\nline.png", b"tab\tbell\x07.png",
        b"return\r.png", b"100%.png", b"a%2Fb.png", b" spaces .png", b"trailing.png ", b"-d",
        b"--out", b"~", b"*.png", b"a;rm -rf x.png", b"$(touch x).png", b"`id`.png",
        b"quote'\".png", b"a\\b.png", b"<script>alert(1)<!--.png", b"=1+1.png", b"@sum.png",
        b"a,b.png", b"CON.png", b"nul", b"n" * 251 + b".png", "ü".encode() * 125 + b".tiff",
        b"\xfc" * 251 + b".png", b"d" * 255 + b"/x.png",
    ]  # fmt: skip
    for name in names:
        yield b"name/" + name, _image(), OK


def _special(folder: Path) -> Expected:
    """What is no regular file, or leads to one; nothing of it may block a run or lead it astray."""
    place = folder / "special"
    place.mkdir()
    os.mkfifo(place / "pipe.png")
    (place / "self.png").symlink_to("self.png")
    (place / "nowhere.png").symlink_to("nowhere")
    (place / "picture.png").symlink_to("../whole/a.png")
    (place / "up").symlink_to("..")  # these two are passed over, as hidden files are
    (place / "over").symlink_to("../shape")
    (place / ".hidden.png").write_bytes(_image())
    for name in ("zero", "full", "null", "tty"):
        (place / f"{name}.png").symlink_to(f"/dev/{name}")
    here = Path.cwd()
    os.chdir(place)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("socket.png")
    finally:
        os.chdir(here)
    (place / "closed.png").write_bytes(_image())
    (place / "closed.png").chmod(0)
    names = ("pipe", "self", "nowhere", "zero", "full", "null", "tty", "socket")
    expected = {f"special/{name}.png": UNREADABLE for name in names}
    # The administrator may read what is closed.
    closed = OK if os.geteuid() == 0 else UNREADABLE
    return expected | {"special/picture.png": OK, "special/closed.png": closed}


def _deep(folder: Path) -> Expected:
    """300 folders in one another, with a picture here and there."""
    expected: Expected = {}
    path = Path("deep")
    for level in range(300):
        path /= f"level-{level}"
        (folder / path).mkdir(parents=level == 0)
        if level % 100 == 99:
            (folder / path / "a.png").write_bytes(_image())
            expected[f"{path}/a.png"] = OK
    return expected


def _image(kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(3, size)).save(buffer, format=kind)
    return buffer.getvalue()


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inner", content)
    return buffer.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _as_id(name: bytes) -> str:
    """An independent reading of the rule: what is not printable UTF-8, and %, is escaped."""
    return "".join(
        char if char.isprintable() and char != "%" else quote_from_bytes(os.fsencode(char), "")
        for char in os.fsdecode(name)
    )
