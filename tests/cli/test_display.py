from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipvet.cli._progress import progress_display
from clipvet.cli._summary import print_summary
from clipvet.detectors import DetectorSpec, Host, Progress, RunConfig, RunSummary, run
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, save_pictures


def screen(**options: Any) -> Console:
    return Console(record=True, width=90, force_terminal=True, **options)


def summary_of(tmp_path: Path, *detectors: str, **options: Any) -> RunSummary:
    parts = tmp_path / "parts"
    if not parts.exists():
        save_pictures(parts, 7)
        (parts / "[bold]empty.png").touch()
    specs = [DetectorSpec(id=name) for name in detectors]
    config = RunConfig(sources=[parts], specs=specs, out=tmp_path / "my run", **options)
    return run(config, host=EVERYTHING, runtime_factory=FakeRuntime)


def shown(summary: RunSummary, host: Host = EVERYTHING) -> str:
    console = screen()
    print_summary(summary, host, console=console)
    return console.export_text()


def test_the_summary_says_what_came_out_and_where_to_look(tmp_path: Path) -> None:
    text = shown(summary_of(tmp_path, "energy", "troubled", "asker"))
    for words in (
        "8 images: 8 error",
        "highest scores of energy",
        "[bold]empty.png: the file is empty",
        "troubled: RuntimeError: no idea",
        "asker did not apply to 7 images: its query is missing",
        'told to expect an "object": say what it is with --object',
        "bundle fake: fixed random projections",
        "my run/overlays'",
        "my run/failures.jsonl'",
    ):
        assert words in text, words
    table = text.partition("highest scores of energy")[2].splitlines()[2:7]
    scores = [float(line.split()[0]) for line in table]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)


def test_nothing_judged_is_said(tmp_path: Path) -> None:
    text = shown(summary_of(tmp_path, "energy"))
    assert "8 images: 7 not judged, 1 error" in text
    assert "7 images scored, none judged: fit a recipe with `detect fit" in text
    again = shown(summary_of(tmp_path, "energy"))
    assert "8 images (8 from before)" in again
    assert "images/s" not in again


def test_the_bar_shows_rate_time_left_flagged_and_failed() -> None:
    console = screen()
    with progress_display(console=console) as show:
        for done in range(1, 31):
            show(Progress(done=done, total=40, flagged=2, failed=1))
    text = console.export_text()
    assert "30/40" in text
    assert "images/s" in text
    assert "2 flagged" in text
    assert "1 failed" in text


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_display() as show:
        for done in range(1, 41):
            show(Progress(done=done, total=40, flagged=2, failed=1))
    assert capsys.readouterr() == ("", "40 of 40 images, 2 flagged, 1 failed\n")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_display(quiet=True) as show:
        show(Progress(done=1, total=1, flagged=0, failed=0))
    assert capsys.readouterr() == ("", "")
