from __future__ import annotations

from pathlib import Path

import pytest

from clipvet.detectors import UsageError
from clipvet.plugins.unanswerable._rows import Row, read_rows

GOOD = '{"image": "a.png", "question": " what? ", "choices": ["x", "y"], "kind": "answerable"}'


def test_rows_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    other = '{"image": "b.png", "question": "who?", "answer": "ignored", "kind": "absent_answer"}'
    path.write_text(f"\ufeff{GOOD}\n\n{other}\n", "utf-8")
    assert read_rows(path, labelled=True) == [
        Row(image="a.png", question="what?", choices=("x", "y"), kind="answerable"),
        Row(image="b.png", question="who?", kind="absent_answer"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: it is no JSON"),
        ("[]", "line 2: the line:"),
        ('{"question": "q"}', "line 2: image: Field required"),
        ('{"image": "a.png", "question": " "}', "line 2: question:"),
        ('{"image": "a.png", "question": "q", "choices": ["x", ""]}', "a choice is empty"),
        ('{"image": "a.png", "question": "q", "kind": "silly"}', "line 2: kind:"),
        ('{"image": "a.png", "question": "q"}', "line 2: kind is missing"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", "utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        read_rows(path, labelled=True)
    assert "\n" not in str(caught.value)


def test_files_without_questions(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    with pytest.raises(UsageError, match="cannot be read as text"):
        read_rows(path, labelled=True)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as text"):
        read_rows(path, labelled=True)
    path.write_text("\n\n", "utf-8")
    with pytest.raises(UsageError, match="holds no question"):
        read_rows(path, labelled=False)
