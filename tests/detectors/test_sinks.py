from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    CombinedFacts,
    DetectionRecord,
    Heatmap,
    HeatmapMode,
    ImageFacts,
    MissingDependency,
    Record,
    ThresholdFacts,
    UnfitEnvironment,
    write_records,
)
from clipvet.detectors.runs._sinks import HeatmapFiles, check_format, write_table
from tests.runs import frame

FRAME = frame(0)
GRID = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
HEATMAP = Heatmap(grid=GRID, box=(0, 0, 40, 30), image_size=(40, 30))


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("none", []),
        ("npz", ["heatmaps/r/a.png.energy.npz"]),
        ("png", ["heatmaps/r/a.png.energy.png"]),
        ("overlay", ["heatmaps/r/a.png.energy.npz", "overlays/r/a.png.energy.png"]),
    ],
)
def test_what_each_mode_writes(tmp_path: Path, mode: HeatmapMode, names: list[str]) -> None:
    files = HeatmapFiles(folder=tmp_path, mode=mode)
    facts = files.write(FRAME, HEATMAP, name="r/a.png.energy", span=(0.0, 1.0), label="energy")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")) == names
    assert [n for n in (facts.file, facts.overlay) if n] == names
    assert (facts.grid, facts.box, facts.range) == ((3, 4), (0, 0, 40, 30), (0.0, 1.0))
    if facts.file:
        back = Heatmap.load(tmp_path / facts.file)
        difference = np.abs(back.resized() - HEATMAP.resized()).max()
        assert difference <= (0 if mode != "png" else 1 / 131070 + 1e-7)
    if facts.overlay:
        with Image.open(tmp_path / facts.overlay) as picture:
            assert picture.width >= 40


