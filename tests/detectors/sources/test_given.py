from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from clipvet.detectors import MissingDependency, Sampling, SourceName, UsageError, is_source
from clipvet.detectors.sources._given import Given, check_watched
from tests.runs import save_pictures, save_video


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures in a folder, an archive of them, a video, and names that look like something."""
    parts = save_pictures(tmp_path / "parts", 3)
    with zipfile.ZipFile(tmp_path / "batch.zip", "w") as archive:
        archive.write(parts / "000.png", "a.png")
        archive.write(parts / "002.png", "b.png")
    save_video(tmp_path / "clip.mp4", 4)
    (tmp_path / "camera:0").mkdir()
    (parts / "000.png").rename(parts / "[0].png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(given: Given) -> list[str]:
    return [one.id.partition("/")[2] for one in given if one is not None]


def test_every_name_becomes_what_it_stands_for(place: Path) -> None:
    names: list[SourceName] = [
        "clip.mp4", Path("batch.zip"), "parts", "parts/[0].png", "parts/*.png", "batch.zip",
    ]  # fmt: skip
    given = Given(names=names, sampling=Sampling(every=2))
    assert ids(given) == [
        "clip.mp4#000000", "clip.mp4#000002", "batch.zip/a.png", "batch.zip/b.png",
        "002.png", "[0].png", "sub/001.png", "[0].png", "002.png", "[0].png",
    ]  # fmt: skip
    assert given.ignored == {"named twice": 1}
    assert Given(names=names, sampling=Sampling(every=2)).count() == 10


def test_archives_and_videos_are_found_by_patterns_and_not_in_folders(place: Path) -> None:
    assert ids(Given(names=["*.zip"])) == ["batch.zip/a.png", "batch.zip/b.png"]
    assert len(ids(Given(names=["*.mp4"]))) == 4
    given = Given(names=["."])
    assert ids(given) == ["parts/002.png", "parts/[0].png", "parts/sub/001.png"]
    assert given.ignored == {"not an image": 2}


def test_a_stream_of_paths_has_no_count_and_is_taken_literally(place: Path) -> None:
    given = Given(names=(Path(name) for name in ("batch.zip", "parts/*.png")))
    assert given.count() is None
    assert ids(given) == ["batch.zip/a.png", "batch.zip/b.png", "*.png"]


@pytest.mark.parametrize(
    ("names", "sampling", "words"),
    [
        (["none.png"], Sampling(), "none.png: no such file or folder"),
        (["none*.png"], Sampling(), r"none\*.png: no image matches this pattern"),
        (["camera:1", "parts"], Sampling(), "camera:1 never ends: run it alone"),
        (["parts"], Sampling(every=2), "frames are chosen from videos and cameras"),
    ],
)
def test_what_cannot_be_is_said_before_the_first_image(
    place: Path, names: list[SourceName], sampling: Sampling, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Given(names=names, sampling=sampling).count()


def test_what_exists_is_a_path_whatever_it_looks_like(place: Path) -> None:
    save_pictures(Path("camera:0"), 1)
    assert ids(Given(names=["camera:0"])) == ["000.png"]
    assert Given(names=["camera:1"]).count() is None


def test_what_can_be_a_source(place: Path) -> None:
    for text in ("parts", "camera:1", "rtsp://h/x", "x/**/*.png"):
        assert is_source(text)
    assert not is_source("nowhere")


def test_only_folders_are_watched(place: Path) -> None:
    assert check_watched(["parts"]) == [Path("parts")]
    with pytest.raises(UsageError, match=r"batch\.zip is no folder: only folders can be watched"):
        check_watched(["parts", "batch.zip"])
    with pytest.raises(UsageError, match="a stream of paths cannot be watched"):
        check_watched(iter([Path("parts")]))


def test_without_opencv_a_video_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for name in ("clip.mp4", "camera:1"):
        with pytest.raises(MissingDependency, match=r"reading videos.*clipvet\[cpu\]"):
            Given(names=[name]).count()
    assert Given(names=["batch.zip"]).count() == 2
