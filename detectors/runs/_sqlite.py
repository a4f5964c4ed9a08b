"""The records of a run as a SQLite database, to be asked instead of parsed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from clipvet.detectors.errors import UnfitEnvironment
from clipvet.detectors.records._records import CombinedFacts, DetectionRecord, Record

__all__ = ["SQL_SCHEMA", "write_sqlite"]

SQL_SCHEMA: Final = """
PRAGMA user_version = 1;
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    image TEXT NOT NULL UNIQUE,       -- record id
    sha256 TEXT, size INTEGER, mtime_ns INTEGER,
    width INTEGER, height INTEGER,    -- pixels, oriented
    orientation INTEGER, bit_depth INTEGER, policy TEXT,
    notes TEXT NOT NULL,              -- JSON list
    status TEXT NOT NULL,             -- ok, unreadable, unsupported, refused
    verdict TEXT,                     -- pass, flag, abstain, error; NULL: not judged
    reasons TEXT NOT NULL,            -- JSON list
    combination TEXT,                 -- any, all, weighted; NULL: detectors were not combined
    combined_value REAL, combined_p_value REAL,
    combined_threshold REAL, combined_threshold_origin TEXT,
    combined_threshold_rate REAL, combined_threshold_n INTEGER,
    combined_terms TEXT,              -- JSON: detector -> its part of the value
    bundle TEXT, bundle_sha256 TEXT, provider TEXT
);
CREATE TABLE detections (
    id INTEGER PRIMARY KEY,
    image_id INTEGER NOT NULL REFERENCES images (id),
    detector TEXT NOT NULL, version TEXT NOT NULL, task TEXT NOT NULL,
    query TEXT,                       -- JSON
    bundle TEXT,                      -- NULL: that of the image
    status TEXT NOT NULL,             -- ok, not_applicable, error
    score REAL, p_value REAL,         -- a higher score is worse
    threshold REAL, threshold_origin TEXT, threshold_rate REAL, threshold_n INTEGER,
    verdict TEXT,
    heatmap TEXT, overlay TEXT,       -- files in the run folder
    domain_score REAL, domain_threshold REAL,
    method TEXT, details TEXT NOT NULL, -- JSON
    error TEXT
);
CREATE TABLE regions (
    id INTEGER PRIMARY KEY,
    detection_id INTEGER NOT NULL REFERENCES detections (id),
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL, -- pixels, half-open
    x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    area INTEGER NOT NULL, peak REAL NOT NULL
);
"""

# Made last: filling tables that have no index is several times faster.
_INDEXES = """
CREATE INDEX images_by_verdict ON images (verdict);
CREATE INDEX detections_by_image ON detections (image_id);
CREATE INDEX detections_by_score ON detections (detector, score);
CREATE INDEX regions_by_detection ON regions (detection_id);
"""


def write_sqlite(path: Path, records: Iterable[Record]) -> None:
    """Make a database of records in place of whatever is at ``path``.

    Raises:
        UnfitEnvironment: it cannot be written.
    """
    path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as database:
            database.executescript("PRAGMA journal_mode = OFF;" + SQL_SCHEMA)
            with database:
                for record in records:
                    _insert_image(database, record)
            database.executescript(_INDEXES)
    except sqlite3.Error as error:
        raise UnfitEnvironment(f"cannot write {path} ({error}): make room") from error


def _insert_image(database: sqlite3.Connection, record: Record) -> None:
    image, runtime = record.image, record.runtime
    row = _insert(
        database,
        "images",
        image=image.id,
        sha256=image.sha256,
        size=image.size,
        mtime_ns=image.mtime_ns,
        width=image.width,
        height=image.height,
        orientation=image.orientation,
        bit_depth=image.bit_depth,
        policy=image.policy,
        notes=_json(image.notes),
        status=record.status,
        verdict=record.verdict,
        reasons=_json(record.reasons),
        **_combined(record.combined),
        bundle=runtime.bundle if runtime else None,
        bundle_sha256=runtime.bundle_sha256 if runtime else None,
        provider=runtime.provider if runtime else None,
    )
    for one in record.detections:
        _insert_detection(database, row, one)


def _combined(combined: CombinedFacts | None) -> dict[str, object]:
    if combined is None:
        return {}
    return {
        "combination": combined.combination,
        "combined_value": combined.value,
        "combined_p_value": combined.p_value,
        "combined_threshold": combined.threshold.value,
        "combined_threshold_origin": combined.threshold.origin,
        "combined_threshold_rate": combined.threshold.rate,
        "combined_threshold_n": combined.threshold.n,
        "combined_terms": _json(combined.terms),
    }


def _insert_detection(database: sqlite3.Connection, image: int, one: DetectionRecord) -> None:
    threshold, method = one.threshold, one.details.get("method")
    row = _insert(
        database,
        "detections",
        image_id=image,
        detector=one.detector,
        version=one.version,
        task=one.task,
        query=_json(one.query) if one.query else None,
        bundle=one.bundle,
        status=one.status,
        score=one.score,
        p_value=one.p_value,
        threshold=threshold.value if threshold else None,
        threshold_origin=threshold.origin if threshold else None,
        threshold_rate=threshold.rate if threshold else None,
        threshold_n=threshold.n if threshold else None,
        verdict=one.verdict,
        heatmap=one.heatmap.file if one.heatmap else None,
        overlay=one.heatmap.overlay if one.heatmap else None,
        domain_score=one.domain.score if one.domain else None,
        domain_threshold=one.domain.threshold if one.domain else None,
        method=None if method is None else str(method),
        details=_json(one.details),
        error=one.error,
    )
    for region in one.regions:
        x0, y0, x1, y1 = region.box
        _insert(
            database, "regions", detection_id=row, x0=x0, y0=y0, x1=x1, y1=y1,
            area=region.area, peak=region.peak,
        )  # fmt: skip


def _insert(database: sqlite3.Connection, table: str, **values: object) -> int:
    names = ", ".join(values)  # ours, as the table is
    marks = ", ".join(f":{name}" for name in values)
    cursor = database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
