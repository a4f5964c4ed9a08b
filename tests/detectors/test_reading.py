from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import (
    DecodePolicy,
    DetectorSpec,
    Engine,
    Host,
    RunConfig,
    read_frame,
    read_records,
    run,
)
from clipvet.detectors.errors import FrameUnreadable
from clipvet.detectors.runs._reading import FileReader
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, ask, picture

ENERGY = (DetectorSpec(id="energy"),)


def test_formats_of_plugins_are_read_and_their_errors_contained(tmp_path: Path) -> None:
    def read(path: Path) -> Any:
        if path.stem == "odd":
            print("a reader prints")  # noqa: T201
            raise KeyError("no\nreason")
        return np.load(path) if path.stem != "float" else np.zeros((3, 3))

    raw = tmp_path / "raw"
    raw.mkdir()
    np.save(raw / "a.npy", picture(3))
    for name in (b"odd.npy", b"float.npy", b"\xff.npy"):
        (raw / os.fsdecode(name)).write_bytes(b"x")
    reading = Host(detectors=EVERYTHING.detectors, readers={".npy": read})
    config = RunConfig(sources=[raw], specs=ENERGY, out=tmp_path / "run")
    run(config, host=reading, runtime_factory=FakeRuntime)
    one, *bad = read_records(tmp_path / "run" / "records.jsonl")
    assert (one.image.id, one.status) == ("raw/a.npy", "ok")
    assert one.image.sha256 == hashlib.sha256((raw / "a.npy").read_bytes()).hexdigest()
    with Engine(ENERGY, host=EVERYTHING, runtime_factory=FakeRuntime) as engine:
        expected = engine.score([read_frame(picture(3))], [ask()])[0][0].value
    assert one.detections[0].score == expected
    assert [r.image.id for r in bad] == ["raw/float.npy", "raw/odd.npy", "raw/%FF.npy"]
    assert [r.status for r in bad] == ["unsupported", "unreadable", "unreadable"]
    assert "KeyError" in bad[1].reasons[0]
    assert bad[2].reasons[0].startswith("cannot be read (ValueError: ")


def test_a_pipe_is_not_opened_for_a_plugin_either(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    reader = FileReader({".npy": np.load}, DecodePolicy())
    assert reader.takes(tmp_path / "pipe.npy")
    with pytest.raises(FrameUnreadable, match="not a regular file"):
        reader.read(tmp_path / "pipe.npy")  # and it has not blocked
