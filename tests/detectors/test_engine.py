from __future__ import annotations

import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import (
    Batch,
    DetectorSpec,
    Engine,
    Frame,
    Query,
    RawResult,
    Region,
    Score,
    Tiling,
    UsageError,
    read_frame,
)
from clipvet.detectors.clip import DomainGate
from clipvet.detectors.errors import DetectorError, FrameRefused
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, Energy, ask, frame, host

FRAMES = [frame(seed) for seed in range(7)]


def engine(*specs: DetectorSpec | str, **options: Any) -> Engine:
    options = {"runtime_factory": FakeRuntime, "host": EVERYTHING, "batch_size": 4, **options}
    return Engine([DetectorSpec(id=s) if isinstance(s, str) else s for s in specs], **options)


def frame_of(pixels: NDArray[np.uint8]) -> Frame:
    return read_frame(np.ascontiguousarray(pixels))


def facts(results: list[list[RawResult]]) -> list[Any]:
    return [
        [
            (r.detector, r.value, None if r.heatmap is None else r.heatmap.grid.tobytes(), r.error)
            for r in of_frame
        ]
        for of_frame in results
    ]


@pytest.mark.parametrize("tiling", [None, Tiling(16, 4)])
def test_any_grouping_of_images_gives_the_same_bits(tiling: Tiling | None) -> None:
    with engine("energy", tiling=tiling) as together:
        all_at_once = facts(together.score(FRAMES, [ask()] * 7))
    for batch_size, order in [(1, range(7)), (3, [6, 2, 0, 1, 5, 4, 3]), (16, range(7))]:
        with engine("energy", tiling=tiling, batch_size=batch_size) as one:
            for index in order:
                assert facts(one.score([FRAMES[index]], [ask()])) == [all_at_once[index]]


def test_one_pass_serves_all_detectors_of_a_bundle() -> None:
    with engine("energy", "learner", "asker") as shared:
        shared.fit("learner", FRAMES[:2], Query())
        before = shared.encoder_calls
        shared.score(FRAMES, [ask()] * 7)
        assert shared.encoder_calls - before == 7


def test_a_detector_with_a_bundle_of_its_own_makes_a_second_pass() -> None:
    other = DetectorSpec(id="learner", bundle="other")
    with engine("energy", other) as two:
        two.fit("learner", FRAMES[:1], Query())
        before = two.encoder_calls
        two.score(FRAMES[:3], [ask()] * 3)
        assert two.encoder_calls - before == 3 * 2


def test_the_worst_tile_speaks_for_the_image_and_the_map_covers_it() -> None:
    with engine("energy", tiling=Tiling(16)) as tiled:
        result = tiled.score([FRAMES[0]], [ask()])[0][0]
        views = tiled.plan(FRAMES[0]).views
    with engine("energy") as whole:
        rows = whole.score([frame_of(view.pixels) for view in views], [ask()] * len(views))
    single = [row[0].value or 0.0 for row in rows]
    assert result.value == max(single)
    assert result.details["worst_view"] == list(views[int(np.argmax(single))].box)
    assert result.heatmap is not None
    assert result.heatmap.box == (0, 0, 40, 30)


