from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kill import differences, kill_runs, save_renders


def test_runs_that_are_killed_end_as_if_they_had_not_been(tiny: Path, tmp_path: Path) -> None:
    images = save_renders(tmp_path / "images", 60)
    arguments = ["run", str(images), "--bundle", str(tiny), "-q", "--format", "csv"]
    arguments += ["-d", "winclip", "-d", "quality"]
    found = kill_runs(arguments, tmp_path, kills=4, images=60, seconds=20)
    assert found.kills >= 1
    assert found.wrong == []
    whole = tmp_path / "whole"
    lines = (whole / "records.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 60
    (whole / "records.jsonl").write_bytes(b"".join(lines[:-1]))
    other = tmp_path / "other"
    other.mkdir()
    assert "records.jsonl differs" in differences(whole, other)


@pytest.mark.parametrize("change", [b"score", b"timing"])
def test_only_times_may_differ(change: bytes, tmp_path: Path) -> None:
    line = b'{"score":0.5,"timing_ms":{"decode":1.25}}\n'
    for name, content in (("a", line), ("b", line.replace(b"1.25", b"9.5"))):
        (tmp_path / name).mkdir()
        if change == b"score" and name == "b":
            content = content.replace(b"0.5", b"0.25")  # noqa: PLW2901
        (tmp_path / name / "records.jsonl").write_bytes(content)
    found = differences(tmp_path / "a", tmp_path / "b")
    assert found == ([] if change == b"timing" else ["records.jsonl differs"])
