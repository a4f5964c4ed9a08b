"""197 odd, broken and hostile files: each ends as a frame or as a reason, never otherwise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from clipvet.detectors.errors import FrameError
from clipvet.detectors.frames._frames import DecodePolicy, Frame, read_frame

SHARED = os.environ.get("CLIPVET_SHARED") or Path(__file__).parents[3] / "shared"
CORPUS = Path(SHARED) / "data" / "robustness"
MANIFEST = CORPUS / "manifest.json"
ENTRIES = json.loads(MANIFEST.read_text()) if MANIFEST.is_file() else []

pytestmark = pytest.mark.skipif(not ENTRIES, reason="no robustness corpus in CLIPVET_SHARED")

# Files that Pillow loads and clipvet does not, and why.
UNSUPPORTED = {
    "hopper.spider": "float",
    "hopper_be.pfm": "float",
    "m13_gzip.fits": "FITS",
    "16bit.s.tif": "signed",
}
# Damaged in parts that clipvet does not read (the layers behind a flattened picture).
READ_ALL_THE_SAME = {"psd-oob-write-overflow.psd"}


def outcome(entry: dict[str, Any], policy: DecodePolicy) -> Frame | FrameError:
    try:
        return read_frame(CORPUS / str(entry["file"]), policy=policy)
    except FrameError as error:
        return error


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: Path(entry["file"]).name)
def test_each_file_is_a_frame_or_a_reason(entry: dict[str, Any]) -> None:
    name = str(entry["file"]).split("__")[-1]
    result = outcome(entry, DecodePolicy(high_bit="full-range"))
    if entry["load"] != "ok" and name not in READ_ALL_THE_SAME:
        assert isinstance(result, FrameError)
    elif name in UNSUPPORTED:
        assert isinstance(result, FrameError)
        assert result.status == "unsupported"
        assert UNSUPPORTED[name] in str(result)
    else:
        assert isinstance(result, Frame), result
    if isinstance(result, FrameError):
        assert str(entry["file"]) in str(result)
        assert "\n" not in str(result)
        assert "object at 0x" not in str(result)
        return
    assert result.pixels.shape == (result.height, result.width, 3)
    if entry["load"] == "ok":
        width, height = entry["size"]
        # Pillow turns a TIFF while loading, before the manifest's size was taken.
        turned = result.orientation >= 5 and entry["format"] != "TIFF"
        assert (result.width, result.height) == ((height, width) if turned else (width, height))
        if entry["exif_orientation"]:
            assert result.orientation == entry["exif_orientation"]


def test_without_a_policy_exactly_the_deep_images_are_refused() -> None:
    for entry in ENTRIES:
        plain = outcome(entry, DecodePolicy())
        deep = outcome(entry, DecodePolicy(high_bit="full-range"))
        if isinstance(deep, Frame):
            assert isinstance(plain, Frame) == (deep.bit_depth <= 8), entry["file"]
            if isinstance(plain, FrameError):
                assert plain.status == "refused"
                assert "--high-bit" in str(plain)
