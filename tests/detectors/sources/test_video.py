from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import DecodePolicy, FrameUnreadable, Sampling, UsageError
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.sources._video import Video, is_video
from tests.runs import picture, save_video

READER = FileReader({}, DecodePolicy())


def numbers(video: Video) -> list[int]:
    return [int(found.id.rpartition("#")[2]) for found in video]


@pytest.mark.parametrize(("codec", "name"), [("mp4v", "clip.mp4"), ("MJPG", "clip.avi")])
def test_every_frame_in_its_colours_with_its_number_and_time(
    tmp_path: Path, codec: str, name: str
) -> None:
    path = save_video(tmp_path / name, 12, codec=codec)
    video = Video(path=path)
    images = list(video)
    assert [one.id for one in images] == [f"{tmp_path.name}/{name}#{n:06d}" for n in range(12)]
    for number, one in enumerate(images):
        frame = one.read(READER)
        difference = np.abs(frame.pixels.astype(int) - picture(number, (64, 48)).astype(int))
        assert difference.mean() < 8, "BGR taken for RGB differs by 60 and more"
        assert frame.notes == (f"at {number / 10:.3f} s",)
        assert (one.size, one.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert video.problems == []
    assert video.count() == 12


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(every=1), list(range(30))),
        (Sampling(every=7), [0, 7, 14, 21, 28]),
        (Sampling(fps=2.5), [0, 4, 8, 12, 16, 20, 24, 28]),
        (Sampling(fps=3), [0, 4, 7, 10, 14, 17, 20, 24, 27]),
        (Sampling(fps=100), list(range(30))),
    ],
)
def test_sampling(tmp_path: Path, sampling: Sampling, expected: list[int]) -> None:
    video = Video(path=save_video(tmp_path / "a.mp4", 30), sampling=sampling)
    assert numbers(video) == expected
    count = video.count()
    assert count is not None
    assert abs(count - len(expected)) <= 1


@pytest.mark.parametrize("given", [{"every": 0}, {"fps": 0}, {"fps": float("nan")},
                                   {"every": 2, "fps": 1}])  # fmt: skip
def test_senseless_sampling_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Sampling(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"no video", b"RIFF\x00\x00\x00\x00AVI LIST"])
def test_what_cannot_be_opened_is_one_unreadable_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(content)
    (one,) = Video(path=path)
    assert one.id == f"{tmp_path.name}/a.avi"
    with pytest.raises(FrameUnreadable, match=r"a\.avi: no video that OpenCV can decode"):
        one.read(READER)
    assert Video(path=path).count() in (None, 1)


def test_a_video_that_is_cut_is_a_problem_and_gives_what_it_has(tmp_path: Path) -> None:
    path = save_video(tmp_path / "a.avi", 40, codec="MJPG")
    data = bytearray(path.read_bytes())
    start = data.index(b"00dc", data.index(b"movi"))
    second_half = start + (data.rindex(b"idx1") - start) // 2
    data[second_half : data.rindex(b"idx1")] = bytes(data.rindex(b"idx1") - second_half)
    path.write_bytes(data)
    video = Video(path=path)
    got = numbers(video)
    assert got == list(range(len(got)))
    assert 10 < len(got) < 38
    assert len(video.problems) == 1
    assert f"ends after frame {len(got) - 1} of 40" in video.problems[0]


def test_what_is_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.MP4").touch()
    assert is_video(tmp_path / "a.MP4")
    assert not is_video(tmp_path / "b.mp4")
    assert not is_video(tmp_path)
