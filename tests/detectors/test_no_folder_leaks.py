"""What a run writes can be handed on: no folder of the machine in it but where it is needed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    DetectorSpec,
    FrameUnreadable,
    Host,
    Inspector,
    RunConfig,
    read_frame,
    read_records,
    run,
)
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, Energy, host, save_pictures


class Talkative(Energy):
    """Names files in everything that it says."""

    id = "talkative"

    def score(self, batch: Any) -> Any:
        raise OSError(2, "No such file", "/home/somebody/models/secret/weights.bin")


def reader(path: Path) -> Any:
    raise RuntimeError(f"cannot open {path} nor /home/somebody/cache/x.raw")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Every kind of image that cannot be read, and one that can."""
    folder = save_pictures(tmp_path / "machine secret" / "parts", 2)
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no picture")
    (folder / "x.raw").write_bytes(b"raw")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:200])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "deep.png")
    packed = folder.parent / "packed"
    packed.mkdir()
    with zipfile.ZipFile(packed / "a.zip", "w") as archive:
        archive.writestr("in/bad.png", b"no picture")
        archive.write(folder / "000.png", "in/good.png")
    (packed / "broken.zip").write_bytes(b"PK")
    (packed / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    return folder


def go(place: Path, out: Path, **options: Any) -> Path:
    both: Host = host(Energy, Talkative)
    both = Host(detectors=both.detectors, readers={".raw": reader})
    packed = place.parent / "packed"
    sources = [place, packed / "a.zip", packed / "broken.zip", packed / "broken.mp4"]
    specs = [DetectorSpec(id="energy"), DetectorSpec(id="talkative")]
    config = RunConfig(sources=sources, specs=specs, out=out, all_files=True, **options)
    run(config, host=both, runtime_factory=FakeRuntime)
    return out


def test_no_file_of_a_run_names_a_folder(place: Path, tmp_path: Path) -> None:
    out = go(place, tmp_path / "run", table="csv", heatmaps="overlay")
    go(place, tmp_path / "second", table="sqlite", heatmaps="png")
    failed = [r for r in read_records(out / "records.jsonl") if r.status != "ok"]
    assert len(failed) >= 7
    assert all(len(r.reasons) == 1 and r.reasons[0] for r in failed)
    for path in [*out.rglob("*"), *(tmp_path / "second").rglob("*")]:
        if path.is_file() and path.name != "run.json":
            data = path.read_bytes()
            for secret in (b"machine secret", str(tmp_path).encode(), b"/home/somebody"):
                assert secret not in data, path
    state = json.loads((out / "run.json").read_text())
    # To resume, and to find originals, a run must know where its images are.
    assert state.pop("sources") == {"parts": str(place), "packed": str(place.parent / "packed")}
    state.pop("problems")
    assert "machine secret" not in json.dumps(state)


def test_a_reason_says_what_and_the_record_says_which(place: Path, tmp_path: Path) -> None:
    out = go(place, tmp_path / "run")
    reasons = {r.image.id: r.reasons[0] for r in read_records(out / "records.jsonl") if r.reasons}
    assert reasons["parts/empty.png"] == "the file is empty"
    assert reasons["parts/text.jpg"] == "it holds text and not a picture"
    assert reasons["parts/x.raw"].startswith(
        "cannot be read (RuntimeError: cannot open x.raw nor …/"
    )
    assert reasons["packed/a.zip/in/bad.png"].startswith("it holds text")
    assert reasons["packed/broken.zip"].startswith("no ZIP archive, or a damaged one")


def test_whoever_asks_for_one_file_is_told_which(place: Path) -> None:
    with pytest.raises(
        FrameUnreadable, match=r"machine secret/parts/empty\.png: the file is empty"
    ):
        read_frame(place / "empty.png")
    with Inspector(["energy"], host=EVERYTHING, runtime_factory=FakeRuntime) as inspector:
        record = inspector(place / "empty.png")
    assert record.image.id == str(place / "empty.png")
    assert record.reasons == ("the file is empty",)


def test_pictures_hold_no_words_of_others(place: Path, tmp_path: Path) -> None:
    out = go(place, tmp_path / "run", heatmaps="overlay")
    overlays: Iterable[Path] = (out / "overlays").rglob("*.png")
    for path in overlays:
        with Image.open(path) as picture:
            picture.load()
            assert picture.info == {}, path
            assert not picture.getexif()
