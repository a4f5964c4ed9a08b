"""Runs on a real local Ray, of several processes: the same records, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from clipvet.detectors import (
    DetectorSpec,
    Heatmap,
    Host,
    Isolation,
    MissingDependency,
    RayPool,
    Record,
    RunConfig,
    RunSummary,
    Shard,
    UnfitEnvironment,
    UsageError,
    Watching,
    run,
    run_on_ray,
)
from clipvet.detectors.records._ids import Labels
from clipvet.detectors.runs._images import image_source
from clipvet.detectors.scale._listing import Listing
from tests.conftest import Detect
from tests.runs import save_pictures

COUNT = 40
SPECS = (DetectorSpec(id="winclip"), DetectorSpec(id="quality"))
# Ray warns of itself, and of pipes that its own processes leave open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
Go = Callable[..., RunSummary]
Facts = list[dict[str, Any]]


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment of whoever speaks to a local server of object storage."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str], s3: dict[str, str]) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="clipvet[ray] is not installed")
    environment = {**environment, **s3}
    before = {key: os.environ.get(key) for key in environment}
    os.environ.update(environment)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
    )
    yield
    ray.shutdown()
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_pictures(tmp_path_factory.mktemp("pictures") / "parts", COUNT)
    (folder / "010x.png").write_bytes(b"broken")
    (folder / "notes.txt").write_text("no picture")
    os.utime(folder / "010x.png", (1, 1))
    return folder


@pytest.fixture(scope="module")
def local(parts: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images judged without Ray."""
    out = tmp_path_factory.mktemp("local") / "run"
    run(settings([parts], out, tiny), host=Host.load())
    return out


@pytest.fixture
def go(cluster: None, tiny: Path, tmp_path: Path) -> Go:
    def start(sources: Any, out: str | Path = "run", size: int = 6, **options: Any) -> RunSummary:
        calls = {name: options.pop(name) for name in ("on_record", "progress") if name in options}
        folder = Path(out) if str(out).startswith("s3:") else tmp_path / out
        config = settings(sources, folder, tiny, **options)
        pool = RayPool(actors=2, partition=size)
        return run_on_ray(config, host=Host.load(), pool=pool, **calls)

    return start


def settings(sources: Any, out: Path, bundle: Path, **options: Any) -> RunConfig:
    given = {"specs": SPECS, "bundle": str(bundle), "batch_size": 4, "heatmaps": "npz", **options}
    return RunConfig(sources=sources, out=out, **given)


def of_run(folder: Path) -> Facts:
    return [facts(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def of_partitions(folder: Path) -> Facts:
    from pyarrow import parquet

    files = sorted((folder / "records").glob("*.parquet"))
    lines = [line for f in files for line in parquet.read_table(f).column("record").to_pylist()]
    return [facts(line) for line in lines if line is not None]


def facts(line: str) -> dict[str, Any]:
    """A record without what may differ between two runs of the same."""
    return {key: value for key, value in json.loads(line).items() if key != "timing_ms"}


def state(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


@contextmanager
def plugin_file(environment: dict[str, str], text: str) -> Iterator[None]:
    """A plugin that every process finds, as long as it is wanted."""
    file = Path(environment["CLIPVET_PLUGINS_DIR"]) / "harmful_plugin.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    try:
        yield
    finally:
        file.unlink()


def test_records_tables_and_heatmaps_are_those_of_a_local_run(
    go: Go, parts: Path, local: Path, tmp_path: Path
) -> None:
    from pyarrow import parquet

    seen: list[Record] = []
    steps: list[Any] = []
    summary = go([parts], on_record=seen.append, progress=steps.append)
    out = tmp_path / "run"
    assert of_partitions(out) == of_run(local)
    assert [facts(record.to_json()) for record in seen] == of_run(local)
    assert (steps[-1].done, steps[-1].total, steps[-1].failed) == (COUNT + 1, COUNT + 1, 1)
    assert (summary.exit_code, summary.encoder_calls, summary.resumed) == (3, COUNT, 0)
    assert [w for w in summary.warnings if w.startswith("quality compares all images of a run")]
    for key in ("configuration", "counts", "ignored", "sources", "bundles", "provider", "status"):
        assert state(out)[key] == state(local)[key], key
    table = parquet.read_table(out / "records")
    assert table.num_rows == 2 * COUNT + 1  # two detectors, and one image that nothing can read
    scores = {
        row["image"]: row["score"] for row in table.to_pylist() if row["detector"] == "winclip"
    }
    for record in of_run(local):
        for one in record["detections"][:1]:
            assert scores[record["image"]["id"]] == one["score"]
            mine, other = (Heatmap.load(f / one["heatmap"]["file"]).grid for f in (out, local))
            assert np.array_equal(mine, other)


def test_a_finished_run_is_not_repeated_and_new_images_are_judged(
    go: Go, tiny: Path, tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "parts", 12)
    go([parts], heatmaps="none", size=4)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "run/records").iterdir()}
    again = go([parts], heatmaps="none", size=4)
    assert (again.encoder_calls, again.resumed, again.tally.images) == (0, 12, 12)
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "run/records").iterdir()} == files
    (parts / "000.png").write_bytes((parts / "002.png").read_bytes())
    os.utime(parts / "000.png", (1, 1))
    changed = go([parts], heatmaps="none", size=4)
    assert (changed.encoder_calls, changed.resumed) == (4, 8)
    run(settings([parts], tmp_path / "local", tiny, heatmaps="none"), host=Host.load())
    assert of_partitions(tmp_path / "run") == of_run(tmp_path / "local")
    with pytest.raises(UsageError, match=r"another configuration \(heatmaps differ\)"):
        go([parts], heatmaps="npz", size=4)
    with pytest.raises(UsageError, match="partitions of 4 images"):
        go([parts], heatmaps="none", size=5)


