"""Set-level detectors: what they keep of each image, and what they say after the last one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clipvet.detectors import (
    Batch,
    DetectorSpec,
    ImageGroup,
    RunConfig,
    RunSummary,
    Score,
    SetSummary,
    Tiling,
    run,
)
from clipvet.detectors.host._validation import detector_problems
from clipvet.detectors.runs._set_store import Store
from clipvet.detectors.testing import FakeRuntime, detector_checks, run_checks
from tests.runs import Energy, host, save_pictures


class Sizes(Energy):
    """Groups images by their mean, in classes of 16 grey levels."""

    id = "sizes"
    keeps: frozenset[str] = frozenset({"level"})

    def score(self, batch: Batch) -> list[list[Score]]:
        return [
            [Score(value=0.0, details={"method": "toy", "level": int(view.pixels.mean() // 16)})]
            for view in batch.views
        ]

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Iterator[ImageGroup]:
        levels: dict[str, list[int]] = {}
        for place, kept in enumerate(store):
            assert set(kept) == {"level"}
            levels.setdefault(str(kept["level"]), []).append(place)
        assert sum(1 for _ in store) == sum(map(len, levels.values()))  # read once more
        print("a detector prints")  # noqa: T201
        for level, places in sorted(levels.items()):
            yield ImageGroup(kind="even", members=places, details={"level": level})


class Careless(Sizes):
    id = "careless"

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Any:
        yield ImageGroup(kind="even", members=[sum(1 for _ in store)])


class Raising(Sizes):
    id = "raising"

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Any:
        raise SystemExit("no\nidea")


class Wordless(Sizes):
    id = "wordless"

    def finish(self, store: Iterable[Mapping[str, Any]]) -> Any:
        return [ImageGroup(kind="odd", members=[], details={"what": object()})]


HOST = host(Energy, Sizes, Careless, Raising, Wordless)


def ran(source: Path, out: Path, *names: str, **options: Any) -> RunSummary:
    specs = [DetectorSpec(id=name) for name in names or ("energy", "sizes")]
    config = RunConfig(sources=[source], specs=specs, out=out, heatmaps="none", **options)
    return run(config, host=HOST, runtime_factory=FakeRuntime)


def groups(out: Path, name: str = "sizes") -> dict[str, list[str]]:
    lines = (out / f"sets/{name}.jsonl").read_text().splitlines()
    return {(line := json.loads(text))["details"]["level"]: line["images"] for text in lines}


def levels(out: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (out / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        for one in record["detections"]:
            if one["detector"] == "sizes":
                found.setdefault(str(one["details"]["level"]), []).append(record["image"]["id"])
    return found


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = save_pictures(tmp_path / "parts", 9)
    (folder / "empty.png").touch()
    return folder


def test_groups_of_all_images_are_written_listed_and_counted(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    summary = ran(parts, out)
    found = groups(out)
    assert found == levels(out)
    assert sum(map(len, found.values())) == 9
    assert summary.sets == (
        SetSummary(
            detector="sizes",
            file="sets/sizes.jsonl",
            groups={"even": len(found)},
            images={"even": 9},
        ),
    )
    state = json.loads((out / "run.json").read_text())
    assert "sets/sizes.jsonl" in state["files"]
    assert state["sets"]["sizes"]["groups"] == {"even": len(found)}
    assert not list(out.rglob("*.part"))


def test_a_resumed_run_groups_old_and_new_images_together(tmp_path: Path, parts: Path) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    ran(parts, out)
    save_pictures(parts, 5, first=20)
    assert ran(parts, out).resumed == 10
    ran(parts, whole)
    assert {k: sorted(v) for k, v in groups(out).items()} == {
        k: sorted(v) for k, v in groups(whole).items()
    }


KILLED = """
import os, signal, sys
from pathlib import Path
from clipvet.detectors import DetectorSpec, RunConfig, run
from clipvet.detectors.testing import FakeRuntime
from tests.detectors.test_sets import HOST

