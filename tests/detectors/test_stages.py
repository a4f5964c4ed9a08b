"""Where the time of a run goes, and how images share the batches of the encoder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import DetectorSpec, RunConfig, Tiling, read_records, run
from clipvet.detectors.runs._stages import STAGES, StageClock
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, save_pictures

MOMENT = 0.1


class WatchedRuntime(FakeRuntime):
    """Remembers how many views each call encoded, and in which thread; may take its time."""

    calls: list[tuple[int, str]]
    takes = 0.0

    def encode_views(self, views: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        self.calls.append((len(views), threading.current_thread().name))
        time.sleep(self.takes)
        return super().encode_views(views)


@pytest.fixture
def watched() -> type[WatchedRuntime]:
    class Watched(WatchedRuntime):
        calls: list[tuple[int, str]] = []  # noqa: RUF012 - of this test alone

    return Watched


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def start(runtime: type[FakeRuntime], images: int = 3, **options: Any) -> dict[str, Any]:
        folder = save_pictures(tmp_path / "parts", images)
        config = RunConfig(
            **{"sources": [folder], "specs": [DetectorSpec(id="energy")], "out": tmp_path / "run",
               "heatmaps": "none", "batch_size": 4, "workers": 2, **options}
        )  # fmt: skip
        summary = run(config, host=EVERYTHING, runtime_factory=runtime)
        assert summary.tally.scored == images
        state: dict[str, Any] = json.loads((tmp_path / "run" / "run.json").read_text())
        return {**state, "pace": summary.pace}

    return start


def test_tiles_of_several_images_fill_the_batches(
    go: Callable[..., Any], watched: type[WatchedRuntime], tmp_path: Path
) -> None:
    state = go(watched, tiling=Tiling(16, 0))
    views = state["encoder_calls"]
    assert views % 3 == 0
    assert views > 3 * 4
    sizes = [size for size, _ in watched.calls]
    assert sizes == [4] * (views // 4) + ([views % 4] if views % 4 else [])
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    ids = [record.image.id for record in records]
    assert len(ids) == 3
    assert ids == sorted(ids)


def test_one_thread_encodes_while_another_scores(
    go: Callable[..., Any], watched: type[WatchedRuntime]
) -> None:
    go(watched, images=9)
    assert len(watched.calls) == 3
    assert len({thread for _, thread in watched.calls}) == 1
    assert watched.calls[0][1] != threading.current_thread().name


def test_batches_do_not_change_a_record(go: Callable[..., Any], tmp_path: Path) -> None:
    found = []
    for batch in (1, 3, 8):
        go(FakeRuntime, images=5, batch_size=batch, fresh=True, tiling=Tiling(20, 4))
        records = read_records(tmp_path / "run" / "records.jsonl")
        found.append([[d.score for d in record.detections] for record in records])
    assert found[0] == found[1] == found[2]


def test_run_json_tells_where_the_time_went(
    go: Callable[..., Any], watched: type[WatchedRuntime]
) -> None:
    watched.takes = MOMENT
    state = go(watched, images=12)
    stages, wall = state["stages"], state["seconds"]["wall"]
    assert set(stages) == set(STAGES)
    assert stages["infer"]["busy"] >= 2.9 * MOMENT
    waits = sum(facts["wait"] for name, facts in stages.items() if name != "infer")
    # The rest is the hand-over: between the run's thread and the encoder's.
    assert waits <= stages["infer"]["wait"] + 0.01
    assert stages["infer"]["busy"] + stages["infer"]["wait"] <= wall + 0.01
    assert all(stages[name]["busy"] > 0 for name in ("decode", "score", "write"))
    assert "the encoder worked" in state["pace"]


def test_only_an_idle_encoder_waits() -> None:
    clock = StageClock()
    with clock.at("decode"):
        time.sleep(MOMENT)

    def infer() -> None:
        with clock.work("infer"):
            time.sleep(3 * MOMENT)

    encoder = threading.Thread(target=infer)
    encoder.start()
    time.sleep(MOMENT / 2)
    with clock.at("score"), clock.work("score"):
        time.sleep(MOMENT)
    encoder.join()
    stages = clock.stages()
    assert stages["decode"]["wait"] >= MOMENT
    assert stages["score"]["busy"] >= MOMENT
    assert stages["score"]["wait"] < MOMENT
    assert stages["infer"]["busy"] >= 2.9 * MOMENT


def test_decoding_and_resizing_share_what_is_waited_for_them() -> None:
    clock = StageClock()
    with clock.at("decode"):
        with clock.work("decode"):
            time.sleep(3 * MOMENT)
        with clock.work("preprocess"):
            time.sleep(MOMENT)
    stages = clock.stages()
    assert stages["decode"]["wait"] == pytest.approx(3 * stages["preprocess"]["wait"], rel=0.3)
    assert stages["decode"]["wait"] + stages["preprocess"]["wait"] >= 4 * MOMENT - 0.01


def test_what_is_awaited_comes_in_order_and_errors_pass() -> None:
    clock = StageClock()

    def items() -> Any:
        yield 1
        raise KeyError("gone")

    got = clock.awaited("decode", items())
    assert next(got) == 1
    with pytest.raises(KeyError):
        next(got)
