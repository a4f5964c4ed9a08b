"""Images in a ZIP archive, read in place: nothing is ever written to disk under their names."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Final
from zipfile import BadZipFile, ZipFile, ZipInfo

from clipvet.detectors.errors import FrameRefused, FrameUnreadable
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.frames._magic import HEAD_BYTES, has_image_suffix, is_image
from clipvet.detectors.records._ids import escaped, record_id
from clipvet.detectors.sources._source import BrokenFile, FoundImage, ImageReader, Source
from clipvet.detectors.sources._walk import found_file

__all__ = ["MAX_MEMBER_BYTES", "Archive", "is_archive", "read_member"]

MAX_MEMBER_BYTES: Final = 256 << 20
"""Larger members are refused before a byte of them is unpacked."""

_ARCHIVES = frozenset(
    ".7z .bz2 .cbz .gz .jar .rar .tar .tgz .xz .zip .zst".split()  # noqa: SIM905
)
_ENCRYPTED = 0x1
# What zipfile and its decompressors raise for archives that are not as they should be.
_DAMAGED: Final = (
    OSError, RuntimeError, BadZipFile, ValueError, EOFError, struct.error, zlib.error, LZMAError,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """True for an existing file that is called ``.zip``."""
    return path.suffix.lower() == ".zip" and path.is_file()


@dataclass(frozen=True, kw_only=True)
class _Member:
    id: str
    path: Path
    size: int
    mtime_ns: int
    archive: ZipFile
    info: ZipInfo

    def read(self, reader: ImageReader) -> Frame:
        name = f"{self.path}/{self.info.filename}"
        return reader.decode(_content(self.archive, self.info, name), name=name)


@dataclass(kw_only=True)
class Archive(Source):
    """The members of one ZIP archive that are images, in the order of their names.

    Ids are ``<label>/batch.zip/inner/name.png``; size and time in the records are those of the
    archive, so a changed archive is judged anew. Nothing is extracted. Left out and counted:
    what is no image, hidden members (``__MACOSX`` too), a name for the second time, and
    archives in it, which are not entered.

    Attributes:
        path: of the archive, absolute.
        all_files: take every member that is not hidden.
    """

    path: Path
    all_files: bool = False

    def __iter__(self) -> Iterator[FoundImage]:
        file = found_file(self.path, record_id(self.labels.of(self.path.parent), self.path.name))
        try:
            # Its members read from it in other threads after this loop is over: it is closed
            # when the last of them is gone.
            archive = ZipFile(self.path)
            members = sorted(archive.infolist(), key=lambda info: info.filename)
        except _DAMAGED as error:
            reason = f"no ZIP archive, or a damaged one ({_words(error)}): pack it again"
            yield BrokenFile(
                id=file.id, path=file.path, size=file.size, mtime_ns=file.mtime_ns, reason=reason
            )
            return
        before: str | None = None
        for info in members:
            if info.filename.endswith("/"):  # a folder
                continue
            why = "named twice" if info.filename == before else self._leaves_out(archive, info)
            before = info.filename
            if why is not None:
                self.ignored[why] += 1
                continue
            yield _Member(
                id=f"{file.id}/{_inner_name(info.filename)}",
                path=self.path,
                size=file.size,
                mtime_ns=file.mtime_ns,
                archive=archive,
                info=info,
            )

    def count(self) -> int:
        """How many images there are."""
        return sum(1 for _ in Archive(path=self.path, all_files=self.all_files))

    def _leaves_out(self, archive: ZipFile, info: ZipInfo) -> str | None:
        if not info.filename:
            return "without a name"
        path = PurePosixPath(info.filename)
        if any(_is_hidden(part) for part in path.parts):
            return "hidden"
        if self.all_files or has_image_suffix(path):
            return None
        if path.suffix.lower() in _ARCHIVES:
            return "archive in an archive"
        try:
            with archive.open(info) as file:
                return None if is_image(file.read(HEAD_BYTES)) else "not an image"
        except _DAMAGED:
            return "not an image"


def read_member(path: Path, inner: str) -> bytes:
    """The bytes of one member, by its name in record ids.

    Raises:
        FrameError: it cannot be read, or there is none.
        OSError: the archive cannot be read.
    """
    status = path.stat()
    try:
        archive, members = _directory(path, status.st_size, status.st_mtime_ns)
    except BadZipFile as error:
        raise FrameUnreadable(f"damaged archive ({_words(error)})", file=str(path)) from error
    if inner not in members:
        raise FrameUnreadable(f"it has no member {inner}", file=str(path))
    return _content(archive, members[inner], f"{path}/{inner}")


@lru_cache(maxsize=1)
def _directory(path: Path, _size: int, _mtime_ns: int) -> tuple[ZipFile, dict[str, ZipInfo]]:
    """An archive with its members by their names in ids; the last one stays open."""
    archive = ZipFile(path)
    return archive, {_inner_name(info.filename): info for info in archive.infolist()}


def _content(archive: ZipFile, info: ZipInfo, name: str) -> bytes:
    shown = escaped(name)
    if info.flag_bits & _ENCRYPTED:
        raise FrameUnreadable("encrypted: unpack the archive with its password first", file=shown)
    if info.file_size > MAX_MEMBER_BYTES:
        size = f"{info.file_size} bytes unpacked, above {MAX_MEMBER_BYTES}"
        raise FrameRefused(f"{size}: unpack the archive first", file=shown)
    try:
        return archive.read(info)  # never more than file_size, and the CRC is checked
    except _DAMAGED as error:
        message = f"damaged in the archive ({_words(error)}): pack it again"
        raise FrameUnreadable(message, file=shown) from error


def _inner_name(name: str) -> str:
    """A member's name as a part of ids: it can lead nowhere but below its archive."""
    text = escaped(name)
    parts = [part.replace(".", "%2E") if part in {".", ".."} else part for part in text.split("/")]
    # A slash at the start, or behind another one, belongs to the name that follows.
    return "".join(
        part if i == 0 else ("%2F" if not parts[i - 1] else "/") + part
        for i, part in enumerate(parts)
    )


def _is_hidden(part: str) -> bool:
    return part == "__MACOSX" or (part.startswith(".") and part not in {".", ".."})


def _words(error: Exception) -> str:
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(text.split())[:120] or type(error).__name__
