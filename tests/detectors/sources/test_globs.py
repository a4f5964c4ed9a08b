from __future__ import annotations

from pathlib import Path

import pytest

from clipvet.detectors.sources._given import Given
from clipvet.detectors.sources._globs import Glob

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
NAMES = ("a.png", "b.jpg", "sub/c.png", "sub/deep/d.png", "sub/.e.png", ".f/g.png", "x[1].png")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    (tmp_path / "parts" / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(*names: str, all_files: bool = False) -> list[str]:
    return [found.id for found in Given(names=names, all_files=all_files) if found is not None]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("parts/*.png", ["parts/a.png", "parts/x[1].png"]),
        ("parts/**/*.png", ["parts/a.png", "parts/sub/c.png", "parts/sub/deep/d.png",
                            "parts/x[1].png"]),
        ("parts/**", ["parts/a.png", "parts/b.jpg", "parts/sub/c.png", "parts/sub/deep/d.png",
                      "parts/x[1].png"]),
        ("parts/*/?.png", ["parts/sub/c.png"]),
        ("parts/[ab].*", ["parts/a.png", "parts/b.jpg"]),
        ("parts/[!a].jpg", ["parts/b.jpg"]),
        ("pa*s/sub/*.png", ["TOP/parts/sub/c.png"]),
        ("parts/*.PNG", []),
        ("parts/x[1].png", ["parts/x[1].png"]),  # it exists: no pattern
        ("parts/*.txt", []),  # no image
        ("nowhere/*.png", []),
    ],
)  # fmt: skip
def test_patterns_mean_what_they_mean_in_a_shell(
    root: Path, pattern: str, expected: list[str]
) -> None:
    assert ids(pattern) == [name.replace("TOP", root.name) for name in expected]


def test_ids_are_those_of_the_folder_and_only_what_is_meant_is_counted(root: Path) -> None:
    assert set(ids("parts/**/*.png")) < set(ids("parts"))
    given = Given(names=["parts/*.png"])
    list(given)
    assert given.ignored == {}
    assert ids("parts/*.txt", all_files=True) == ["parts/notes.txt"]


def test_folders_that_cannot_hold_a_match_are_not_entered() -> None:
    pattern = Glob.parse("/r/a*/b/*.png")
    assert pattern.root == Path("/r")
    assert [pattern.enters(names) for names in (("ab",), ("b",), ("ab", "b"), ("ab", "c"))] == [
        True, False, True, False,
    ]  # fmt: skip
    assert not pattern.enters(("ab", "b", "c"))
    assert Glob.parse("/r/a/**/x.png").enters(("b",)) is True


def test_a_path_of_pathlib_is_no_pattern(root: Path) -> None:
    (found,) = Given(names=[Path("parts/*.png")])
    assert found is not None
    assert (found.id, found.size) == ("parts/*.png", -1)