@pytest.mark.parametrize("size", [(4000, 8), (80, 5000), (3000, 2500)])
def test_overlays_of_large_images_are_made_for_looking(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    for box in [(0, 0, width, height), (width - 2, height - 2, width, height)]:
        heatmap = Heatmap(grid=GRID, box=box, image_size=size)
        files = HeatmapFiles(folder=tmp_path, mode="overlay")
        facts = files.write(frame(0, size), heatmap, name="a", span=(0.0, 1.0), label="")
        with Image.open(tmp_path / str(facts.overlay)) as picture:
            assert picture.width >= 256
            assert max(picture.size) < 20_000
        assert facts.box == box
        assert Heatmap.load(tmp_path / str(facts.file)).image_size == size


def test_a_sliver_has_numbers_and_no_picture(tmp_path: Path) -> None:
    heatmap = Heatmap(grid=GRID, box=(0, 0, 1, 60_000), image_size=(1, 60_000))
    files = HeatmapFiles(folder=tmp_path, mode="overlay")
    facts = files.write(frame(0, (1, 60_000)), heatmap, name="a", span=(0.0, 1.0), label="")
    assert facts.overlay is None
    assert facts.file is not None


@pytest.mark.parametrize("mode", ["png", "overlay"])
def test_without_a_range_there_are_numbers_and_no_picture(
    tmp_path: Path, mode: HeatmapMode
) -> None:
    files = HeatmapFiles(folder=tmp_path, mode=mode)
    facts = files.write(FRAME, HEATMAP, name="a", span=None, label="")
    assert (facts.file, facts.overlay, facts.range) == ("heatmaps/a.npz", None, None)
    assert np.array_equal(Heatmap.load(tmp_path / "heatmaps/a.npz").grid, GRID)


def test_no_room_to_write_is_the_environment_s_fault(tmp_path: Path) -> None:
    (tmp_path / "heatmaps").write_text("a file in the way")
    files = HeatmapFiles(folder=tmp_path, mode="npz")
    with pytest.raises(UnfitEnvironment, match="cannot write"):
        files.write(FRAME, HEATMAP, name="r/a", span=None, label="")


def records(folder: Path) -> None:
    one = DetectionRecord(
        detector="energy", version="1", task="anomaly", score=-0.5, details={"method": "@SUM(A1)"}
    )
    together = CombinedFacts(
        combination="all",
        value=-0.25,
        p_value=0.5,
        threshold=ThresholdFacts(value=1.5, origin="+24 good images", rate=0.04, n=24),
        terms={"energy": -0.25, "vim": 2},
    )
    danger = ImageFacts(id="=cmd|'/c calc'!A0/x,y.png")
    write_records(
        folder / "records.jsonl",
        [
            Record(image=danger, detections=(one, one), combined=together),
            Record(image=ImageFacts(id="r/b.png"), status="refused", reasons=("+16 bits", "b")),
        ],
    )


def test_csv_holds_a_row_a_detection_and_no_formula(tmp_path: Path) -> None:
    records(tmp_path)
    path = write_table(tmp_path, "csv")
    assert path is not None
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["'=cmd|'/c calc'!A0/x,y.png"] * 2 + ["r/b.png"]
    assert rows[0]["score"] == "-0.5"
    assert rows[0]["method"] == "'@SUM(A1)"
    assert rows[2]["reasons"] == "'+16 bits; b"
    assert rows[2]["detector"] == ""
    assert [(row["combination"], row["combined_value"]) for row in rows] == [
        ("all", "-0.25"), ("all", "-0.25"), ("", ""),
    ]  # fmt: skip
    assert (rows[0]["combined_p_value"], rows[0]["combined_threshold"]) == ("0.5", "1.5")
    assert rows[0]["combined_threshold_origin"] == "'+24 good images"
    assert rows[0]["combined_terms"] == "energy: -0.25; vim: 2.0"


def test_the_page_tells_every_column_in_order(tmp_path: Path) -> None:
    records(tmp_path)
    path = write_table(tmp_path, "csv")
    assert path is not None
    (header, *_) = path.read_text(encoding="utf-8").splitlines()
    page = (Path(__file__).parents[2] / "docs" / "sinks.md").read_text(encoding="utf-8")
    section = page.partition("## csv and parquet")[2].partition("\n## ")[0]
    assert re.findall(r"`([a-z0-9_]+)`", section) == header.split(",")


def test_no_cell_begins_like_a_formula(tmp_path: Path) -> None:
    """What spreadsheets pass over before they look, and the wide forms of the signs, too."""
    starts = ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠"]
    write_records(
        tmp_path / "records.jsonl",
        [
            Record(image=ImageFacts(id="r/a.png"), status="refused", reasons=(f"{start}1+1",))
            for start in starts
        ],
    )
    path = write_table(tmp_path, "csv")
    assert path is not None
    with path.open(newline="", encoding="utf-8") as file:
        cells = [row["reasons"] for row in csv.DictReader(file)]
    # A tab may end a cell, see below.
    assert cells == [f"'{start}1+1".replace("\t", "\t'") for start in starts]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("name", ["a{}=1+1", "a{} @SUM(1)", 'a{}"=1+1"{}b', "=1{}=2", "a{}\t+1"])
def test_no_cell_begins_like_a_formula_with_another_separator(
    tmp_path: Path, separator: str, name: str
) -> None:
    """Spreadsheets in many countries take the semicolon."""
    record = Record(
        image=ImageFacts(id=name.format(separator, separator)), status="ok", detections=()
    )
    write_records(tmp_path / "records.jsonl", [record])
    path = write_table(tmp_path, "csv")
    assert path is not None
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    assert not [cell for cell in cells if cell.strip(' \t"').startswith(("=", "+", "-", "@"))]


def test_what_only_looks_like_one_stays(tmp_path: Path) -> None:
    write_records(
        tmp_path / "records.jsonl",
        [Record(image=ImageFacts(id="a;b=c-1.png"), status="ok", detections=())],
    )
    path = write_table(tmp_path, "csv")
    assert path is not None
    assert "a;b=c-1.png" in path.read_text(encoding="utf-8")


def test_jsonl_needs_no_table(tmp_path: Path) -> None:
    assert write_table(tmp_path, "jsonl") is None


def test_parquet_says_what_to_install_or_is_written(tmp_path: Path) -> None:
    records(tmp_path)
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(MissingDependency, match=r"pyarrow.*clipvet\[parquet\]"):
            check_format("parquet")
        return
    check_format("parquet")
    path = write_table(tmp_path, "parquet")
    table = importlib.import_module("pyarrow.parquet").read_table(path)
    assert table.column("score").to_pylist() == [-0.5, -0.5, None]
    assert table.column("status").to_pylist() == ["ok", "ok", "refused"]
    assert table.column("combined_threshold").to_pylist() == [1.5, 1.5, None]
    assert table.column("combined_terms").to_pylist()[1:] == ["energy: -0.25; vim: 2.0", None]
