"""What a user names by file or folder, and options as a detector's method names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from clipvet.detectors import DetectorOptions, UsageError, find_images, read_words


def test_images_below_a_folder_as_a_run_sees_them(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.png", ".cache/thumb.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".png":
            Image.new("RGB", (4, 4)).save(path)
        else:
            path.write_text("no picture", "utf-8")
    assert find_images(tmp_path) == [tmp_path / "a" / "c.png", tmp_path / "b.png"]
    with pytest.raises(UsageError, match="holds no image"):
        find_images(_empty(tmp_path))
    with pytest.raises(UsageError, match="is no folder"):
        find_images(tmp_path / "gone")


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_a_list_of_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("nut\n\n  bolt \nnut\n", "utf-8")
    assert read_words(path) == ("nut", "bolt")
    path.write_text(" \n", "utf-8")
    with pytest.raises(UsageError, match="holds no word"):
        read_words(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as a list of words"):
        read_words(path)


def test_settings_that_differ_from_the_default() -> None:
    class Options(DetectorOptions):
        templates: tuple[str, ...] = ()
        kinds: tuple[str, ...] = ("a", "b")
        scales: tuple[int, ...] = (2, 3)
        between: tuple[float, float] = (0, 1)
        share: float = 0.5

    assert Options().changed_settings(Options.model_fields) == []
    own = Options(
        templates=("a {}.", "the {}."), kinds=("a",), scales=(), between=(0.25, 2), share=0.1
    )
    assert own.changed_settings(Options.model_fields) == [
        "templates=own(2)", "kinds=a", "scales=none", "between=0.25..2", "share=0.1",
    ]  # fmt: skip
    assert own.changed_settings(["share"]) == ["share=0.1"]
