"""What a run promises holds for every source: resumable, nothing lost, nothing twice, in order."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from clipvet.detectors import (
    DetectorSpec,
    Record,
    RunConfig,
    Sampling,
    UsageError,
    Watching,
    read_records,
    run,
)
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, picture, save_pictures, save_video

QUICK = Watching(settle=0.05, poll=0.02, patience=0.3, idle=0.3)
Go = Callable[..., Any]


@pytest.fixture
def go(tmp_path: Path) -> Go:
    def start(*sources: str | Path, out: str = "run", **options: Any) -> Any:
        calls = {name: options.pop(name) for name in ("progress", "on_record") if name in options}
        config = RunConfig(
            **{"sources": list(sources), "specs": (DetectorSpec(id="energy"),), "batch_size": 4,
               "out": tmp_path / out, "workers": 2, "heatmaps": "npz", **options}
        )  # fmt: skip
        return run(config, host=EVERYTHING, runtime_factory=FakeRuntime, **calls)

    return start


def lines(out: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "timing_ms"} for record in records]


def interrupt_after(count: int) -> Callable[[Any], None]:
    def interrupt(progress: Any) -> None:
        if progress.done == count:
            raise KeyboardInterrupt

    return interrupt


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    parts = save_pictures(tmp_path / "parts", 9)
    with zipfile.ZipFile(tmp_path / "batch.zip", "w") as archive:
        for path in sorted(parts.rglob("*.png")):
            archive.write(path, path.relative_to(parts))
        archive.writestr("../bad.png", b"no picture")
    return tmp_path / "batch.zip"


def test_members_score_as_the_files_do(go: Go, batch: Path, tmp_path: Path) -> None:
    summary = go(batch)
    assert summary.exit_code == 3
    packed = {record["image"]["id"]: record for record in lines(tmp_path / "run")}
    go(batch.parent / "parts", out="files")
    files = lines(tmp_path / "files")
    assert len(packed) == len(files) + 1
    prefix = f"{tmp_path.name}/batch.zip/"
    for record in files:
        other = packed[prefix + record["image"]["id"].removeprefix("parts/")]
        assert other["image"]["sha256"] == record["image"]["sha256"]
        assert other["detections"][0]["score"] == record["detections"][0]["score"]
        assert (tmp_path / "run" / other["detections"][0]["heatmap"]["file"]).is_file()
    bad = packed[prefix + "%2E%2E/bad.png"]
    assert bad["status"] == "unreadable"
    assert not (tmp_path / "bad.png").exists()


@pytest.mark.parametrize("after", [1, 6])
@pytest.mark.parametrize("kind", ["batch.zip", "clip.mp4"])
def test_archives_and_videos_resume(
    go: Go, batch: Path, tmp_path: Path, kind: str, after: int
) -> None:
    source = batch if kind == "batch.zip" else save_video(tmp_path / kind, 12)
    with pytest.raises(KeyboardInterrupt):
        go(source, progress=interrupt_after(after))
    assert len(lines(tmp_path / "run")) == after
    assert go(source).resumed == after
    go(source, out="undisturbed")
    assert lines(tmp_path / "run") == lines(tmp_path / "undisturbed")
    again = go(source)
    assert (again.encoder_calls, again.resumed) == (0, 10 if kind == "batch.zip" else 12)
    status = source.stat()
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))  # another file now
    changed = go(source)
    assert (changed.resumed, changed.encoder_calls) == (0, 9 if kind == "batch.zip" else 12)
    assert len(lines(tmp_path / "run")) == again.resumed


def test_verify_looks_into_an_archive(go: Go, batch: Path, tmp_path: Path) -> None:
    go(batch)
    status = batch.stat()
    data = batch.read_bytes()
    with zipfile.ZipFile(batch) as archive:
        old, new = archive.read("000.png"), archive.read("002.png")
    if len(old) < len(new):
        old, new = new, old
    swapped = data.replace(old[40:60], old[60:80], 1)  # size and time stay
    batch.write_bytes(swapped)
    os.utime(batch, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert go(batch).resumed == 10
    assert go(batch, verify=True).resumed == 9
    assert len(lines(tmp_path / "run")) == 10


def test_other_frames_of_a_video_are_added(go: Go, tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mp4", 12)
    assert go(clip, sampling=Sampling(every=4)).tally.images == 3
    summary = go(clip, sampling=Sampling(every=2))
    assert (summary.resumed, summary.tally.images, summary.encoder_calls) == (3, 6, 3)


def test_what_is_named_twice_is_judged_once(go: Go, tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 3)
    summary = go(parts, parts / "002.png", str(parts / "*.png"))
    assert summary.tally.images == 3
    assert len({record["image"]["id"] for record in lines(tmp_path / "run")}) == 3


def test_a_watched_folder_gives_what_an_ordinary_run_gives(go: Go, tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 7)
    (parts / "cut.png").write_bytes((parts / "000.png").read_bytes()[:200])
    watched = go(parts, out="watched", watching=QUICK)
    ordinary = go(parts, out="ordinary")
    assert watched.exit_code == ordinary.exit_code == 3
    by_id = [sorted(lines(tmp_path / out), key=lambda r: r["image"]["id"])
             for out in ("watched", "ordinary")]  # fmt: skip
    assert by_id[0] == by_id[1]
    assert go(parts, out="watched").encoder_calls == 0  # either way takes up the other


def test_a_lone_file_does_not_wait_for_a_batch(go: Go, tmp_path: Path) -> None:
    """Each but the first arrives once the one before has its record: a batch never fills."""
    parts = save_pictures(tmp_path / "parts", 1)
    seen: list[tuple[str, float]] = []
    arrived: list[float] = []

    def on_record(record: Record) -> None:
        seen.append((record.image.id, time.monotonic()))
        if len(seen) < 4:
            Image.fromarray(picture(len(seen))).save(tmp_path / "new.png")
            arrived.append(time.monotonic())
            (tmp_path / "new.png").rename(parts / f"later{len(seen)}.png")

    summary = go(parts, watching=QUICK, on_record=on_record, batch_size=64)
    assert summary.tally.images == 4
    waits = [at - came for (_, at), came in zip(seen[1:], arrived, strict=True)]
    assert min(waits) >= QUICK.settle


def test_ctrl_c_ends_a_watch_with_its_table_and_the_same_command_goes_on(
    go: Go, tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "parts", 5)
    forever = Watching(settle=0.05, poll=0.02)
    with pytest.raises(KeyboardInterrupt):
        go(parts, watching=forever, table="csv", progress=interrupt_after(5))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert len((tmp_path / "run" / "records.csv").read_text().splitlines()) == 6
    save_pictures(parts, 2, first=20)
    summary = go(parts, watching=QUICK, table="csv")
    assert (summary.resumed, summary.tally.images) == (5, 7)
    assert len({r.image.id for r in read_records(tmp_path / "run" / "records.jsonl")}) == 7


def test_an_empty_folder_can_be_watched_and_a_file_cannot(go: Go, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert go(tmp_path / "empty", watching=QUICK).tally.images == 0
    with pytest.raises(UsageError, match="only folders can be watched"):
        go(tmp_path / "none", watching=QUICK)


def test_memory_does_not_grow_with_the_frames_of_a_video(go: Go, tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "big.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (1000, 1000))
    for number in range(60):
        writer.write(picture(number % 5, (1000, 1000)))
    writer.release()
    usage: list[int] = []
    process = psutil.Process()
    go(path, heatmaps="none", progress=lambda _p: usage.append(process.memory_info().rss))
    assert len(usage) == 60
    assert max(usage[25:]) - max(usage[:25]) < 40e6  # 35 frames are 105 MB