def test_a_region_that_does_not_fit_refuses_the_frame() -> None:
    with (
        engine("energy", region=Region.parse("0,0,100,100")) as cut,
        pytest.raises(FrameRefused, match="reaches beyond"),
    ):
        cut.score([FRAMES[0]], [ask()])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raises", "RuntimeError: no idea"),
        ("exits", "SystemExit: 1"),
        ("nan", "not a finite number"),
        ("nan_map", "not finite"),
        ("few", "returned 3 results for 4 views"),
        ("shape", r"heatmap is float32 \[3\]"),
        ("writes", "ValueError: cannot set WRITEABLE flag"),
        ("adds", "TypeError"),
        ("details", "which JSON cannot"),
        ("type", "float instead of Score"),
        ("empties", "'tuple' object has no attribute 'clear'"),
        ("paints", "assignment destination is read-only"),
        ("infinite", "int too large to convert to float"),
        ("torch", "ModuleNotFoundError: import of torch halted"),
    ],
)
def test_a_broken_detector_costs_its_own_scores_only(
    how: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    with engine("energy") as alone:
        expected = facts(alone.score(FRAMES[:4], [ask()] * 4))
    broken = DetectorSpec(id="troubled", options={"how": how})
    with engine(broken, "energy") as both:
        results = both.score(FRAMES[:4], [ask()] * 4)
    assert [row[1:] for row in facts(results)] == expected
    for row in results:
        assert row[0].status == "error"
        assert row[0].value is None
        assert row[0].error is not None
        assert row[0].error.startswith("troubled")
        assert "\n" not in row[0].error
    with engine(broken) as again:
        first = again.score(FRAMES[:4], [ask()] * 4)[0][0].error
    if how == "few":  # tried again image by image: none of one view comes back
        words = "returned 0 results for 1 view"
    assert re.search(words, str(first)), first
    assert capsys.readouterr().out == ""


def test_one_image_that_breaks_a_detector_does_not_cost_its_neighbours() -> None:
    white = frame_of(np.full((30, 40, 3), 255, np.uint8))
    spec = DetectorSpec(id="troubled", options={"brightest_only": True})
    with engine("energy", spec) as mixed:
        results = mixed.score([*FRAMES[:3], white], [ask()] * 4)
    assert [row[1].status for row in results] == ["ok", "ok", "ok", "error"]
    assert [row[1].value for row in results[:3]] == [row[0].value for row in results[:3]]


def test_prints_go_to_the_log_and_streams_come_back(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = sys.stdout
    with caplog.at_level(logging.INFO), engine("troubled") as noisy:
        noisy.score(FRAMES[:1], [ask()])
    assert sys.stdout is before
    assert capsys.readouterr() == ("", "")
    assert "a detector prints" in caplog.messages
    print("heard")  # noqa: T201
    assert capsys.readouterr().out == "heard\n"


def test_five_failing_batches_bench_a_detector() -> None:
    with engine("troubled", "energy", batch_size=1) as tried:
        errors = [tried.score([f], [ask()])[0][0].error for f in FRAMES]
    assert [("benched" in (error or "")) for error in errors] == [False] * 5 + [True] * 2


def test_a_missing_query_is_not_applicable() -> None:
    known = Query(classes=("a", "b"))
    with engine("asker") as asking:
        results = asking.score(FRAMES[:2], [(Query(), known), (known,)])
    assert [r.status for r in results[0]] == ["not_applicable", "ok"]
    assert results[0][0].error == "asker needs classes, which were not given"
    assert results[0][1].value == 2
    assert results[0][1].query == known
    assert [r.status for r in results[1]] == ["ok"]


def test_queries_that_are_equal_to_a_detector_are_asked_once() -> None:
    asked = [Query(classes=("a", "b"), question=f"{n}?", choices=("x",)) for n in range(3)]
    asked.append(Query(classes=("c",), question="0?"))
    with engine("asker", "energy") as asking:
        results = asking.score(FRAMES[:1], [asked])[0]
    assert [(r.detector, r.value) for r in results if r.detector == "asker"] == [
        ("asker", 2),
        ("asker", 1),
    ]
    assert [r.detector for r in results].count("energy") == 1


def test_a_detector_that_breaks_while_prepared_fails_by_name() -> None:
    with engine("bad-start", "energy") as half:
        row = half.score(FRAMES[:1], [ask()])[0]
    assert row[0].error == "bad-start: ZeroDivisionError: in prepare (while it was prepared)"
    assert row[1].status == "ok"


def test_what_was_learned_is_saved_and_loaded(tmp_path: Path) -> None:
    with engine("learner") as taught:
        taught.fit("learner", iter(FRAMES[:5]), Query())
        expected = taught.score(FRAMES, [ask()] * 7)
        taught.save("learner", tmp_path)
    with engine(DetectorSpec(id="learner", artefact=tmp_path)) as loaded:
        assert facts(loaded.score(FRAMES, [ask()] * 7)) == facts(expected)
    with engine("learner") as blank:
        assert "AttributeError" in str(blank.score(FRAMES[:1], [ask()])[0][0].error)


def test_a_detector_that_cannot_learn_says_so() -> None:
    with engine("energy") as fixed, pytest.raises(DetectorError, match="does not learn"):
        fixed.fit("energy", FRAMES[:1], Query())


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([], "no detector was chosen"),
        (["energy", "energy"], "named twice"),
        (["enery"], "there is no detector 'enery'"),
        ([DetectorSpec(id="troubled", options={"how": "sings"})], "troubled.how: "),
        ([DetectorSpec(id="energy", options={"speed": 1})], "energy.speed: there is no such"),
    ],
)
def test_requests_that_make_no_sense(specs: list[Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        engine(*specs)


def test_many_threads_score_the_same() -> None:
    with engine("energy", "troubled", batch_size=2) as shared, ThreadPoolExecutor(4) as pool:
        expected = [facts(shared.score([f], [ask()]))[0][0] for f in FRAMES]
        out = sys.stdout
        again = list(pool.map(lambda f: facts(shared.score([f], [ask()]))[0][0], FRAMES * 5))
    assert again == expected * 5
    assert sys.stdout is out


class Gated(FakeRuntime):
    gate = DomainGate(
        features=("cls_embed",),
        mean=np.zeros(32),
        scale=np.ones(32),
        weight=np.eye(32)[0],
        bias=0.0,
        threshold=0.125,
        inside=0.0625,
    )


def test_the_domain_gate_has_no_say_in_what_reads_pixels_alone() -> None:
    class Pixels(Energy):
        id = "pixels"
        needs = frozenset[str]()

        def score(self, batch: Batch) -> list[list[Score]]:
            return [[Score(value=float(view.pixels.mean()))] for view in batch.views]

    both = host(Energy, Pixels)
    with engine("energy", "pixels", host=both, runtime_factory=Gated) as gated:
        for energy, pixels in gated.score(FRAMES, [ask()] * 7):
            assert energy.domain is not None
            assert pixels.domain is None
    with engine("pixels", host=both) as alone:
        alone.score(FRAMES, [ask()] * 7)
        assert alone.encoder_calls == 0


@pytest.mark.parametrize("tiling", [None, Tiling(16, 4)])
def test_every_result_carries_what_the_domain_gate_says(tiling: Tiling | None) -> None:
    with engine("energy", tiling=tiling, runtime_factory=Gated) as gated:
        together = gated.score(FRAMES, [ask()] * 7)
        scores = []
        for one, image in zip(together, FRAMES, strict=True):
            (result,) = one
            assert result.domain is not None
            assert gated.score([image], [ask()])[0][0].domain == result.domain
            views = [view.pixels for view in gated.plan(image).views]
            features = FakeRuntime("fake", needs={"cls_embed"}).encode_views(views)
            expected = features["cls_embed"][:, 0].astype(float).mean()
            assert result.domain.score == pytest.approx(expected, abs=1e-6)
            assert (result.domain.threshold, result.domain.inside) == (0.125, 0.0625)
            scores.append(result.domain.score)
        assert len(set(scores)) == 7
    with engine("energy", tiling=tiling) as plain:
        assert plain.score(FRAMES[:1], [ask()])[0][0].domain is None
