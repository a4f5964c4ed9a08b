from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipvet.detectors import UsageError
from clipvet.detectors.records._ids import Labels, file_stem, path_of, record_id
from clipvet.detectors.sources._walk import Walk, check_sources
from tests.runs import save_pictures

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def ids(walk: Walk) -> list[str]:
    return [found.id for found in walk]


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return root


def test_recursive_sorted_and_nothing_hidden(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "parts", "b.png", "a/z.PNG", "a/B.jpg", "c.png", ".x.png", ".git/a.png", "a.png"
    )
    walk = Walk(sources=[root])
    assert ids(walk) == [
        "parts/a/B.jpg", "parts/a/z.PNG", "parts/a.png", "parts/b.png", "parts/c.png",
    ]  # fmt: skip
    assert walk.ignored == {"hidden": 2}


def test_candidates_by_suffix_or_content_and_all_files(tmp_path: Path) -> None:
    root = tree(tmp_path / "parts", "photo", "b.png")
    (root / "notes.txt").write_text("no picture")
    (root / "fake.jpg").write_text("no picture")
    walk = Walk(sources=[root])
    assert ids(walk) == ["parts/b.png", "parts/fake.jpg", "parts/photo"]
    assert walk.ignored == {"not an image": 1}
    assert "parts/notes.txt" in ids(Walk(sources=[root], all_files=True))


def test_a_named_file_is_always_taken_and_only_once(tmp_path: Path) -> None:
    note = tree(tmp_path, "a/x.png", "b/x.png") / "a" / "notes.txt"
    note.write_text("no picture")
    walk = Walk(sources=[note, tmp_path / "b" / "x.png", tmp_path / "a" / "x.png", note])
    assert ids(walk) == ["a/notes.txt", "b/x.png", "a/x.png"]
    assert walk.ignored == {"named twice": 1}


def test_labels_are_unique(tmp_path: Path) -> None:
    roots = [tree(tmp_path / p / "a", "x.png") for p in ("one", "two", "three")]
    roots.append(tree(tmp_path / "a-2", "x.png"))
    assert ids(Walk(sources=roots)) == ["a/x.png", "a-2/x.png", "a-3/x.png", "a-2-2/x.png"]
    walk = Walk(sources=[roots[0], roots[0]])
    assert ids(walk) == ["a/x.png"]
    assert walk.ignored == {"named twice": 1}


def test_labels_of_an_earlier_run_stay(tmp_path: Path) -> None:
    one, two = (tree(tmp_path / p / "a", "x.png") for p in ("one", "two"))
    first = Walk(sources=[one])
    list(first)
    assert ids(Walk(sources=[two], labels=Labels(first.labels.roots))) == ["a-2/x.png"]


def test_links_never_loop_and_files_are_met_once(tmp_path: Path) -> None:
    root = tree(tmp_path / "r", "a/x.png", "b/y.png")
    outside = tree(tmp_path / "o", "z.png")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "over").symlink_to(root / "b")
    (root / "b" / "self").symlink_to("self")
    (root / "out").symlink_to(outside)
    (root / "out2").symlink_to(outside)
    (outside / "back").symlink_to(root)
    (root / "gone.png").symlink_to("nowhere")
    walk = Walk(sources=[root])
    assert ids(walk) == ["r/a/x.png", "r/b/y.png", "r/gone.png", "r/out/z.png"]
    assert walk.ignored["folder met before"] == 1
    assert walk.ignored["link to a folder of the same tree"] == 3


def test_run_folders_are_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path / "r", "a.png", "run/overlays/a.png", "other/b.png")
    (root / "run" / "run.json").write_text('{\n "schema": "clipvet.run/1"\n}')
    (root / "other" / "run.json").write_text('{"schema": "else"}')
    walk = Walk(sources=[root])
    assert ids(walk) == ["r/a.png", "r/other/b.png"]
    assert walk.ignored == {"run folder": 1, "not an image": 1}


def test_recipes_are_left_out(tmp_path: Path) -> None:
    probe = tmp_path / "line3" / "probes" / "1.png"
    probe.parent.mkdir(parents=True)
    probe.write_bytes(b"x")
    (tmp_path / "line3" / "recipe.toml").write_text('schema = "clipvet.recipe/1"\n')
    (tmp_path / "a.png").write_bytes(b"x")
    walk = Walk(sources=[tmp_path], takes=lambda path: path.suffix == ".png")
    assert [found.path.name for found in walk] == ["a.png"]
    assert walk.ignored == {"recipe": 1}


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    root = tree(tmp_path / "r", "a.png")
    os.mkfifo(root / "pipe")
    os.mkfifo(root / "run.json")
    walk = Walk(sources=[tmp_path])
    assert len(ids(walk)) == 1  # and it has not blocked
    assert walk.ignored == {"not an image": 2}


def test_odd_names_become_printable_and_lead_back(tmp_path: Path) -> None:
    names = [b"caf\xe9.png", b"100%.png", b"new\nline.png", "ünï.png".encode(), b"tab\t.png"]
    root = tmp_path / "r"
    root.mkdir()
    for name in names:
        (root / os.fsdecode(name)).write_bytes(PNG)
    walk = Walk(sources=[root])
    found = list(walk)
    assert {f.id for f in found} == {
        "r/caf%E9.png", "r/100%25.png", "r/new%0Aline.png", "r/ünï.png", "r/tab%09.png",
    }  # fmt: skip
    assert all(path_of(f.id, walk.labels.roots) == f.path for f in found)


@given(st.binary(min_size=1, max_size=40).filter(lambda b: b"/" not in b and b"\0" not in b))
def test_escaping_is_one_to_one(name: bytes) -> None:
    escaped = record_id("r", os.fsdecode(name)).removeprefix("r/")
    assert escaped.isprintable()
    escaped.encode()  # valid UTF-8
    assert unquote_to_bytes(escaped) == name


def test_names_fit_a_file_system() -> None:
    long = "ü" * 120 + "a"
    stem = file_stem(f"r/{long}.png")
    assert len(stem.split("/")[1].encode()) <= 160
    assert stem != file_stem(f"r/{long}b.png")
    assert file_stem("r/a.png") == "r/a.png"
    deep = "/".join(["r", *["d" * 100] * 38, "a.png.winclip"])
    other = deep.replace("d/d", "d/c", 1)
    assert len(file_stem(deep).encode()) <= 2000
    assert (file_stem(deep)[:2], file_stem(deep)[-14:]) == ("r/", "/a.png.winclip")
    assert file_stem(deep) != file_stem(other)


def test_sources_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        check_sources([tmp_path, tmp_path / "none"])


def test_the_size_and_time_of_a_file_are_noted(tmp_path: Path) -> None:
    found = next(iter(Walk(sources=[save_pictures(tmp_path / "r", 1)])))
    status = found.path.stat()
    assert (found.size, found.mtime_ns) == (status.st_size, status.st_mtime_ns)


def test_a_folder_that_cannot_be_listed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path / "r", "a.png", "closed/b.png")
    listing = os.scandir

    def guarded(folder: Path) -> Iterator[os.DirEntry[str]]:  # root may list even mode 000
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    walk = Walk(sources=[root])
    assert ids(walk) == ["r/a.png"]
    assert walk.problems == [f"{root / 'closed'}: cannot be listed (Permission denied)"]
