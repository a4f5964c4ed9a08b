"""Scores that only the end of a run can tell: pending, spooled, and written into the records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import (
    Batch,
    DetectorSpec,
    Engine,
    ImageGroup,
    ImageScores,
    Inspector,
    Isolation,
    Query,
    Record,
    RunConfig,
    RunSummary,
    Score,
    Shard,
    Tiling,
    merge_runs,
    read_records,
    run,
)
from clipvet.detectors.runs._set_store import Store
from clipvet.detectors.testing import FakeRuntime, detector_checks, run_checks
from tests.runs import Energy, Questioner, frame, host, save_pictures

ROOT = Path(__file__).parents[2]


class Outlier(Energy):
    """Distance of an image's mean patch to the mean of all images of the run."""

    id = "outlier"
    keeps = frozenset({"size"})

    def score(self, batch: Batch) -> list[list[Score]]:
        return [
            [
                Score(
                    value=0.0,
                    details={"method": "pending", "size": list(view.pixels.shape)},
                    spool={"patch": patches.mean(axis=0), "number": np.asarray(view.index)},
                )
            ]
            for view, patches in zip(batch.views, batch.features["patch_embed"], strict=True)
        ]

    def finish(
        self, store: Sequence[Mapping[str, Any]]
    ) -> Iterator[ImageGroup | ImageScores | str]:
        means = [np.atleast_2d(kept["patch"]) for kept in store]
        if not means:
            return
        assert all(set(kept) == {"size", "patch", "number"} for kept in store)
        centre = np.sort(np.concatenate(means), axis=0).mean(axis=0)
        yield "a sentence\nabout the run"
        yield ImageGroup(kind="seen", members=[0], details={"of": len(store)})
        for place in reversed(range(len(store))):  # in any order
            scores = [float(np.abs(mean - centre).max()) for mean in means[place]]
            yield ImageScores(place=place, views=[self.late(value, len(means)) for value in scores])

    def late(self, value: float, images: int) -> Score:
        grid = np.full((2, 2), value, np.float32)
        return Score(value=value, heatmap=grid, details={"method": f"of {images}"})


