"""Runs over disjoint shards merge into what the undivided run would have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipvet.detectors import (
    DetectorSpec,
    Host,
    MergeSummary,
    RunConfig,
    Shard,
    UsageError,
    merge_runs,
    read_records,
    run,
    write_records,
)
from tests.conftest import Detect
from tests.runs import picture, save_pictures

COUNT = 23
SPECS = (DetectorSpec(id="winclip"), DetectorSpec(id="quality"))
Go = Callable[..., Path]
HOST = Host.load()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders, odd names, a broken file, and two equal pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    parts = save_pictures(folder / "parts", COUNT)
    (parts / "sub-1").mkdir()
    for name in ("sub-1/é %.png", "sub.png", "sub/a.png", "b\udcff.png"):
        Image.fromarray(picture(5)).save(parts / name)
    (parts / "010x.png").write_bytes(b"broken")
    (parts / "notes.txt").write_text("no picture")
    return [save_pictures(folder / "zz", 3, first=50), parts]


@pytest.fixture
def go(sources: list[Path], tiny: Path, tmp_path: Path) -> Go:
    def start(out: str, **options: Any) -> Path:
        given = {"sources": sources, "specs": SPECS, "bundle": str(tiny), "heatmaps": "npz"}
        run(RunConfig(**{**given, "out": tmp_path / out, **options}), host=HOST)
        return tmp_path / out

    return start


def timeless(folder: Path, copy: Path) -> bytes:
    """The file of records without times."""
    records = read_records(folder / "records.jsonl")
    write_records(copy, (record.model_copy(update={"timing_ms": {}}) for record in records))
    return copy.read_bytes()


def state(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


def test_shards_merge_into_the_undivided_run(go: Go, tmp_path: Path) -> None:
    whole = go("whole")
    shards = [go(f"shard{n}", shard=Shard(number=n, of=3)) for n in (3, 1, 2)]
    sizes = [len(list(read_records(shard / "records.jsonl"))) for shard in shards]
    assert all(sizes)
    summary: MergeSummary = merge_runs(shards, out=tmp_path / "merged", host=HOST, table="csv")
    merged = tmp_path / "merged"
    assert timeless(merged, tmp_path / "a") == timeless(whole, tmp_path / "b")
    assert (summary.tally.images, summary.tally.failed, summary.runs) == (sum(sizes), 1, 3)
    assert summary.warnings == []
    for name in ("failures.jsonl", "sets/quality.jsonl"):
        assert (merged / name).read_bytes() == (whole / name).read_bytes() != b""
    assert summary.table == merged / "records.csv"
    maps = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.npz")}
    assert {path.relative_to(merged): path.read_bytes() for path in merged.rglob("*.npz")} == maps
    for key in ("configuration", "configuration_sha256", "counts", "ignored", "sources", "status",
                "encoder_calls", "provider", "bundles", "problems", "map_thresholds"):  # fmt: skip
        assert state(merged)[key] == state(whole)[key], key
    before = (merged / "records.jsonl").read_bytes()
    go("merged")  # it is a run like any other: nothing is left to do
    assert (merged / "records.jsonl").read_bytes() == before
    assert state(merged)["encoder_calls"] == state(whole)["encoder_calls"]


def test_a_shard_that_is_missing_is_named(go: Go, tmp_path: Path) -> None:
    one = go("one", shard=Shard(number=1, of=3), heatmaps="none")
    three = go("three", shard=Shard(number=3, of=3), heatmaps="none")
    summary = merge_runs([one, three], out=tmp_path / "merged", host=HOST)
    assert summary.warnings == ["the images of shard 2/3 are not among these runs"]


def test_what_does_not_belong_together_is_refused(go: Go, tmp_path: Path) -> None:
    one = go("one", shard=Shard(number=1, of=2), heatmaps="none")
    all_ = go("all", heatmaps="none")
    other = go("other", shard=Shard(number=2, of=2), heatmaps="none", batch_size=2)

    def refusal(*runs: Path, out: str = "merged") -> str:
        with pytest.raises(UsageError) as raised:
            merge_runs(runs, out=tmp_path / out, host=HOST)
        return str(raised.value)

    assert "is in two of these runs" in refusal(one, all_, out="overlap")
    assert "another configuration" in refusal(one, other)
    assert "(batch differ)" in refusal(one, other)
    assert "is not empty: merge into a new folder" in refusal(one, out="one")
    assert "is no run folder" in refusal(tmp_path)
    (one / "run.json").write_text(json.dumps({**state(one), "status": "interrupted"}))
    assert "is not finished (interrupted): go on with that run first" in refusal(one)
    assert not (tmp_path / "merged").exists()


def test_equal_labels_of_different_folders_are_refused(go: Go, tmp_path: Path) -> None:
    one = go("one", sources=[save_pictures(tmp_path / "monday" / "parts", 2)], heatmaps="none")
    two = go("two", sources=[save_pictures(tmp_path / "tuesday" / "parts", 2)], heatmaps="none")
    with pytest.raises(UsageError, match=r"'parts' means .*tuesday/parts in .*two and .*monday"):
        merge_runs([one, two], out=tmp_path / "merged", host=HOST)


def test_a_partitioned_run_becomes_a_run_folder(go: Go, tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from clipvet.detectors.scale._partitions import PartitionFolder, write_partition
    from clipvet.detectors.scale._storage import Storage

    whole = go("whole")
    records = list(read_records(whole / "records.jsonl"))
    storage = Storage.of(tmp_path / "partitioned")
    folder = PartitionFolder.open(storage, state(whole)["configuration"], 10)
    for number in range(0, len(records), 10):
        name = f"part-{number // 10:05d}-0.parquet"
        write_partition(storage, name, records[number : number + 10])
    (whole / "heatmaps").rename(tmp_path / "partitioned" / "heatmaps")
    facts = {key: state(whole)[key] for key in ("sources", "bundles", "provider", "map_thresholds")}
    folder.save(status="finished", **facts)
    merge_runs([tmp_path / "partitioned"], out=tmp_path / "merged", host=HOST)
    merged = tmp_path / "merged"
    assert (merged / "records.jsonl").read_bytes() == (whole / "records.jsonl").read_bytes()
    assert (merged / "sets/quality.jsonl").read_bytes() == (
        whole / "sets/quality.jsonl"
    ).read_bytes()
    assert len(list(merged.rglob("*.npz"))) == len(records) - 1


def test_the_commands(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    save_pictures(tmp_path / "parts", 8)
    options = ["--bundle", tiny, "-d", "quality", "-q"]
    for n in (1, 2):
        done = detect("run", "parts", *options, "--shard", f"{n}/2", "--out", f"s{n}")
        assert done.returncode == 0, done.stderr
    done = detect("merge", "s1", "s2", "--out", "merged")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "8 images of 2 runs: 0 flagged, 0 failed"
    assert detect("report", "merged", "-q").returncode == 0
    for wrong in ("0/2", "3/2", "2", "1/0"):
        done = detect("run", "parts", *options, "--shard", wrong, "--out", "x")
        assert done.returncode == 2, wrong
        assert "shard" in done.stderr
    done = detect("run", "parts", *options, "--actors", "2")
    assert (done.returncode, "belong to --engine ray" in done.stderr) == (2, True)
    done = detect("run", "parts", *options, "--engine", "ray", "--json")
    assert (done.returncode, "--json does not go with --engine ray" in done.stderr) == (2, True)
