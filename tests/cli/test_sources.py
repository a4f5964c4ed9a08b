"""Sources and sinks as one meets them: on the command line."""

from __future__ import annotations

import json
import select
import signal
import sqlite3
import subprocess
import zipfile
from contextlib import closing
from pathlib import Path

from tests.conftest import Detect
from tests.rtsp import rtsp_camera
from tests.runs import save_pictures, save_video


def ids(stdout: str) -> list[str]:
    return [json.loads(line)["image"]["id"] for line in stdout.splitlines()]


def test_patterns_archives_and_videos_in_one_command(
    detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "parts", 3)
    with zipfile.ZipFile(tmp_path / "batch.zip", "w") as archive:
        archive.write(parts / "000.png", "inner/a.png")
    save_video(tmp_path / "clip.mp4", 6)
    done = detect(
        "parts/**/*1.png", "batch.zip", "clip.mp4", "--every", "3", "-d", "winclip",
        "--bundle", tiny, "--json", "-q", "--format", "sqlite", "--out", "o", "--heatmaps", "none",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    here = tmp_path.name
    expected = ["parts/sub/001.png", f"{here}/batch.zip/inner/a.png",
                f"{here}/clip.mp4#000000", f"{here}/clip.mp4#000003"]  # fmt: skip
    assert ids(done.stdout) == expected
    with closing(sqlite3.connect(tmp_path / "o" / "records.sqlite")) as database:
        rows = database.execute(
            "SELECT image, score FROM images JOIN detections ON image_id = images.id"
        ).fetchall()
    assert [row[0] for row in rows] == expected
    assert all(isinstance(row[1], float) for row in rows)


def test_paths_from_a_list_of_any_system(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    save_pictures(tmp_path / "parts", 3)
    (tmp_path / "list.txt").write_bytes(b"parts/000.png\r\n\r\nparts/sub\r\nparts/*.png\r\n")
    done = detect("--files-from", "list.txt", "-d", "winclip", "--bundle", tiny, "--json", "-q")
    assert done.returncode == 3, done.stderr
    assert ids(done.stdout) == ["parts/000.png", "sub/001.png", "parts/*.png"]


def test_a_watched_folder_until_ctrl_c_and_on(
    command: str, environment: dict[str, str], detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "in", 1)
    new = save_pictures(tmp_path / "new", 1, first=5) / "005.png"
    arguments = ["in", "--watch", "--settle", "0.2", "--bundle", str(tiny), "--json", "--out", "o"]
    with subprocess.Popen(
        [command, *arguments], cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert ids(process.stdout.readline()) == ["in/000.png"]
        assert select.select([process.stdout], [], [], 1.0)[0] == []  # it waits
        new.rename(parts / "005.png")
        assert ids(process.stdout.readline()) == ["in/005.png"]
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest) == (130, "")
    assert errors.splitlines()[0] == "watching in: Ctrl-C ends it"
    assert errors.endswith("the same command with --out o goes on with it\n")
    assert json.loads((tmp_path / "o" / "run.json").read_text())["status"] == "interrupted"
    save_pictures(parts, 1, first=6)
    done = detect(*arguments, "--idle", "0")
    assert done.returncode == 0, done.stderr
    assert ids(done.stdout) == ["in/000.png", "in/005.png", "in/006.png"]


def test_an_rtsp_camera_until_it_breaks(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    with rtsp_camera(10, every_s=0.05, connections=1) as url:
        done = detect(
            url, "--reconnect", "0", "--bundle", tiny, "--json", "--heatmaps", "none", "--out", "o"
        )
    assert done.returncode == 3, done.stderr
    named = ids(done.stdout)
    label = named[0].partition("/")[0]
    assert label.endswith("-line3")
    assert named == [f"{label}/{number:06}" for number in range(1, len(named) + 1)]
    state = json.loads((tmp_path / "o" / "run.json").read_text())
    dropped = state["ignored"].get("frame dropped for a newer one", 0)
    assert len(named) + dropped == 10
    assert state["problems"][0].endswith("/line3: broke after 10 frames")
    assert "secret" not in done.stdout + done.stderr + json.dumps(state)


def test_a_stream_that_is_not_there_is_said_and_is_3(
    detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    url = "rtsp://user:secret@127.0.0.1:1/line3"
    done = detect(url, "--reconnect", "0", "--bundle", tiny, "--out", "o")
    assert done.returncode == 3
    assert done.stderr == ""
    words = " ".join(done.stdout.split())
    assert "rtsp://127.0.0.1:1/line3: cannot be opened: check that it is there and not" in words
    assert "secret" not in words + (tmp_path / "o" / "run.json").read_text()
