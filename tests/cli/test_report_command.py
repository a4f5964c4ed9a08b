"""`detect report`: what it prints and how it ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Detect
from tests.report_runs import HandMade

RECIPE = Path(__file__).parents[2] / "sample_data" / "recipe"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = HandMade(tmp_path / "x")
    made.add("a.png", 0.9, verdict="flag")
    made.add("b.png")
    (made.images / "b.png").unlink()
    return made.write()


def test_it_exits_0_whatever_was_flagged(detect: Detect, run: Path) -> None:
    done = detect("report", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 images, ")
    assert "1 original is gone or has changed" in done.stdout
    assert "it had no recipe" in done.stdout
    assert done.stdout.rstrip().endswith(str(run / "report.html"))
    assert (run / "report.html").is_file()


def test_from_run_to_report(detect: Detect, tmp_path: Path) -> None:
    """A real run finds its own recipe again, and removes its report with ``--fresh``."""
    images = RECIPE.parent / "parts" / "defect" / "wrong_colour"
    command = ("run", images, "--recipe", RECIPE, "--out", "line", "-q")
    assert detect(*command).returncode in (0, 1)
    done = detect("report", "line")
    assert done.returncode == 0
    assert "45 good images that recipe" in done.stdout
    page = (tmp_path / "line/report.html").read_text("utf-8")
    assert str(RECIPE.parent) not in page
    assert '"missing":null' in page
    assert detect(*command, "--fresh").returncode in (0, 1)
    assert not (tmp_path / "line/report.html").exists()


def test_options(detect: Detect, run: Path, tmp_path: Path) -> None:
    done = detect("report", run, "--folder", "--blur", "--out", "page", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "page" / "index.html").is_file()


def test_usage_errors_exit_2(detect: Detect, run: Path, tmp_path: Path) -> None:
    done = detect("report", tmp_path)
    assert done.returncode == 2
    assert "is no run folder" in done.stderr
    (tmp_path / "mine.html").write_text("mine")
    done = detect("report", run, "--out", "mine.html")
    assert done.returncode == 2
    assert "choose another --out" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_recipe_or_a_place_that_takes_nothing_exit_4(
    detect: Detect, run: Path, tmp_path: Path
) -> None:
    shutil.copytree(RECIPE, tmp_path / "line3")
    (tmp_path / "line3/calibrations/patchcore.json").write_text("{}")
    done = detect("report", run, "--recipe", "line3")
    assert done.returncode == 4
    assert "line3" in done.stderr
    (tmp_path / "file").write_text("no folder")
    done = detect("report", run, "--out", "file/report.html")
    assert done.returncode == 4
    assert "choose another --out" in done.stderr
