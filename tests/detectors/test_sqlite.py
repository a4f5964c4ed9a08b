from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipvet.detectors import (
    CombinedFacts,
    DetectionRecord,
    HeatmapFacts,
    ImageFacts,
    Record,
    RegionFacts,
    RuntimeFacts,
    ThresholdFacts,
    UnfitEnvironment,
    write_records,
)
from clipvet.detectors.runs._sinks import write_table
from clipvet.detectors.runs._sqlite import write_sqlite

ROOT = Path(__file__).parents[2]
REGIONS = (RegionFacts(box=(1, 2, 11, 22), area=150, peak=0.9),
           RegionFacts(box=(30, 2, 31, 3), area=1, peak=0.5))  # fmt: skip
BAD = DetectionRecord(
    detector="energy", version="1", task="anomaly", score=2.5, p_value=0.01, verdict="flag",
    query={"object": "bolt"}, details={"method": "energy", "sizes": [1, 2]}, regions=REGIONS,
    threshold=ThresholdFacts(value=2.0, origin="26 good images", rate=0.05, n=26),
    heatmap=HeatmapFacts(file="heatmaps/a.npz", grid=(1, 1), box=(0, 0, 1, 1)),
)  # fmt: skip
TOGETHER = CombinedFacts(
    combination="weighted", value=3.5, p_value=0.04, terms={"energy": 3.0, "vim": 4.0},
    threshold=ThresholdFacts(value=3.0, origin="24 good images", rate=0.04, n=24),
)  # fmt: skip
RECORDS = [
    Record(
        image=ImageFacts(id="r/a'; DROP TABLE images; --.png", width=40, height=30, size=2**40),
        verdict="flag", combined=TOGETHER,
        detections=(BAD, BAD.model_copy(update={"score": 0.1, "regions": ()})),
        runtime=RuntimeFacts(bundle="mini", bundle_sha256="0" * 64, provider="CPU", batch=8),
    ),
    Record(image=ImageFacts(id="r/ü.png"), status="unreadable", verdict="error", reasons=("cut",)),
]  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    write_records(tmp_path / "records.jsonl", RECORDS)
    path = write_table(tmp_path, "sqlite")
    assert path == tmp_path / "records.sqlite"
    assert [p.name for p in tmp_path.glob("*.part*")] == []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        yield opened


def test_every_fact_is_where_it_belongs(database: sqlite3.Connection) -> None:
    database.row_factory = sqlite3.Row
    bad, unreadable = database.execute("SELECT * FROM images ORDER BY id").fetchall()
    assert (bad["image"], bad["width"], bad["size"], bad["bundle"]) == (
        RECORDS[0].image.id, 40, 2**40, "mini",
    )  # fmt: skip
    assert (unreadable["status"], json.loads(unreadable["reasons"])) == ("unreadable", ["cut"])
    assert unreadable["sha256"] is None
    assert (bad["combination"], bad["combined_value"], bad["combined_p_value"]) == (
        "weighted", 3.5, 0.04,
    )  # fmt: skip
    assert (bad["combined_threshold"], bad["combined_threshold_origin"]) == (3.0, "24 good images")
    assert (bad["combined_threshold_rate"], bad["combined_threshold_n"]) == (0.04, 24)
    assert json.loads(bad["combined_terms"]) == TOGETHER.terms
    assert {unreadable[name] for name in bad.keys() if name.startswith("combin")} == {None}  # noqa: SIM118 - a row yields values
    first, second = database.execute("SELECT * FROM detections ORDER BY id").fetchall()
    assert first["image_id"] == second["image_id"] == bad["id"]
    assert (first["score"], first["p_value"], first["verdict"]) == (2.5, 0.01, "flag")
    assert (first["threshold"], first["threshold_origin"], first["threshold_n"]) == (
        2.0, "26 good images", 26,
    )  # fmt: skip
    assert json.loads(first["query"]) == {"object": "bolt"}
    assert json.loads(first["details"]) == BAD.details
    assert (first["method"], first["heatmap"]) == ("energy", "heatmaps/a.npz")
    boxes = database.execute("SELECT x0, y0, x1, y1, area, peak FROM regions").fetchall()
    assert [tuple(row) for row in boxes] == [(*r.box, r.area, r.peak) for r in REGIONS]


def test_it_is_read_only_sound_and_has_a_version(database: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("DELETE FROM images")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert database.execute("PRAGMA user_version").fetchone() == (1,)


def test_the_page_tells_every_column(database: sqlite3.Connection) -> None:
    page = (ROOT / "docs" / "sinks.md").read_text(encoding="utf-8")
    for table in ("images", "detections", "regions"):
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{table}` |")]
        for _, name, *_ in database.execute(f"PRAGMA table_info({table})"):
            assert f"`{name}`" in line, f"docs/sinks.md does not tell {table}.{name}"


def test_it_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    for records in (RECORDS, RECORDS[1:]):
        write_sqlite(path, records)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT COUNT(*) FROM images").fetchone() == (1,)


def test_no_room_is_the_environment_s_fault(tmp_path: Path) -> None:
    with pytest.raises(UnfitEnvironment, match=r"cannot write .*none/records\.sqlite"):
        write_sqlite(tmp_path / "none" / "records.sqlite", RECORDS)
