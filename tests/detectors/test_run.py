from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from clipvet.detectors import (
    DecodePolicy,
    DetectorSpec,
    Engine,
    Heatmap,
    Query,
    Record,
    RunConfig,
    Tiling,
    UsageError,
    read_frame,
    read_records,
    run,
)
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, Energy, ask, host, picture, save_pictures

ENERGY = (DetectorSpec(id="energy"),)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Eleven good files and one of each kind of trouble."""
    folder = save_pictures(tmp_path / "parts", 11)
    (folder / "empty.png").touch()
    (folder / "fake.jpg").write_text("not a picture")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:200])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "deep.png")
    (folder / "notes.txt").write_text("not a picture")
    os.mkfifo(folder / "pipe.png")
    return folder


@pytest.fixture
def go(tmp_path: Path, parts: Path) -> Callable[..., Any]:
    def start(out: str = "run", on_record: Any = None, progress: Any = None, **options: Any) -> Any:
        config = RunConfig(
            **{"sources": [parts], "specs": ENERGY, "out": tmp_path / out, "batch_size": 4,
               "workers": 2, **options}
        )  # fmt: skip
        calls = {"on_record": on_record, "progress": progress}
        return run(
            config,
            host=EVERYTHING,
            runtime_factory=FakeRuntime,
            **{name: call for name, call in calls.items() if call},
        )

    return start


def lines(out: Path) -> list[dict[str, Any]]:
    """Records without what may differ between two runs of the same."""
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "timing_ms"} for record in records]


def test_a_run_judges_everything_and_stops_for_nothing(
    go: Callable[..., Any], tmp_path: Path
) -> None:
    seen: list[Record] = []
    steps: list[Any] = []
    summary = go(on_record=seen.append, progress=steps.append)
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    assert records == seen
    assert [r.image.id for r in records] == [
        *(f"parts/{n:03d}.png" for n in range(11) if n != 1),
        "parts/cut.png", "parts/deep.png", "parts/empty.png", "parts/fake.jpg", "parts/pipe.png",
        "parts/sub/001.png",
    ]  # fmt: skip
    assert Counter(r.status for r in records) == {"ok": 11, "unreadable": 4, "refused": 1}
    for record in records:
        bad = record.status != "ok"
        assert record.verdict == ("error" if bad else None)
        assert bool(record.reasons) == bad
        assert bool(record.detections) != bad
    assert summary.exit_code == 3
    assert summary.encoder_calls == 11
    assert not summary.tally.judged
    assert [(p.done, p.total) for p in steps] == [(n, 16) for n in range(1, 17)]
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["status"] == "finished"
    assert state["encoder_calls"] == 11
    assert state["nodes"] == {}  # the fake runtime has none
    assert state["counts"]["images"] == 16
    assert state["ignored"] == {"not an image": 1}
    assert state["sources"] == {"parts": str(tmp_path / "parts")}
    assert set(state["seconds"]) == {"wall", "processor"}
    assert {"decode", "preprocess", "infer", "score", "write"} <= set(state["stages"])
    assert len((tmp_path / "run" / "failures.jsonl").read_text().splitlines()) == 5


def test_scores_and_heatmaps_are_the_engine_s(
    go: Callable[..., Any], tmp_path: Path, parts: Path
) -> None:
    go()
    with Engine(ENERGY, host=EVERYTHING, runtime_factory=FakeRuntime, batch_size=1) as engine:
        for record in read_records(tmp_path / "run" / "records.jsonl"):
            if record.status != "ok":
                continue
            path = parts / record.image.id.partition("/")[2]
            result = engine.score([read_frame(path)], [ask()])[0][0]
            (one,) = record.detections
            assert one.score == result.value
            assert one.heatmap is not None
            assert one.heatmap.range == Energy.heatmap_range
            stored = Heatmap.load(tmp_path / "run" / str(one.heatmap.file))
            assert result.heatmap is not None
            assert np.array_equal(stored.grid, result.heatmap.grid)
            assert (tmp_path / "run" / str(one.heatmap.overlay)).is_file()


@pytest.mark.parametrize("options", [{"batch_size": 1, "workers": 1}, {"workers": 7}])
def test_threads_and_batches_change_nothing(
    go: Callable[..., Any], tmp_path: Path, options: dict[str, int]
) -> None:
    go("one")
    go("two", **options)
    other = lines(tmp_path / "two")
    for record in other:
        if record["runtime"]:
            record["runtime"]["batch"] = 4
    assert other == lines(tmp_path / "one")


def test_a_finished_run_is_not_repeated(go: Callable[..., Any], tmp_path: Path) -> None:
    go()
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    again: list[Record] = []
    summary = go(on_record=again.append)
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before
    assert (summary.encoder_calls, summary.resumed, len(again)) == (0, 16, 16)
    assert summary.exit_code == 3
    assert json.loads((tmp_path / "run" / "run.json").read_text())["encoder_calls"] == 11


@pytest.mark.parametrize("after", [1, 5, 9])
def test_an_interrupted_run_goes_on_where_it_was(
    go: Callable[..., Any], tmp_path: Path, after: int
) -> None:
    def interrupt(progress: Any) -> None:
        if progress.done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(progress=interrupt)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert len(lines(tmp_path / "run")) == after
    summary = go()
    assert summary.resumed == after
    go("undisturbed")
    assert lines(tmp_path / "run") == lines(tmp_path / "undisturbed")


def test_other_options_in_the_same_folder_are_refused(go: Callable[..., Any]) -> None:
    go()
    with pytest.raises(UsageError, match=r"another configuration \(query differ\)"):
        go(query=Query(object="bottle"))
    with pytest.raises(UsageError, match=r"\(heatmaps differ\)"):
        go(heatmaps="npz")
    assert go(query=Query(object="bottle"), fresh=True).resumed == 0


def test_a_run_folder_inside_the_source_is_not_judged(
    go: Callable[..., Any], tmp_path: Path
) -> None:
    assert go("parts/out", all_files=False).tally.images == 16
    summary = go("parts/out2")
    assert summary.tally.images == 16
    assert summary.ignored["run folder"] == 2


def test_all_files_get_a_record_on_request(go: Callable[..., Any]) -> None:
    assert go(all_files=True).tally.images == 17


def test_high_bit_images_take_a_policy(go: Callable[..., Any], tmp_path: Path) -> None:
    go(decode_policy=DecodePolicy(high_bit="full-range"))
    deep = next(r for r in lines(tmp_path / "run") if r["image"]["id"] == "parts/deep.png")
    assert (deep["status"], deep["image"]["policy"]) == ("ok", "full-range")
    assert deep["image"]["bit_depth"] == 16


def test_tiles_are_counted_as_encoder_calls(go: Callable[..., Any]) -> None:
    assert go(tiling=Tiling(20)).encoder_calls == 11 * 4


def test_a_stream_of_paths_is_taken_as_it_comes(go: Callable[..., Any], parts: Path) -> None:
    def stream() -> Iterator[Path]:
        yield parts / "003.png"
        yield parts / "none.png"
        yield parts / "sub"

    steps: list[Any] = []
    summary = go(sources=stream(), progress=steps.append)
    assert summary.tally.statuses == {"ok": 2, "unreadable": 1}
    assert [p.total for p in steps] == [None] * 3


def test_nothing_to_judge_is_said(go: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.txt").write_text("x")
    with pytest.raises(UsageError, match=r"no image in .*bare \(passed over: 1 not an image\)"):
        go(sources=[tmp_path / "bare"])
    with pytest.raises(UsageError, match="no such file or folder"):
        go(sources=[tmp_path / "none"])
    assert not (tmp_path / "run").exists()


def test_references_teach_before_the_run(
    go: Callable[..., Any], tmp_path: Path, parts: Path
) -> None:
    good = save_pictures(tmp_path / "good", 3)
    (good / "bad.png").touch()
    learner = (DetectorSpec(id="learner"),)
    summary = go(specs=learner, references=good)
    assert summary.encoder_calls == 11
    assert any("reference left out" in warning for warning in summary.warnings)
    frames = [read_frame(p) for p in sorted(good.glob("0*.png"))] + [
        read_frame(good / "sub/001.png")
    ]
    with Engine(learner, host=EVERYTHING, runtime_factory=FakeRuntime) as engine:
        engine.fit("learner", frames, Query())
        expected = engine.score([read_frame(parts / "000.png")], [ask()])[0][0].value
    assert lines(tmp_path / "run")[0]["detections"][0]["score"] == pytest.approx(expected)
    shutil.copy(parts / "005.png", good)
    with pytest.raises(UsageError, match=r"\(references differ\)"):
        go(specs=learner, references=good)
    with pytest.raises(UsageError, match="cannot learn"):
        go("other", references=good)


def test_what_a_detector_learned_elsewhere_is_loaded_and_decides_whether_to_resume(
    go: Callable[..., Any], tmp_path: Path, parts: Path
) -> None:
    learner = DetectorSpec(id="learner")
    with Engine((learner,), host=EVERYTHING, runtime_factory=FakeRuntime) as engine:
        engine.fit("learner", [read_frame(parts / "005.png")], Query())
        expected = engine.score([read_frame(parts / "000.png")], [ask()])[0][0].value
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            engine.save("learner", tmp_path / name)
    go(specs=(replace(learner, artefact=tmp_path / "one"),))
    assert lines(tmp_path / "run")[0]["detections"][0]["score"] == pytest.approx(expected)
    again = go(specs=(replace(learner, artefact=tmp_path / "other"),))  # the same content
    assert again.encoder_calls == 0
    (tmp_path / "other" / "more.txt").write_text("changed")
    with pytest.raises(UsageError, match="detectors differ"):
        go(specs=(replace(learner, artefact=tmp_path / "other"),))


def test_a_detector_that_fails_costs_its_own_scores(go: Callable[..., Any], tmp_path: Path) -> None:
    summary = go(specs=(*ENERGY, DetectorSpec(id="troubled"), DetectorSpec(id="asker")))
    for record in lines(tmp_path / "run"):
        if record["status"] == "ok":
            assert [d["status"] for d in record["detections"]] == ["ok", "error", "not_applicable"]
    assert summary.tally.detector_errors == {"troubled": 11}
    assert summary.tally.not_applicable == {"asker": 11}
    assert summary.exit_code == 3


def test_a_recipe_leaves_nothing_else_to_choose(tmp_path: Path) -> None:
    config = RunConfig(sources=[], out=tmp_path, recipe=tmp_path)
    for changes in ({"bundle": "x"}, {"references": tmp_path}, {"query": Query(object="x")}):
        with pytest.raises(UsageError, match="a recipe fixes"):
            replace(config, **changes)


def test_memory_does_not_grow_with_the_number_of_images(
    go: Callable[..., Any], tmp_path: Path
) -> None:
    """Pictures of 3 MB each, decoded: the first few fill the window, the rest must not add."""
    folder = tmp_path / "big"
    folder.mkdir()
    Image.fromarray(picture(0, (1000, 1000))).save(folder / "000.png")
    for number in range(1, 120):
        os.link(folder / "000.png", folder / f"{number:03d}.png")
    usage: list[int] = []
    process = psutil.Process()
    go(
        sources=[folder],
        heatmaps="none",
        progress=lambda _p: usage.append(process.memory_info().rss),
    )
    assert len(usage) == 120
    assert max(usage[40:]) - max(usage[:40]) < 40e6  # 80 pictures are 240 MB


def test_text_that_is_none_does_not_stop_a_run(tmp_path: Path, parts: Path) -> None:
    class Odd(Energy):
        id = "odd"
        heatmap_range = "wide"  # type: ignore[assignment]

        def score(self, batch: Any) -> Any:
            details = {"method\udc80": "caf\udce9", "sizes": np.arange(2), "no": float("nan")}
            return [[replace(s, details=details) for s in row] for row in super().score(batch)]

    config = RunConfig(sources=[parts], specs=(DetectorSpec(id="odd"),), out=tmp_path / "run")
    run(config, host=host(Odd), runtime_factory=FakeRuntime)
    one = next(read_records(tmp_path / "run" / "records.jsonl")).detections[0]
    assert one.details == {"method\\udc80": "caf\\udce9", "sizes": [0, 1], "no": None}
    assert one.heatmap is not None
    assert (one.heatmap.range, one.heatmap.overlay) == (None, None)
