"""What must hold for any bytes, names, records, boxes and tiles."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clipvet.detectors import (
    DetectionRecord,
    FrameError,
    FrameRefused,
    ImageFacts,
    Record,
    RecordWriter,
    Region,
    Tiling,
    UsageError,
    read_frame,
    read_records,
)
from clipvet.detectors.frames._views import plan_views
from clipvet.detectors.records._ids import Labels, file_stem, path_of, record_id

NAME = st.binary(min_size=1, max_size=30).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
TEXT = st.text(max_size=20).filter(lambda text: "\0" not in text)
SIDE = st.integers(1, 40)


def in_a_file(data: bytes) -> Any:
    try:
        return read_frame(data)
    except FrameError as error:
        return error


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_reason(data: bytes) -> None:
    in_a_file(data)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]),
    height=SIDE,
    width=SIDE,
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    kept=st.integers(0, 10_000),
)
def test_a_changed_or_cut_picture_is_a_frame_or_a_reason(
    kind: str, height: int, width: int, edits: list[tuple[int, int]], kept: int
) -> None:
    pixels = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.reshape(height, width, 3)).save(buffer, format=kind)
    whole = buffer.getvalue()
    assert (in_a_file(whole).width, in_a_file(whole).height) == (width, height)
    data = bytearray(whole)
    for at, value in edits:
        data[at % len(data)] = value
    in_a_file(bytes(data))
    in_a_file(bytes(data[: kept % len(data)]))


@given(st.lists(NAME, min_size=1, max_size=5))
def test_an_id_is_printable_and_leads_back_to_its_file(parts: list[bytes]) -> None:
    root = Path("/some/root")
    relative = os.fsdecode(b"/".join(parts))
    name = record_id("root", relative)
    assert name.isprintable()
    assert name.count("/") == len(parts)
    assert path_of(name, {"root": root}) == root / relative
    assert all(len(part.encode()) <= 160 for part in file_stem(name).split("/"))


@given(st.lists(st.lists(NAME, min_size=1, max_size=3), max_size=8))
def test_every_root_has_a_label_of_its_own(roots: list[list[bytes]]) -> None:
    folders = [Path("/", *(os.fsdecode(part) for part in parts)) for parts in roots]
    labels = Labels()
    given_labels = {str(folder): labels.of(folder) for folder in folders}
    assert len(set(given_labels.values())) == len(given_labels)
    assert all("/" not in label and label.isprintable() for label in given_labels.values())


@st.composite
def records(draw: st.DrawFn) -> Record:
    finite = st.floats(allow_nan=False, allow_infinity=False)
    jsonable = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    )
    detection = st.builds(
        DetectionRecord,
        detector=TEXT,
        version=TEXT,
        task=st.sampled_from(["anomaly", "ood", "safety", "vqa", "quality"]),
        score=st.none() | finite,
        p_value=st.none() | st.floats(0, 1),
        details=st.dictionaries(TEXT, jsonable, max_size=3),
        error=st.none() | TEXT,
    )
    return Record(
        image=ImageFacts(id=draw(TEXT), notes=tuple(draw(st.lists(TEXT, max_size=2)))),
        status=draw(st.sampled_from(["ok", "unreadable", "unsupported", "refused"])),
        verdict=draw(st.sampled_from([None, "pass", "flag", "abstain", "error"])),
        reasons=tuple(draw(st.lists(TEXT, max_size=2))),
        detections=tuple(draw(st.lists(detection, max_size=3))),
        timing_ms=draw(st.dictionaries(TEXT, finite, max_size=2)),
    )


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(written=st.lists(records(), max_size=4), torn=st.integers(0, 5000))
def test_records_come_back_and_a_torn_end_costs_one(
    tmp_path: Path, written: list[Record], torn: int
) -> None:
    path = tmp_path / "records.jsonl"
    path.unlink(missing_ok=True)
    with RecordWriter(path) as writer:
        for record in written:
            writer.write(record)
    assert list(read_records(path)) == written
    data = path.read_bytes()
    kept = data[: torn % (len(data) + 1)]
    path.write_bytes(kept)
    whole = kept.count(b"\n")
    with RecordWriter(path):
        pass  # opening cuts what is torn
    assert list(read_records(path)) == written[:whole]


@given(st.tuples(*[st.integers(-3, 60)] * 4))
def test_a_box_is_parsed_or_refused_and_fits_or_is_refused(box: tuple[int, int, int, int]) -> None:
    text = ",".join(map(str, box))
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        with pytest.raises(UsageError):
            Region.parse(text)
        return
    region = Region.parse(text)
    assert region.describe() == f"box:{text}"
    frame = read_frame(np.zeros((40, 40, 3), np.uint8))
    if x1 > 40 or y1 > 40:
        with pytest.raises(FrameRefused):
            plan_views(frame, region=region)
        return
    (view,) = plan_views(frame, region=region)
    assert view.pixels.shape == (y1 - y0, x1 - x0, 3)


@given(st.text(max_size=30))
def test_any_text_is_a_box_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        region = Region.parse(text)
        assert Region.parse(region.describe().removeprefix("box:")).box == region.box


@given(height=SIDE, width=SIDE, size=st.integers(1, 50), share=st.floats(0, 0.99), data=st.data())
def test_tiles_have_one_size_and_cover_the_region(
    height: int, width: int, size: int, share: float, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    tiling = Tiling(size, int(size * share))
    frame = read_frame(np.zeros((height, width, 3), np.uint8))
    views = plan_views(frame, region=Region(box=(x0, y0, x1, y1)), tiling=tiling)
    covered = np.zeros((height, width), bool)
    for view in views:
        left, top, right, bottom = view.box
        assert view.pixels.shape == (bottom - top, right - left, 3)
        covered[top:bottom, left:right] = True
    assert len({view.pixels.shape for view in views}) == 1
    inside = np.zeros((height, width), bool)
    inside[y0:y1, x0:x1] = True
    assert np.array_equal(covered, inside)
    assert len(views) == tiling.count((x0, y0, x1, y1))
