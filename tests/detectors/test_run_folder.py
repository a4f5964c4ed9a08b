from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clipvet.detectors import (
    DetectionRecord,
    HeatmapFacts,
    ImageFacts,
    Record,
    RecordWriter,
    RunFolder,
    UnfitEnvironment,
    UsageError,
    read_records,
)
from clipvet.detectors.runs._folder import configuration_sha256
from clipvet.detectors.sources._walk import FoundFile, Walk
from tests.runs import save_pictures

CONFIGURATION = {"detectors": ["energy"], "batch": 8}


def record(found: FoundFile, **parts: object) -> Record:
    image = ImageFacts(id=found.id, size=found.size, mtime_ns=found.mtime_ns)
    return Record(image=image).model_copy(update=parts)


def fill(
    out: Path, source: Path, *, fresh: bool = False, verify: bool = False
) -> tuple[list[str], int]:
    """Run over a folder without detectors; returns the ids that were made anew."""
    walk = Walk(sources=[source])
    with RunFolder.open(out, CONFIGURATION, fresh=fresh, verify=verify) as folder:
        made = []
        for found in walk:
            if not folder.is_done(found.id):
                folder.save(sources={k: str(v) for k, v in walk.labels.roots.items()})
                folder.add(record(found))
                made.append(found.id)
        return made, folder.resumed


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return save_pictures(tmp_path / "parts", 4)


