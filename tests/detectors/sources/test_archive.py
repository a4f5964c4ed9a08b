from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from clipvet.detectors import DecodePolicy, FrameError, FrameRefused, FrameUnreadable
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.sources import _archive
from clipvet.detectors.sources._archive import Archive, is_archive, read_member
from clipvet.detectors.sources._source import FoundImage
from tests.runs import picture

READER = FileReader({}, DecodePolicy())


def png(seed: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(seed)).save(file, format="PNG")
    return file.getvalue()


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def found(path: Path) -> dict[str, FoundImage]:
    return {one.id: one for one in Archive(path=path)}


def test_members_are_images_with_the_names_of_the_archive(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "batch.zip",
        {
            "b.png": png(1), "inner/a.png": png(2), "inner/raw": png(3), "notes.txt": b"text",
            "__MACOSX/b.png": b"x", ".hidden.png": b"x", "more.zip": b"PK", "empty/": b"",
        },
    )  # fmt: skip
    source = Archive(path=path)
    images = list(source)
    label = tmp_path.name
    assert [one.id for one in images] == [
        f"{label}/batch.zip/{name}" for name in ("b.png", "inner/a.png", "inner/raw")
    ]
    assert source.ignored == {"hidden": 2, "not an image": 1, "archive in an archive": 1}
    assert Archive(path=path).count() == 3
    frame = images[1].read(READER)
    assert (frame.pixels == picture(2)).all()
    assert frame.source == f"{path}/inner/a.png"
    assert images[0].size == path.stat().st_size
    assert list(tmp_path.iterdir()) == [path]  # nothing was extracted
    assert len(list(Archive(path=path, all_files=True))) == 5


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_of_python(tmp_path: Path, method: int) -> None:
    (one,) = found(pack(tmp_path / "a.zip", {"x.png": png()}, method)).values()
    assert one.read(READER).width == 40


def test_names_that_lead_out_lead_nowhere(tmp_path: Path) -> None:
    names = ("../../up.png", "/etc/abs.png", "a//b.png", "./c.png", "a/../../d.png", "%2E%2E/e.png")
    images = found(pack(tmp_path / "slip.zip", {name: png() for name in names}))
    prefix = f"{tmp_path.name}/slip.zip/"
    assert sorted(name.removeprefix(prefix) for name in images) == sorted([
        "%2E%2E/%2E%2E/up.png", "%2Fetc/abs.png", "a/%2Fb.png", "%2E/c.png",
        "a/%2E%2E/%2E%2E/d.png", "%252E%252E/e.png",
    ])  # fmt: skip
    for name, one in images.items():
        assert not {"", ".", ".."} & set(name.split("/"))
        assert one.read(READER).width == 40
        assert read_member(tmp_path / "slip.zip", name.removeprefix(prefix)) == png()


def test_a_damaged_member_costs_itself(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": png(1), "b.png": png(2)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF  # in the content of a.png
    path.write_bytes(data)
    a, b = found(path).values()
    with pytest.raises(FrameUnreadable, match=r"a\.zip/a\.png: damaged in the archive \(Bad CRC"):
        a.read(READER)
    assert b.read(READER).width == 40


def test_an_encrypted_member_says_so(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": png()})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    (one,) = found(path).values()
    with pytest.raises(FrameUnreadable, match=r"a\.png: encrypted: unpack the archive"):
        one.read(READER)


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": bytes(2_000_000), "b.png": bytes(2_000_000)})
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second + 24 : second + 28] = struct.pack("<I", 1000)  # it lies about its size
    path.write_bytes(data)
    monkeypatch.setattr(_archive, "MAX_MEMBER_BYTES", 1_000_000)
    honest, liar = found(path).values()
    with pytest.raises(FrameRefused, match="2000000 bytes unpacked, above 1000000"):
        honest.read(READER)
    with pytest.raises(FrameError):
        liar.read(READER)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text"])
def test_what_is_no_archive_is_one_unreadable_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    ((name, one),) = found(path).items()
    assert name == f"{tmp_path.name}/a.zip"
    with pytest.raises(FrameUnreadable, match=r"a\.zip: no ZIP archive, or a damaged one"):
        one.read(READER)


def test_a_name_counts_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", png(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", png(2))
    source = Archive(path=tmp_path / "a.zip")
    assert len(list(source)) == 1
    assert source.ignored == {"named twice": 1}


def test_what_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "folder.zip").mkdir()
    assert is_archive(pack(tmp_path / "a.ZIP", {}))
    assert not is_archive(tmp_path / "folder.zip")
    assert not is_archive(tmp_path / "none.zip")