class Refusing(Outlier):
    """Says why there are no scores."""

    id = "refusing"

    def finish(self, store: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        yield f"refusing: {len(store)} images are too few"


class Breaking(Outlier):
    id = "breaking"

    def finish(self, store: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        yield from super().finish(store)
        raise RuntimeError("broken in the end")


class Miscounting(Outlier):
    id = "miscounting"

    def finish(self, store: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        yield ImageScores(place=0, views=[])


class Endless(Outlier):
    id = "endless"

    def finish(self, store: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        yield ImageScores(place=0, views=[Score(value=float("inf"))])


class Asking(Questioner):
    id = "asking"

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[Score(value=0.0, spool={"a": np.zeros(1)}) for _ in q] for q in batch.queries]


class Texting(Outlier):
    id = "texting"

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[Score(value=0.0, spool={"a": np.array(["text"])})] for _ in batch.views]


HOST = host(Energy, Outlier, Refusing, Breaking, Miscounting, Endless, Asking, Texting)


def ran(source: Path, out: Path, *names: str, **options: Any) -> RunSummary:
    specs = [DetectorSpec(id=name) for name in names or ("energy", "outlier")]
    on_record = options.pop("on_record", lambda _record: None)
    options = {"heatmaps": "overlay", "batch_size": 2, **options}
    config = RunConfig(sources=[source], specs=specs, out=out, **options)
    return run(config, host=HOST, runtime_factory=FakeRuntime, on_record=on_record)


def outliers(out: Path, detector: str = "outlier") -> dict[str, Any]:
    return {
        record.image.id: one
        for record in read_records(out / "records.jsonl")
        for one in record.detections
        if one.detector == detector
    }


def results(out: Path) -> Any:
    """What must be equal in equal runs: everything but the times."""
    return {
        record.image.id: record.model_dump(exclude={"timing_ms", "runtime"})
        for record in read_records(out / "records.jsonl")
    }


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for top in ("heatmaps", "overlays", "spool")
        for path in sorted((out / top).rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = save_pictures(tmp_path / "parts", 7)
    (folder / "empty.png").touch()
    return folder


def test_scores_maps_and_sentences_come_after_the_last_image(tmp_path: Path, parts: Path) -> None:
    out, seen = tmp_path / "run", list[Record]()
    summary = ran(parts, out, on_record=seen.append)
    found = outliers(out)
    assert len(found) == 7
    for name, one in found.items():
        assert one.status == "ok"
        assert one.error is None
        assert one.details == {"method": "of 7", "size": [30, 40, 3]}
        assert one.heatmap.file == f"heatmaps/{name}.outlier.npz"
        assert (out / one.heatmap.file).is_file()
        assert (out / one.heatmap.overlay).is_file()
        assert one.heatmap.box == (0, 0, 40, 30)
    assert len({one.score for one in found.values()}) == 7
    (said,) = summary.sets
    assert (said.scored, said.notes) == (7, ("a sentence about the run",))
    assert said.groups == {"seen": 1}
    worst = summary.tally.worst()["outlier"]
    assert [one.score for one in worst] == sorted((o.score for o in found.values()), reverse=True)[
        :5
    ]
    assert worst[0].overlay == found[worst[0].image].heatmap.overlay
    assert summary.tally.images == 8
    assert summary.exit_code == 3  # of the empty file
    # Whoever reads along gets every record once, and none that is not complete.
    assert sorted(one.image.id for one in seen) == sorted(results(out))
    assert {one.status for record in seen for one in record.detections} == {"ok"}


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.detectors import test_late_scores as own
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._late_scores import LateScores

where, parts, out = sys.argv[1], *map(Path, sys.argv[2:])
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if where == "finish":
    taken = LateScores.take
    def take(self, slot, record, views):
        taken(self, slot, record, views)
        if record.image.id.endswith("004.png"):
            die()
    LateScores.take = take
elif where == "rewrite":
    import clipvet.detectors.runs._folder as folder
    written = folder.write_records
    folder.write_records = lambda path, records: (written(path, records), die())
elif where == "replace":
    import clipvet.detectors._whole as whole
    replaced = os.replace
    def replace(part, path):
        if Path(path).name == "records.jsonl":
            die()
        replaced(part, path)
    whole.os.replace = replace
else:
    added = RunFolder.add
    def add(self, record):
        added(self, record)
        if record.image.id.endswith("004.png"):
            die()
    RunFolder.add = add
own.ran(parts, out)
"""


@pytest.mark.parametrize("where", ["middle", "finish", "replace", "rewrite"])
def test_a_killed_run_resumes_as_if_it_had_not_been(
    tmp_path: Path, parts: Path, where: str
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED, where, str(parts), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    for one in outliers(out).values():
        assert (one.status, one.score is None) in {("pending", True), ("ok", False)}
        # Either all of them have their scores or none: the records are replaced as one file.
        assert (one.status == "ok") == (where == "rewrite")
        assert where == "rewrite" or "not scored" in one.error
        assert one.details["size"] == [30, 40, 3]
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    resumed = ran(parts, out)
    assert resumed.resumed == (4 if where == "middle" else 8)
    ran(parts, whole)
    assert results(out) == results(whole)
    assert files(out) == files(whole)
    assert (out / "failures.jsonl").read_bytes() == (whole / "failures.jsonl").read_bytes()


def test_later_images_change_the_scores_of_all(tmp_path: Path, parts: Path) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    ran(parts, out)
    before = outliers(out)
    save_pictures(parts, 3, first=30)
    ran(parts, out)
    ran(parts, whole)
    assert results(out) == results(whole)
    assert {one.details["method"] for one in outliers(out).values()} == {"of 10"}
    assert all(outliers(out)[name].score != one.score for name, one in before.items())


def test_an_image_whose_arrays_are_gone_is_encoded_again(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    ran(parts, out)
    before = results(out)
    (out / "spool/parts/003.png.outlier.safetensors").unlink()
    again = ran(parts, out)
    assert (again.resumed, again.encoder_calls) == (7, 1)
    assert results(out) == before


def test_a_spool_that_is_damaged_costs_the_scores_and_says_what_to_do(
    tmp_path: Path, parts: Path
) -> None:
    out = tmp_path / "run"
    ran(parts, out)
    (out / "spool/parts/003.png.outlier.safetensors").write_bytes(b"no arrays")
    summary = ran(parts, out)
    assert "delete it, then start the run again" in (summary.sets[0].error or "")
    assert {one.status for one in outliers(out).values()} == {"error"}


def test_fresh_removes_arrays_and_maps_even_of_a_run_killed_in_the_end(
    tmp_path: Path, parts: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, "finish", str(parts), str(out)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert list((out / "heatmaps").rglob("*.outlier.npz"))
    (out / "spool/mine.txt").write_text("mine")
    ran(parts, out, "energy", fresh=True, heatmaps="none")
    assert files(out) == {"spool/mine.txt": b"mine"}


def test_an_image_that_gets_no_score_says_why(tmp_path: Path, parts: Path) -> None:
    summary = ran(parts, tmp_path / "run", "refusing")
    assert summary.sets[0].notes == ("refusing: 7 images are too few",)
    assert summary.tally.not_applicable == {"refusing": 7}
    for one in outliers(tmp_path / "run", "refusing").values():
        assert one.status == "not_applicable"
        assert one.error == "refusing: 7 images are too few"
        assert one.score is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("breaking", "RuntimeError: broken in the end (after the run)"),
        ("miscounting", "finish gave 0 scores for 1 view of parts/000.png"),
        ("endless", "its score is inf, not a finite number"),
    ],
)
def test_a_detector_that_fails_in_the_end_fails_on_every_image(
    tmp_path: Path, parts: Path, name: str, said: str
) -> None:
    (parts / "empty.png").unlink()
    summary = ran(parts, tmp_path / "run", "energy", name)
    assert said in (summary.sets[0].error or "")
    assert summary.exit_code == 3
    found = outliers(tmp_path / "run", name)
    assert {one.status for one in found.values()} == {"error"}
    assert all(said in one.error and one.score is None for one in found.values())
    assert all(one.score is not None for one in outliers(tmp_path / "run", "energy").values())
    lines = (tmp_path / "run/failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["detector"] for line in lines] == [name] * 7


def test_what_cannot_be_spooled_is_refused(tmp_path: Path, parts: Path) -> None:
    summary = ran(parts, tmp_path / "run", "texting")
    assert summary.tally.detector_errors == {"texting": 7}
    (one, *_) = outliers(tmp_path / "run", "texting").values()
    assert "its spool holds a, which is <U4" in one.error
    assert not (tmp_path / "run/spool").exists()


def engine(*names: str, **options: Any) -> Engine:
    specs = [DetectorSpec(id=name) for name in names]
    return Engine(specs, host=HOST, **{"runtime_factory": FakeRuntime, **options})


def test_scores_of_questions_cannot_wait() -> None:
    with engine("asking") as asked:
        ((result,),) = asked.score([frame(0)], [[Query(question="what?")]])
    assert result.status == "error"
    assert "which takes a detector without queries" in (result.error or "")


def test_an_image_in_tiles_is_one_image(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    ran(parts, out, "outlier", tiling=Tiling(size=20))
    found = outliers(out)
    for one in found.values():
        assert len(one.details["size"]) == 4
        assert one.heatmap.grid == (3, 4)
        assert len(one.details["worst_view"]) == 4
    store = Store(out / "records.jsonl", "outlier", frozenset({"size"}))
    assert len(store) == 7
    assert [int(number) for number in store[-1]["number"]] == [0, 1, 2, 3]
    assert len(store[1:3]) == 2
    with pytest.raises(IndexError):
        store[7]


def test_shards_merge_into_the_scores_of_the_undivided_run(
    tmp_path: Path, parts: Path, tiny: Path
) -> None:
    runs = {name: tmp_path / name for name in ("1/2", "2/2", "whole")}
    for name, out in runs.items():
        config = RunConfig(
            sources=[parts],
            specs=[DetectorSpec(id="outlier")],
            out=out,
            bundle=str(tiny),
            shard=None if name == "whole" else Shard.parse(name),
        )
        whole = run(config, host=HOST)
    out = tmp_path / "merged"
    merged = merge_runs([runs["1/2"], runs["2/2"]], out=out, host=HOST)
    assert merged.sets == whole.sets
    assert merged.tally.worst() == whole.tally.worst()
    assert results(out) == results(runs["whole"])
    assert files(out) == files(runs["whole"])


def test_in_a_process_of_its_own_it_says_the_same(tmp_path: Path, parts: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    ran(parts, here, "outlier", tiling=Tiling(size=20))
    summary = ran(parts, there, "outlier", tiling=Tiling(size=20), isolate=Isolation())
    assert results(there) == results(here)
    assert summary.sets[0].notes == ("a sentence about the run",)
    broken = ran(parts, tmp_path / "broken", "miscounting", isolate=Isolation())
    assert "finish gave 0 scores for 1 view" in (broken.sets[0].error or "")


def test_alone_an_image_is_pending(tiny: Path) -> None:
    with Inspector(["outlier"], bundle=tiny, host=HOST) as inspect:
        (one,) = inspect(np.zeros((8, 8, 3), np.uint8)).detections
    assert (one.status, one.score, one.spool, one.heatmap) == ("pending", None, None, None)
    assert "it scores the images of a run (detect run) after the last" in (one.error or "")


def test_outside_of_the_domain_a_late_score_abstains(tmp_path: Path, parts: Path) -> None:
    from tests.detectors.test_engine import Gated

    config = RunConfig(sources=[parts], specs=[DetectorSpec(id="outlier")], out=tmp_path / "run")
    run(config, host=HOST, runtime_factory=Gated)
    for record in read_records(tmp_path / "run/records.jsonl"):
        for one in record.detections:
            assert one.domain is not None
            outside = one.domain.score > one.domain.threshold
            assert one.verdict == record.verdict == ("abstain" if outside else None)
            assert bool(record.reasons) == outside


def test_the_promises_of_a_detector_whose_scores_come_late() -> None:
    failed = [one for one in run_checks(detector_checks(Outlier)) if one.message]
    assert failed == []
    broken = {one.name for one in run_checks(detector_checks(Miscounting)) if one.message}
    assert broken == {"groups_are_of_the_images"}
