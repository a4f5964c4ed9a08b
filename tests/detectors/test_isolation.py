"""Detectors of plugins in worker processes: what they do there costs their own scores only."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from clipvet.detectors import (
    DetectorEntry,
    DetectorSpec,
    Engine,
    FitConfig,
    Host,
    Inspector,
    Isolation,
    Query,
    RawResult,
    RunConfig,
    UsageError,
    fit,
    run,
)
from clipvet.detectors.errors import DetectorError
from clipvet.detectors.host._plugins import PluginSource
from clipvet.detectors.isolation._channel import Channel, ChannelClosed, Message, ProtocolError
from clipvet.detectors.testing import FakeRuntime
from tests.harmful import DiesEarly, DiesLate, Everything, Hostile
from tests.runs import BadStart, Energy, Learner, Troubled, ask, frame, host, save_pictures

FRAMES = [frame(seed) for seed in range(4)]
BUILTIN = PluginSource(dist="clipvet", version="0", entry_point="tests")
OTHERS = host(Learner, Troubled, BadStart, Hostile, Everything, DiesEarly, DiesLate).detectors
ALL = Host(detectors={"energy": DetectorEntry(cls=Energy, source=BUILTIN), **OTHERS})
PATIENT = Isolation()
BOLT = Query(object="bolt")


def engine(*specs: DetectorSpec | str, isolate: Isolation | None = PATIENT, **more: Any) -> Engine:
    return Engine(
        [DetectorSpec(id=s) if isinstance(s, str) else s for s in specs],
        isolate=isolate,
        **{"host": ALL, "runtime_factory": FakeRuntime, "batch_size": 4, **more},
    )


def facts(results: list[list[RawResult]]) -> list[Any]:
    return [
        [
            (
                r.detector,
                r.status,
                r.value,
                None if r.heatmap is None else (r.heatmap.grid.tobytes(), r.heatmap.box),
                json.dumps(r.details),
                r.error,
            )
            for r in of_frame
        ]
        for of_frame in results
    ]


def hostile(always: str = "", **options: Any) -> DetectorSpec:
    return DetectorSpec(id="hostile", options={"always": always, **options})


def harm(name: str) -> tuple[Query, ...]:
    return ask(Query(object=name))


def wait_until(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def harmless() -> list[Any]:
    """What the detectors say in this process, where nothing happens."""
    with engine("energy", "hostile", isolate=None) as plain:
        return facts(plain.score(FRAMES, [ask()] * 4))


HARMS = {
    "exits": "its worker process ended by itself with exit code 7 while it scored 1 view",
    "crashes": "its worker process was killed by SIGSEGV while it scored 1 view",
    "killed": "its worker process was killed by SIGKILL while it scored 1 view",
    "hangs": "its worker process was stopped after 3 s while it scored 1 view",
    "holds": "its worker process was stopped after 3 s while it scored 1 view",
    "hogs": "its worker process may have 0.5 GiB",
    "lies": "its worker process was stopped, for it sent a header of",
    "lies_late": "its worker process was stopped, for it sent the answer to another question",
    "forks": "its worker process",
}


def test_what_ends_a_process_costs_one_image_of_one_detector(harmless: list[Any]) -> None:
    limits = Isolation(seconds=3, gib=0.5)
    with engine("energy", "hostile", isolate=limits, batch_size=1) as watched:
        for how, words in HARMS.items():
            bad, good = facts(watched.score(FRAMES[:2], [harm(how), ask()]))
            assert bad[0] == harmless[0][0]
            detector, status, value, heatmap, _details, error = bad[1]
            assert (detector, status, value, heatmap) == ("hostile", "error", None, None)
            assert error.startswith("hostile: ")
            assert words in error
            assert good == harmless[1]


def test_neighbours_in_a_batch_keep_their_scores(harmless: list[Any]) -> None:
    with engine("energy", "hostile") as watched:
        results = facts(watched.score(FRAMES, [ask(), ask(), harm("crashes"), ask()]))
    assert [results[n] for n in (0, 1, 3)] == [harmless[n] for n in (0, 1, 3)]
    assert results[2][0] == harmless[2][0]
    assert "SIGSEGV" in results[2][1][-1]


def test_three_lost_workers_in_a_row_bench_a_detector(
    harmless: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note = tmp_path / "pid"
    with engine("energy", hostile("exits", note=str(note)), batch_size=1) as watched:
        results = facts(watched.score(FRAMES, [ask()] * 4))
        note.unlink()
        watched.score(FRAMES, [ask()] * 4)
    errors = [of_frame[1][-1] for of_frame in results]
    assert ["benched" in error for error in errors] == [False, False, False, True]
    assert errors[3] == "hostile: benched after 3 lost worker processes in a row"
    assert errors[3] in caplog.messages
    assert not note.exists()  # nothing was started any more
    assert [of_frame[0] for of_frame in results] == [of_frame[0] for of_frame in harmless]


@pytest.mark.parametrize("how", ["exits", "few", "nan", "infinite", "writes"])
def test_what_is_contained_in_process_is_contained_there_in_the_same_words(how: str) -> None:
    spec = DetectorSpec(id="troubled", options={"how": how})
    with engine(spec, isolate=None) as here, engine(spec) as there:
        expected = facts(here.score(FRAMES, [ask()] * 4))
        assert facts(there.score(FRAMES, [ask()] * 4)) == expected
    assert all(status == "error" for of_frame in expected for _, status, *_ in of_frame)


class Strict(FakeRuntime):
    def encode_text(self, prompts: Any) -> Any:
        if "secret" in prompts:
            raise UsageError("this word is not encoded")
        return super().encode_text(prompts)


def test_all_that_a_detector_may_use_is_there_in_a_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = [(BOLT, Query(object="secret")), (BOLT,), (Query(object="nothing"),), (BOLT,)]
    told = []
    for isolate in (None, PATIENT):
        caplog.clear()
        with engine("everything", isolate=isolate, runtime_factory=Strict) as one:
            before = facts(one.score(FRAMES, asked))
            one.fit("everything", FRAMES[:3], BOLT)
            after = facts(one.score(FRAMES, asked))
            told.append((before, after, one.warnings, one.heatmap_range("everything")))
            assert ("everything", logging.WARNING, "scores 4") in caplog.record_tuples
    assert told[0] == told[1]
    before, after, warnings, span = told[1]
    assert [[r[1] for r in of_frame] for of_frame in before] == [
        ["ok", "ok"], ["ok"], ["not_applicable"], ["ok"],
    ]  # fmt: skip
    assert "this word is not encoded" in before[0][1][4]
    assert before[1] != after[1]
    assert warnings == ["this is said once"]
    assert span == (0.0, 32.0)


def test_what_was_learned_outlives_a_worker_and_is_saved(tmp_path: Path) -> None:
    with engine("learner", "hostile") as taught:
        taught.fit("learner", iter(FRAMES), Query())
        expected = facts(taught.score(FRAMES, [ask()] * 4))
        for worker in psutil.Process().children():
            worker.kill()
        lost = facts(taught.score(FRAMES[:1], [ask()]))[0]
        assert [r[1] for r in lost] == ["error", "error"]
        assert "SIGKILL" in lost[0][-1]
        assert facts(taught.score(FRAMES, [ask()] * 4)) == expected
        taught.save("learner", tmp_path)
    spec = DetectorSpec(id="learner", artefact=tmp_path)
    with engine(spec, "hostile", isolate=None) as loaded:
        assert facts(loaded.score(FRAMES, [ask()] * 4)) == expected


def test_a_detector_that_cannot_learn_says_so() -> None:
    with engine("hostile") as fixed, pytest.raises(DetectorError) as isolated:
        fixed.fit("hostile", FRAMES[:1], Query())
    assert str(isolated.value).startswith("hostile failed to learn: TypeError: detector 'hostile'")


def test_many_threads_score_the_same(harmless: list[Any]) -> None:
    with engine("energy", "hostile", batch_size=1) as one, ThreadPoolExecutor(4) as pool:
        scored = list(pool.map(lambda f: facts(one.score([f], [ask()]))[0], FRAMES * 5))
    assert scored == harmless * 5


def test_a_closed_engine_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    children = psutil.Process().children()
    with engine("hostile") as first:
        first.score(FRAMES[:1], [ask()])
    before = psutil.Process().num_fds()
    hanging = engine(hostile("hangs", note=str(note)))
    with ThreadPoolExecutor(1) as pool:
        scoring = pool.submit(hanging.score, FRAMES[:1], [ask()])
        wait_until(note.exists)
        hanging.close()  # while another thread waits for it
        assert "SIGKILL" in str(scoring.result()[0][0].error)
    assert psutil.Process().children() == children
    assert psutil.Process().num_fds() == before


def test_built_in_detectors_stay_here_and_a_class_must_be_found() -> None:
    with engine("energy") as here:
        assert type(here.slots[0].detector) is Energy

    class Local(Energy):
        id = "local"

    with pytest.raises(UsageError, match="local cannot run in a process of its own"):
        engine("local", host=host(Local))


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"seconds": float("nan")}, {"gib": 0.1}])
def test_limits_that_make_no_sense(limits: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give"):
        Isolation(**limits)


def test_a_run_with_workers_equals_one_without(tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 5)
    lines, sets = [], []
    for name, isolate in (("plain", None), ("isolated", PATIENT)):
        config = RunConfig(
            sources=[parts],
            out=tmp_path / name,
            specs=[DetectorSpec(id="everything"), DetectorSpec(id="dies-late")][
                : 1 + bool(isolate)
            ],
            isolate=isolate,
        )
        summary = run(config, host=ALL, runtime_factory=FakeRuntime)
        records = (tmp_path / name / "records.jsonl").read_text("utf-8").splitlines()
        lines.append([json.loads(line)["detections"][0] for line in records])
        sets.append((tmp_path / name / "sets" / "everything.jsonl").read_text("utf-8"))
    assert lines[0] == lines[1]
    assert sets[0] == sets[1] != ""
    assert summary.sets[1].error is not None
    assert "dies-late: its worker process was killed by SIGSEGV" in summary.sets[1].error
    assert summary.exit_code == 3


def test_a_detector_that_fails_while_prepared_costs_its_own_scores(harmless: list[Any]) -> None:
    with engine("dies-early", "energy", "bad-start") as half:
        row = facts(half.score(FRAMES[:1], [ask()]))[0]
    assert row[2][-1] == "bad-start: ZeroDivisionError: in prepare (while it was prepared)"
    assert row[0][-1] == (
        "dies-early: its worker process ended by itself with exit code 3 while it prepared "
        "(while it was prepared)"
    )
    assert row[1] == harmless[0][0]


def test_an_inspector_isolates() -> None:
    settings: dict[str, Any] = {"host": ALL, "runtime_factory": FakeRuntime}
    with Inspector(["hostile", "energy"], isolate=True, query=Query(), **settings) as inspector:
        bad = inspector(FRAMES[0].pixels, queries=harm("crashes"))
        good = inspector(FRAMES[0].pixels, queries=harm("none"))
    assert [one.status for one in bad.detections] == ["error", "ok"]
    assert [one.status for one in good.detections] == ["ok", "ok"]
    assert bad.failed
    assert not good.failed


def packed(header: str, payload: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header.encode() + payload


def test_a_recipe_is_fitted_and_used_with_workers(tmp_path: Path) -> None:
    good = save_pictures(tmp_path / "good", 12)
    more: dict[str, Any] = {"host": ALL, "runtime_factory": FakeRuntime}
    verdicts = []
    for name, isolate in (("plain", None), ("isolated", PATIENT)):
        specs = (DetectorSpec(id="learner"), DetectorSpec(id="energy"))
        out = tmp_path / name
        config = FitConfig(sources=(good,), out=out, specs=specs, rate=0.2, isolate=isolate)
        fit(config, **more)
        with Inspector.load(out, isolate=isolate is not None, **more) as inspector:
            record = inspector(FRAMES[3].pixels)
        verdicts.append([(d.detector, d.score, d.p_value, d.verdict) for d in record.detections])
    assert verdicts[0] == verdicts[1]
    assert verdicts[0][0][2] is not None


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 8,
        packed("[]"),
        packed("{"),
        packed("[" * 20_000),
        packed('["done", {}, [["|O", [1]]]]', b"x" * 8),
        packed('["done", {}, [["<f4", [-1]]]]'),
        packed('["done", {}, [["<f4", [true]]]]'),
        packed('["done", {}, [["<f4", [99999999999]]]]'),
        packed('["done", {"value": NaN}, []]'),
        packed('[["done"], {}, []]'),
        packed('["done", [], []]'),
    ],
)
def test_what_is_no_message_is_refused(sent: bytes) -> None:
    with channel() as (mine, theirs):
        os.write(theirs, sent)
        with pytest.raises(ProtocolError):
            mine.receive()
        os.close(theirs)


def test_messages_arrive_whole() -> None:
    with channel() as (mine, theirs):
        other = Channel(os.dup(theirs), theirs)
        arrays: list[Any] = [
            np.arange(6, dtype=np.float32).reshape(2, 3),
            np.zeros((0, 4), np.uint8),
        ]
        arrays.append(np.asarray([-3]))
        other.send(Message(kind="x", facts={"n": [1, "ä\udc80"]}, arrays=arrays))
        got = mine.receive()
        assert (got.kind, got.facts) == ("x", {"n": [1, "ä\udc80"]})
        for one, two in zip(arrays, got.arrays, strict=True):
            assert one.dtype == two.dtype
            assert np.array_equal(one, two)
            assert two.ctypes.data % 64 == 0 or not two.size
        with pytest.raises(ValueError, match="JSON"):
            other.send(Message(kind="x", facts={"n": float("nan")}))
        other.close()
        with pytest.raises(ChannelClosed):
            mine.receive()


class channel:  # noqa: N801 - used as a function
    """A channel and the descriptor that writes into it."""

    def __enter__(self) -> tuple[Channel, int]:
        read, write = os.pipe()
        self.channel = Channel(read, os.open(os.devnull, os.O_WRONLY))
        return self.channel, write

    def __exit__(self, *_error: object) -> None:
        self.channel.close()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "from tests.detectors.test_isolation import FRAMES, ask, engine, hostile\n"
        f"with engine(hostile('holds', note={str(note)!r})) as one:\n"
        "    one.score(FRAMES[:1], [ask()])\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL) as parent:
        wait_until(lambda: note.exists() and bool(note.read_text("utf-8")))
        worker = int(note.read_text("utf-8"))
        assert not gone(worker)
        parent.send_signal(how)
        parent.wait(120)
        wait_until(lambda: gone(worker), 120)
