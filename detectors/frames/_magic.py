"""What a file is by its first bytes, and which files are worth trying to decode."""

from __future__ import annotations

from pathlib import PurePath

__all__ = ["HEAD_BYTES", "IMAGE_SUFFIXES", "explain_undecodable", "has_image_suffix", "is_image"]

HEAD_BYTES = 512

IMAGE_SUFFIXES = frozenset(
    """.apng .avif .avifs .bmp .cur .dcx .dds .dib .exr .fit .fits .gif .heic .heif .icns .ico
    .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .msp .pbm .pcx .pfm .pgm .png .pnm
    .ppm .psd .qoi .ras .rgb .rgba .sgi .tga .tif .tiff .webp .xbm .xpm""".split()  # noqa: SIM905
)
"""Suffixes that mean a picture: what Pillow decodes without helpers, and a few (.heic, .exr,
.fits) that are pictures too and had better be reported as unsupported than passed over."""

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", 0),
    (b"\xff\xd8\xff", 0),
    (b"GIF87a", 0),
    (b"GIF89a", 0),
    (b"II*\x00", 0),
    (b"MM\x00*", 0),
    (b"II+\x00", 0),
    (b"MM\x00+", 0),
    (b"WEBP", 8),
    (b"ftypavif", 4),
    (b"ftypheic", 4),
    (b"\x00\x00\x00\x0cjP  ", 0),
    (b"\xff\x4f\xff\x51", 0),
    (b"qoif", 0),
    (b"8BPS", 0),
    (b"DDS ", 0),
)

_EXPLANATIONS = (
    (b"%PDF-", 0, "this is a PDF: export its pictures first"),
    (b"%!PS", 0, "this is PostScript: render it to PNG first"),
    (b"<svg", 0, "this is an SVG drawing: render it to PNG first"),
    (b"ftyphei", 4, "this is HEIC, which is not decoded here: convert it to PNG or JPEG"),
    (b"ftypmif1", 4, "this is HEIF, which is not decoded here: convert it to PNG or JPEG"),
    (b"\x76\x2f\x31\x01", 0, "this is OpenEXR, a float image: convert it to 8- or 16-bit PNG"),
    (b"#?RADIANCE", 0, "this is Radiance HDR, a float image: convert it to 8- or 16-bit PNG"),
    (b"SIMPLE  =", 0, "this is FITS, whose scaling is not honoured: convert it to 16-bit PNG"),
    (b"farbfeld", 0, "this is farbfeld, which is not decoded here: convert it to PNG"),
    (b"\x93NUMPY", 0, "this is a numpy array: load it and give the array"),
    (b"\x89HDF", 0, "this is an HDF5 file: load it and give the array"),
    (b"PK\x03\x04", 0, "this is a ZIP archive: call it .zip and name it itself, or unpack it"),
    (b"\x1f\x8b", 0, "this is a gzip file: unpack it"),
    (b"AVI ", 8, "this is a video: name it itself in a run, or extract frames"),
    (b"ftypmp4", 4, "this is a video: name it itself in a run, or extract frames"),
    (b"ftypisom", 4, "this is a video: name it itself in a run, or extract frames"),
)


def has_image_suffix(path: PurePath) -> bool:
    """True if the name ends like that of a picture, in any case."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_image(head: bytes) -> bool:
    """True if a file that begins with these bytes (at least 16) says that it is a picture."""
    if head[:2] == b"BM":
        return head[6:10] == b"\x00\x00\x00\x00"  # reserved; two letters alone prove little
    return any(head.startswith(magic, offset) for magic, offset in _IMAGES)


def explain_undecodable(data: bytes) -> tuple[bool, str]:
    """Say what a file is that no decoder took.

    Returns:
        Whether it is a known kind that clipvet does not decode (unsupported) rather than
        something broken (unreadable), and one clause for the message.
    """
    head = data[:HEAD_BYTES]
    for magic, offset, clause in _EXPLANATIONS:
        if head.startswith(magic, offset):
            return True, clause
    if head.startswith(b"version https://git-lfs"):
        return False, "this is a Git LFS pointer and not the picture: run git lfs pull"
    if is_image(head):
        return False, "it begins like a picture but is damaged"
    if not head.strip(b"\x00"):
        return False, "it begins with zeros only: was it copied to the end?"
    if _is_text(head):
        kind = "HTML" if b"<html" in head.lower() or b"<!doctype" in head.lower() else "text"
        return False, f"it holds {kind} and not a picture"
    return False, "no known picture format"


def _is_text(head: bytes) -> bool:
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if control:
        return False
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 8
    return True
