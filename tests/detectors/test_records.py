from __future__ import annotations

import json
import logging
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clipvet.detectors import (
    CombinedFacts,
    DetectionRecord,
    HeatmapFacts,
    ImageFacts,
    Record,
    RecordWriter,
    RegionFacts,
    RuntimeFacts,
    ThresholdFacts,
    UsageError,
    read_records,
    record_schema,
    write_records,
)
from clipvet.detectors.records._files import cut_torn_line

FULL = Record(
    image=ImageFacts(
        id="line3/a%25b.png", sha256="ab" * 32, size=12, mtime_ns=5, width=40, height=30,
        orientation=6, bit_depth=16, policy="white:4095", notes=("first of 12 frames",),
    ),
    verdict="flag",
    reasons=("winclip: 0.7 is above 0.6",),
    detections=(
        DetectionRecord(
            detector="winclip", version="1", task="anomaly",
            query={"object": "bottle", "classes": ("a", "b")}, score=0.7, p_value=0.05,
            threshold=ThresholdFacts(value=0.6, origin="held-out good images", rate=0.05, n=19),
            verdict="flag",
            heatmap=HeatmapFacts(file="heatmaps/a.npz", grid=(3, 4), box=(0, 0, 40, 30),
                                 range=(0.0, 1.0)),
            regions=(RegionFacts(box=(1, 2, 3, 4), area=4, peak=0.9),),
            details={"method": "WinCLIP", "list": [1, 2.5, None, "x"]},
        ),
        DetectionRecord(detector="vqa", version="1", task="vqa", status="error", error="vqa: no"),
    ),
    combined=CombinedFacts(
        combination="weighted", value=3.5, p_value=0.05, terms={"winclip": 3.0, "vqa": 4.0},
        threshold=ThresholdFacts(value=2.9, origin="held-out good images", rate=0.05, n=19),
    ),
    runtime=RuntimeFacts(bundle="mini", bundle_sha256="0" * 64, provider="CPU", batch=8),
    timing_ms={"decode": 1.5},
)  # fmt: skip
FAILED = Record(
    image=ImageFacts(id="line3/empty.png"),
    status="unreadable",
    verdict="error",
    reasons=("empty.png: the file is empty",),
)


def test_a_record_is_what_the_schema_says_and_comes_back() -> None:
    schema = record_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in (FULL, FAILED):
        line = record.to_json()
        jsonschema.validate(json.loads(line), schema)
        assert Record.from_json(line) == record
        assert "\n" not in line


def test_a_record_from_before_there_were_combinations_is_read() -> None:
    old = json.loads(FULL.to_json())
    del old["combined"]
    jsonschema.validate(old, record_schema())
    back = Record.from_json(json.dumps(old))
    assert back.combined is None
    assert back.detections == FULL.detections


def test_the_top_of_a_record_is_the_contract() -> None:
    assert list(json.loads(FULL.to_json())) == [
        "schema", "image", "status", "verdict", "reasons", "detections", "combined", "runtime",
        "timing_ms",
    ]  # fmt: skip
    assert json.loads(FULL.to_json())["schema"] == "clipvet.record/1"


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=40))
def test_any_finite_score_and_any_text_survive(score: float, text: str) -> None:
    one = DetectionRecord(detector="d", version="1", task="ood", score=score, error=text)
    record = Record(image=ImageFacts(id="a/" + text), detections=(one,))
    back = Record.from_json(record.to_json())
    assert back == record
    assert "\n" not in record.to_json()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_no_record_holds_a_number_that_is_none(number: float) -> None:
    with pytest.raises(ValidationError):
        DetectionRecord(detector="d", version="1", task="ood", score=number)


def test_fields_of_a_later_writer_are_passed_over() -> None:
    later = {**json.loads(FAILED.to_json()), "weather": "fine"}
    assert Record.from_json(json.dumps(later)) == FAILED


@pytest.mark.parametrize("line", ["{", "[]", '{"schema": "clipvet.record/2"}', "", '{"a": 1}'])
def test_what_is_no_record_is_said(line: str) -> None:
    with pytest.raises(UsageError, match=r"not a clipvet\.record/1"):
        Record.from_json(line)


def test_a_torn_last_line_is_reported_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.jsonl"
    write_records(path, [FULL, FAILED])
    data = path.read_bytes()
    second = data.index(b"\n") + 1
    for cut in (second + 1, second + 100, len(data) - 2):
        path.write_bytes(data[:cut])
        with caplog.at_level(logging.WARNING):
            assert list(read_records(path)) == [FULL]
        assert "line 2 is torn" in caplog.text
        caplog.clear()


def test_writing_on_after_a_torn_line_leaves_no_trace_of_it(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write_records(path, [FULL, FAILED])
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with RecordWriter(path) as writer:
        writer.write(FAILED)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [0, 1, 65536, 200_000])
def test_cutting_finds_the_last_line_end_however_far(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"whole\n" + b"x" * size)
    assert cut_torn_line(path) == size
    assert path.read_bytes() == b"whole\n"
    path.write_bytes(b"y" * size)
    assert cut_torn_line(path) == size
    assert path.read_bytes() == b""


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{FULL.to_json()}\n{{}}\n{FAILED.to_json()}\n")
    with pytest.raises(UsageError, match=r"records.jsonl, line 2: not a clipvet"):
        list(read_records(path))
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_records(tmp_path / "none.jsonl"))


def test_failed_says_which_images_need_another_look() -> None:
    assert FULL.failed
    assert FAILED.failed
    assert not FULL.model_copy(update={"detections": FULL.detections[:1]}).failed