def test_a_killed_worker_costs_nothing(go: Go, parts: Path, local: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        """A worker that is judging, after the first partition and before the last."""
        done = tmp_path / "run" / "records"
        while not (done.is_dir() and any(done.iterdir())):
            time.sleep(0.001)
        for process in psutil.Process().children(recursive=True):
            if "MapWorker(MapBatches(Judge)).submit" in process.name() + "".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
                return

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    summary = go([parts], size=4)
    thread.join(10)
    assert len(killed) == 1
    assert summary.tally.images == COUNT + 1
    assert of_partitions(tmp_path / "run") == of_run(local)
    assert len(list((tmp_path / "run/records").iterdir())) == 11


def test_an_isolated_detector_that_crashes_is_an_error_and_no_more(
    go: Go, local: Path, parts: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    text = (
        "import ctypes\nfrom clipvet.detectors import Detector, hookimpl\n\n"
        "class Crashing(Detector):\n"
        "    id = 'crashing'\n    version = '1'\n    task = 'ood'\n"
        "    needs = frozenset({'cls_embed'})\n\n"
        "    def score(self, batch):\n        ctypes.string_at(0)\n\n"
        "@hookimpl\ndef clipvet_register_detectors(register):\n    register(Crashing)\n"
    )
    with plugin_file(environment, text):
        summary = go([parts], specs=(*SPECS, DetectorSpec(id="crashing")), isolate=Isolation())
    assert summary.tally.images == COUNT + 1
    judged, wanted = of_partitions(tmp_path / "run"), of_run(local)
    for record, other in zip(judged, wanted, strict=True):
        crashed = [one for one in record["detections"] if one["detector"] == "crashing"]
        record["detections"] = [one for one in record["detections"] if one not in crashed]
        assert record["detections"] == other["detections"]
        assert len(crashed) == (other["status"] == "ok")
        for one in crashed:
            assert one["status"] == "error"
            assert "worker" in one["error"] or "benched" in one["error"]


def test_an_image_that_kills_every_worker_ends_the_run(
    go: Go, tmp_path: Path, environment: dict[str, str]
) -> None:
    parts = save_pictures(tmp_path / "parts", 3)
    (parts / "poison.deadly").write_bytes(b"x")
    text = (
        "import os\nfrom clipvet.detectors import hookimpl\n\n"
        "def read(path):\n    os._exit(9)\n\n"
        "@hookimpl\ndef clipvet_register_readers(register):\n    register('.deadly', read)\n"
    )
    died = r"3 workers died over the images from parts/0"
    with plugin_file(environment, text), pytest.raises(UnfitEnvironment, match=died):
        go([parts], heatmaps="none")
    assert state(tmp_path / "run")["status"] == "failed"


def test_lists_patterns_and_shards_name_images_as_local_runs_do(
    go: Go, parts: Path, tiny: Path, tmp_path: Path
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    paths = [str(parts / f"{n:03d}.png") for n in (5, 3, 4)] + [str(parts / "gone.png")]
    parquet.write_table(pa.table({"number": [1, 2, 3, 4], "path": paths}), tmp_path / "l.parquet")
    sources: list[str | Path] = [str(tmp_path / "l.parquet"), str(parts / "sub" / "*.png")]
    summary = go(sources, heatmaps="none")
    by_name = (Path(path) for path in [*paths, *map(str, (parts / "sub").glob("*.png"))])
    run(settings(by_name, tmp_path / "one", tiny, heatmaps="none"), host=Host.load())
    assert of_partitions(tmp_path / "run") == of_run(tmp_path / "one")
    assert summary.tally.statuses == {"ok": 4, "unreadable": 1}
    shards = [
        settings([parts], tmp_path, tiny, shard=Shard(number=number, of=3)) for number in (1, 2, 3)
    ]
    listed = [[found.id for found in Listing(config=one, host=Host())] for one in shards]
    assert all(5 < len(part) < 25 for part in listed)
    for one, part in zip(shards, listed, strict=True):
        source = image_source(one, Host(), Labels(), lambda _id: False)
        assert [found.id for found in source if found is not None] == part


def test_object_storage_in_and_out(go: Go, parts: Path, local: Path, tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")

    storage = s3fs.S3FileSystem(use_listings_cache=False)
    storage.mkdir("line")
    storage.put(str(parts), "line/parts", recursive=True)
    storage.pipe_file("line/parts/.hidden.png", b"x")
    summary = go(["s3://line/parts"], Path("s3://line/runs/one"), size=10)
    assert summary.records == "s3://line/runs/one/records"
    storage.get("line/runs/one", str(tmp_path / "one"), recursive=True)
    found, expected = of_partitions(tmp_path / "one"), of_run(local)
    assert [record.pop("reasons") for record in found] != []
    for one, other in zip(found, expected, strict=True):
        assert one["image"].pop("mtime_ns") > 0  # of the object, which is newer than the file
        other["image"].pop("mtime_ns")
        other.pop("reasons")  # a URL in place of a path
    assert found == expected
    name = expected[0]["detections"][0]["heatmap"]["file"]
    here, there = (Heatmap.load(run / name).grid for run in (tmp_path / "one", local))
    assert np.array_equal(here, there)
    run_json = state(tmp_path / "one")
    assert run_json["sources"] == {"parts": "s3://line/parts"}
    assert run_json["ignored"] == {"hidden": 1, "not an image": 1}
    again = go(["s3://line/parts"], Path("s3://line/runs/one"), size=10)
    assert (again.encoder_calls, again.resumed) == (0, COUNT + 1)
    # The run lies beside its images: its own pictures are none of them.
    config = settings(["s3://line/**/00[0-3].png"], tmp_path / "none", tmp_path)
    listing = Listing(config=config, host=Host())
    assert [found.id for found in listing] == [
        "line/parts/000.png", "line/parts/002.png", "line/parts/003.png", "line/parts/sub/001.png"
    ]  # fmt: skip
    assert listing.ignored == {"run folder": 1}
    with pytest.raises(UsageError, match="s3://line/none: no such object or folder"):
        list(Listing(config=replace(config, sources=["s3://line/none"]), host=Host()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"watching": Watching()}, "--watch does not go with --engine ray: watch in a local run"),
        ({"table": "csv"}, "--format csv does not go with --engine ray: detect merge writes it"),
        ({"fresh": True}, "--fresh does not go with --engine ray: choose a new --out"),
    ],
)
def test_what_a_partitioned_run_cannot_do_is_refused(
    options: dict[str, Any], message: str, parts: Path, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        run_on_ray(settings([parts], tmp_path / "run", tiny, **options), host=Host.load())
    assert str(raised.value) == message
    assert not (tmp_path / "run").exists()


def test_the_commands(
    start_in: Detect, environment: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    """On a Ray that the command starts for itself."""
    pytest.importorskip("ray", reason="clipvet[ray] is not installed")
    save_pictures(tmp_path / "parts", 5)
    (tmp_path / "parts" / "bad.png").write_bytes(b"broken")
    options = ["--bundle", tiny, "-d", "quality", "--heatmaps", "none"]
    ray = ["--engine", "ray", "--actors", "1", "--actor-cpus", "1", "--partition", "4"]
    done = start_in("run", "parts", *options, *ray, "--out", "run", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "6 images: 5 not judged, 1 error" in done.stdout
    assert "run/records" in done.stdout
    merged = start_in("merge", "run", "--out", "all", cwd=tmp_path)
    assert merged.returncode == 0, merged.stderr
    assert merged.stdout.startswith("6 images of 1 run: 0 flagged, 1 failed\n")
    local = start_in("run", "parts", *options, "--out", "local", "-q", cwd=tmp_path)
    assert local.returncode == 3
    assert of_run(tmp_path / "all") == of_run(tmp_path / "local")
    refused = start_in("s3://line/parts", *options, cwd=tmp_path)
    assert refused.returncode == 2
    assert "s3://line/parts: object storage is read with --engine ray" in refused.stderr


def test_archives_and_nothing_are_refused(go: Go, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"x")
    with pytest.raises(UsageError, match=r"a\.zip/a\.png: archives, videos and cameras"):
        go([tmp_path / "a.zip"])
    assert not (tmp_path / "run").exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no image in"):
        go([tmp_path / "none"], "other")
    with pytest.raises(UsageError, match="no such file"):
        go([tmp_path / "absent"], "third")


def test_without_ray_the_extra_is_named(
    parts: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingDependency, match=r"--engine ray needs ray.*clipvet\[ray\]"):
        run_on_ray(settings([parts], tmp_path / "run", tiny), host=Host.load())