def killed(record):
    if record.image.id.endswith("004.png"):
        os.kill(os.getpid(), signal.SIGKILL)

parts, out = map(Path, sys.argv[1:])
specs = [DetectorSpec(id=name) for name in ("energy", "sizes")]
config = RunConfig(sources=[parts], specs=specs, out=out, heatmaps="none", batch_size=2)
run(config, host=HOST, runtime_factory=FakeRuntime, on_record=killed)
"""


def test_what_was_kept_survives_a_kill(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(parts), str(out)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / "sets").exists()
    summary = ran(parts, out, batch_size=2)
    assert 0 < summary.resumed < 10
    assert groups(out) == levels(out)
    assert sum(map(len, groups(out).values())) == 9


def test_a_detector_that_fails_to_finish_costs_its_groups_only(tmp_path: Path, parts: Path) -> None:
    (parts / "empty.png").unlink()
    out = tmp_path / "run"
    summary = ran(parts, out, "careless", "raising", "wordless", "sizes")
    assert [one.error for one in summary.sets] == [
        "careless: ValueError: a group has place 9, the store has 9 (after the run)",
        "raising: SystemExit: no idea (after the run)",
        "wordless: TypeError: Object of type object is not JSON serializable (after the run)",
        None,
    ]
    assert summary.exit_code == 3
    assert summary.tally.images == 9
    assert [path.name for path in (out / "sets").iterdir()] == ["sizes.jsonl"]


def test_fresh_removes_the_groups_that_are_listed_and_no_other_file(
    tmp_path: Path, parts: Path
) -> None:
    out = tmp_path / "run"
    ran(parts, out)
    (out / "sets/mine.jsonl").write_text("mine")
    ran(parts, out, "energy", fresh=True)
    assert [path.name for path in (out / "sets").iterdir()] == ["mine.jsonl"]
    state = json.loads((out / "run.json").read_text())
    assert state["sets"] == {}


def test_run_json_cannot_name_what_is_not_the_runs(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    ran(parts, out)
    state = json.loads((out / "run.json").read_text())
    state["sets"]["sizes"]["file"] = "sets/../../parts/000.png"
    (out / "run.json").write_text(json.dumps(state))
    ran(parts, out, "energy", fresh=True)
    assert (parts / "000.png").exists()


def test_an_image_in_tiles_keeps_one_value_a_tile(tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 1)
    out = tmp_path / "run"
    ran(parts, out, "sizes", tiling=Tiling(size=20))
    store = Store(out / "records.jsonl", "sizes", frozenset({"level"}))
    assert [len(kept["level"]) for kept in store] == [4]


def test_the_class_says_what_finish_reads() -> None:
    class Mute(Energy):
        keeps: frozenset[str] = frozenset({"level"})

    class Forgetful(Sizes):
        keeps: frozenset[str] = frozenset()

    class Wrong(Sizes):
        keeps: Any = "level"

    assert detector_problems(Sizes) == []
    assert "keeps level, and does not implement finish" in detector_problems(Mute)[0]
    assert "say in keeps which details it reads" in detector_problems(Forgetful)[0]
    assert "keeps must be a set of names of details, not 'level'" in detector_problems(Wrong)[0]


def test_the_checks_of_a_set_level_detector() -> None:
    class Lacking(Sizes):
        keeps: frozenset[str] = frozenset({"level", "colour"})

    failed = {
        cls.id: {one.name for one in run_checks(detector_checks(cls)) if one.message}
        for cls in (Sizes, Careless, Wordless)
    }
    # The toy prints in finish, which nobody minds, and its options are its base's.
    assert failed["sizes"] == set()
    assert failed["careless"] == failed["wordless"] == {"groups_are_of_the_images"}
    lacking = {one.name: one.message for one in run_checks(detector_checks(Lacking))}
    assert lacking["kept_details_are_there"] == "details lack colour, which keeps names"
