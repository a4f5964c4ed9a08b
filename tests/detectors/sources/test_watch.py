from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from clipvet.detectors import DecodePolicy, FrameError, UsageError, Watching
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.sources import _watch
from clipvet.detectors.sources._source import NotYet
from clipvet.detectors.sources._watch import Watch
from tests.runs import picture, save_pictures

READER = FileReader({}, DecodePolicy())
QUICK = Watching(settle=0.1, poll=0.02, patience=0.6, idle=0.3)


@dataclass
class Line:
    """Stands for a run: reads what is offered, and remembers what came of it and when."""

    folder: Path
    watching: Watching = QUICK
    results: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    offered: int = 0
    before_reading: Callable[[Path], None] = lambda _path: None

    def go(self) -> Line:
        self.watch = Watch(
            folders=[self.folder], watching=self.watching, is_done=self.results.__contains__
        )
        for one in self.watch:
            if one is None:
                continue
            self.offered += 1
            self.before_reading(one.file.path)
            try:
                one.read(READER)
                result = "ok"
            except NotYet:
                continue
            except FrameError as error:
                result = error.status
            assert one.id not in self.results, "judged twice"
            self.results[one.id] = result
            self.times[one.id] = time.monotonic()
        return self


def later(wait: float, work: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(wait, work)
    timer.start()
    return timer


def test_what_is_there_and_what_arrives(tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "in", 3)
    (folder / "notes.txt").write_text("no picture")
    other = save_pictures(tmp_path / "other", 1, first=7)
    moved = later(0.25, lambda: (other / "007.png").rename(folder / "007.png"))
    deep = later(0.3, lambda: save_pictures(folder / "new" / "deep", 1, first=9))
    line = Line(folder).go()
    moved.join()
    deep.join()
    assert line.results == dict.fromkeys(
        ("in/000.png", "in/002.png", "in/sub/001.png", "in/007.png", "in/new/deep/009.png"), "ok"
    )
    assert list(line.results)[:3] == ["in/000.png", "in/002.png", "in/sub/001.png"]
    assert line.watch.ignored == {"not an image": 1}


def test_a_file_is_read_when_it_is_complete_and_not_before(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    whole = tmp_path / "whole.png"
    Image.fromarray(picture(0, (400, 300))).save(whole)
    data = whole.read_bytes()
    done: list[float] = []

    def write_slowly() -> None:
        """In pieces, with a pause that is longer than it takes a file to settle."""
        with (folder / "a.png").open("wb", buffering=0) as file:
            third = len(data) // 3
            for number in range(3):
                file.write(data[third * number : third * (number + 1) if number < 2 else None])
                time.sleep(0.3 if number == 0 else 0.03)
        done.append(time.monotonic())

    writer = later(0, write_slowly)
    line = Line(folder).go()
    writer.join()
    assert line.results == {"in/a.png": "ok"}
    assert line.times["in/a.png"] > done[0]
    assert line.offered >= 2, "the pause was to make it look complete"


def test_a_file_that_stays_broken_gets_its_record_after_a_stated_time(tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "in", 1)
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:200])
    (folder / "empty.png").touch()
    start = time.monotonic()
    line = Line(folder).go()
    assert line.results == {"in/000.png": "ok", "in/cut.png": "unreadable",
                            "in/empty.png": "unreadable"}  # fmt: skip
    assert line.times["in/000.png"] < line.times["in/cut.png"]
    assert line.times["in/cut.png"] - start >= QUICK.patience
    assert line.offered == 5


def test_a_file_that_goes_before_it_is_read_is_counted(tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "in", 3)
    line = Line(folder, before_reading=lambda path: path.unlink() if "002" in path.name else None)
    line.go()
    assert sorted(line.results) == ["in/000.png", "in/sub/001.png"]
    assert line.watch.ignored == {"gone before it was read": 1}


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "in", 1)
    touched: list[Path] = []

    def touch_once(path: Path) -> None:
        if not touched:
            touched.append(path)
            path.write_bytes((tmp_path / "other" / "005.png").read_bytes())

    save_pictures(tmp_path / "other", 1, first=5)
    line = Line(folder, before_reading=touch_once).go()
    assert line.results == {"in/000.png": "ok"}
    assert line.offered == 2


def test_a_name_is_judged_once_and_a_change_is_counted(tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "in", 1)
    new = save_pictures(tmp_path / "new", 1, first=5) / "005.png"
    change = later(0.35, lambda: shutil.copy(new, folder / "000.png"))
    line = Line(folder).go()
    change.join()
    assert line.results == {"in/000.png": "ok"}
    assert line.watch.ignored == {"changed after it was judged": 1}


def test_thousands_at_once_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch, "_MOST_PENDING", 450)
    folder = save_pictures(tmp_path / "in", 1)
    for number in range(1, 1200):
        (folder / f"{number:04}.png").hardlink_to(folder / "000.png")
    line = Line(folder).go()
    assert len(line.results) == 1200
    assert list(line.results) == sorted(line.results)


def test_a_folder_that_comes_and_goes(tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "in", 1)
    line = Line(folder)
    away = later(0.3, lambda: folder.rename(tmp_path / "away"))
    line.go()
    away.join()
    assert line.results == {"in/000.png": "ok"}
    assert line.watch.problems == [f"{folder}: the folder is gone"]
    line.watching = Watching(settle=0.05, poll=0.02, idle=0.6)
    back = later(0.2, lambda: (tmp_path / "away").rename(folder))
    assert line.go().watch.problems == []
    back.join()


def test_files_without_a_suffix_are_opened_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "log").write_text("no picture")
    opened: list[Path] = []

    def takes(path: Path) -> bool:
        opened.append(path)
        return False

    watch = Watch(folders=[folder], watching=QUICK, is_done=lambda _id: False, takes=takes)
    assert set(watch) == {None}
    assert opened == [folder / "log"]


@pytest.mark.parametrize("given", [{"settle": -1}, {"poll": 0}, {"patience": -1}, {"idle": -1}])
def test_senseless_times_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Watching(**given)