def test_what_is_done_is_not_done_again(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    assert fill(out, parts) == (
        ["parts/000.png", "parts/002.png", "parts/003.png", "parts/sub/001.png"], 0,
    )  # fmt: skip
    before = (out / "records.jsonl").read_bytes()
    save_pictures(parts, 1, first=9)
    assert fill(out, parts) == (["parts/009.png"], 4)
    assert (out / "records.jsonl").read_bytes().startswith(before)


def test_a_changed_file_is_done_again_and_its_old_record_is_gone(
    tmp_path: Path, parts: Path
) -> None:
    out = tmp_path / "run"
    fill(out, parts)
    os.utime(parts / "002.png", ns=(1, 1))
    assert fill(out, parts) == (["parts/002.png"], 3)
    records = list(read_records(out / "records.jsonl"))
    assert [r.image.id for r in records].count("parts/002.png") == 1
    assert next(r for r in records if r.image.id == "parts/002.png").image.mtime_ns == 1


def test_a_file_that_is_gone_keeps_its_record(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    fill(out, parts)
    (parts / "000.png").unlink()
    assert fill(out, parts) == ([], 4)


def test_verify_looks_at_the_content(tmp_path: Path, parts: Path) -> None:
    out, path = tmp_path / "run", parts / "000.png"
    with RunFolder.open(out, CONFIGURATION) as folder:
        folder.save(sources={"parts": str(parts)})
        found = next(iter(Walk(sources=[parts])))
        folder.add(record(found, image=ImageFacts(
            id=found.id, size=found.size, mtime_ns=found.mtime_ns, sha256="0" * 64,
        )))  # fmt: skip
    assert found.path == path
    assert "parts/000.png" not in fill(out, parts)[0]
    assert "parts/000.png" in fill(out, parts, verify=True)[0]


def test_torn_repeated_and_senseless_lines_are_dropped(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    fill(out, parts)
    whole = (out / "records.jsonl").read_bytes()
    first, second, *_ = whole.splitlines(keepends=True)
    (out / "records.jsonl").write_bytes(first + bytes(20) + b"\n" + first + second + second[:40])
    assert fill(out, parts) == (["parts/003.png", "parts/sub/001.png"], 2)
    assert (out / "records.jsonl").read_bytes() == whole


def test_another_configuration_is_refused_by_name(tmp_path: Path, parts: Path) -> None:
    fill(tmp_path / "run", parts)
    with pytest.raises(UsageError, match=r"another configuration \(batch, object differ\)"):
        RunFolder.open(tmp_path / "run", {"detectors": ["energy"], "batch": 4, "object": "x"})


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("content", ["", "{}", '{"schema": "other/1"}'])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, content: str, fresh: bool) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ("run.json" if content else "thesis.txt")).write_text(content)
    with pytest.raises(UsageError, match="not empty and not a run folder"):
        RunFolder.open(tmp_path / "run", CONFIGURATION, fresh=fresh)


def test_a_kill_before_the_first_file_leaves_a_usable_folder(tmp_path: Path, parts: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json.part").write_text('{"sche')
    assert len(fill(tmp_path / "run", parts)[0]) == 4


def test_fresh_removes_what_the_run_wrote_and_nothing_else(tmp_path: Path, parts: Path) -> None:
    out = tmp_path / "run"
    names = {"mine": "heatmaps/parts/a.npz", "escape": "../thesis.txt", "odd": "heatmaps/../a.txt"}
    with RunFolder.open(out, CONFIGURATION) as folder:
        for key, name in names.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
            heatmap = HeatmapFacts(file=name, grid=(1, 1), box=(0, 0, 1, 1))
            one = DetectionRecord(detector="d", version="1", task="ood", heatmap=heatmap)
            folder.add(Record(image=ImageFacts(id=f"parts/{key}"), detections=(one,)))
    (out / "notes.txt").write_text("mine")
    (out / "heatmaps" / "parts" / "by-hand.txt").write_text("mine")
    made, resumed = fill(out, parts, fresh=True)
    assert (len(made), resumed) == (4, 0)
    assert not (out / names["mine"]).exists()
    for kept in (names["escape"], names["odd"], "notes.txt", "heatmaps/parts/by-hand.txt"):
        assert (out / kept).exists(), kept


def test_a_removal_that_is_cut_off_leaves_no_record_without_its_picture(
    tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with RunFolder.open(out, CONFIGURATION) as folder:
        (out / "heatmaps").mkdir()
        for key in ("000", "001", "002"):
            name = f"heatmaps/{key}.npz"
            (out / name).write_text("x")
            heatmap = HeatmapFacts(file=name, grid=(1, 1), box=(0, 0, 1, 1))
            one = DetectionRecord(detector="d", version="1", task="ood", heatmap=heatmap)
            folder.add(Record(image=ImageFacts(id=f"parts/{key}.png"), detections=(one,)))
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.name == "001.npz":
            raise SystemExit
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(SystemExit):
            RunFolder.open(out, CONFIGURATION, fresh=True)
    assert (out / "heatmaps" / "002.npz").exists()
    made, resumed = fill(out, parts)
    assert (len(made), resumed) == (4, 0)
    RunFolder.open(out, CONFIGURATION, fresh=True).close()
    assert sorted(p.name for p in out.rglob("*")) == ["failures.jsonl", "records.jsonl", "run.json"]


def test_a_link_cannot_lead_the_removal_elsewhere(tmp_path: Path) -> None:
    out, precious = tmp_path / "run", tmp_path / "precious"
    precious.mkdir()
    (precious / "a.npz").write_text("x")
    with RunFolder.open(out, CONFIGURATION) as folder:
        (out / "heatmaps").mkdir()
        (out / "heatmaps" / "link").symlink_to(precious)
        heatmap = HeatmapFacts(file="heatmaps/link/a.npz", grid=(1, 1), box=(0, 0, 1, 1))
        one = DetectionRecord(detector="d", version="1", task="ood", heatmap=heatmap)
        folder.add(Record(image=ImageFacts(id="a/b"), detections=(one,)))
    RunFolder.open(out, CONFIGURATION, fresh=True).close()
    assert (precious / "a.npz").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_the_environment_s_fault(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", CONFIGURATION)
    folder._records.close()
    folder._records = RecordWriter(Path("/dev/full"))
    with pytest.raises(UnfitEnvironment, match="No space left on device"):
        folder.add(Record(image=ImageFacts(id="a/1")))
    with pytest.raises(UnfitEnvironment, match="cannot write"):  # nor can it be synced
        folder.close()
    RunFolder.open(tmp_path / "run", CONFIGURATION).close()  # and yet it has let go


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        RunFolder.open(tmp_path / "run", CONFIGURATION),
        pytest.raises(UsageError, match="another run is writing"),
    ):
        RunFolder.open(tmp_path / "run", CONFIGURATION)
    RunFolder.open(tmp_path / "run", CONFIGURATION).close()


def test_the_ledger_of_failures_follows_the_records(tmp_path: Path) -> None:
    out = tmp_path / "run"
    lost = DetectionRecord(detector="d", version="1", task="ood", status="error", error="d: no")
    with RunFolder.open(out, CONFIGURATION) as folder:
        image = ImageFacts(id="a/1")
        folder.add(Record(image=image, status="refused", verdict="error", reasons=("16 bits",)))
        folder.add(Record(image=ImageFacts(id="a/2"), detections=(lost,)))
        folder.add(Record(image=ImageFacts(id="a/3")))
    ledger = (out / "failures.jsonl").read_text()
    assert [json.loads(line) for line in ledger.splitlines()] == [
        {"image": "a/1", "status": "refused", "reasons": ["16 bits"]},
        {"image": "a/2", "status": "detector_error", "detector": "d", "reasons": ["d: no"]},
    ]
    (out / "failures.jsonl").unlink()
    RunFolder.open(out, CONFIGURATION).close()
    assert (out / "failures.jsonl").read_text() == ledger


def test_the_hash_of_a_configuration_does_not_depend_on_order() -> None:
    one = {"a": [1, {"c": None}], "b": 2.0}
    assert configuration_sha256(one) == configuration_sha256(dict(reversed(one.items())))
    assert configuration_sha256(one) != configuration_sha256({**one, "b": 2.5})
