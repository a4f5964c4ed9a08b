"""What is replaced by a rename has reached the disk before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import Heatmap, Recipe, RunConfig, run
from clipvet.detectors._whole import replacing
from clipvet.detectors.clip.export._lock import LockedFile, PullLock
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.reports._write import write_report
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, save_pictures

Renames = list[tuple[str, bool]]


@pytest.fixture
def renames(monkeypatch: pytest.MonkeyPatch) -> Renames:
    """Every rename, and whether all that it names had reached the disk."""
    synced: set[int] = set()
    found: Renames = []
    fsync = os.fsync

    def spy_fsync(handle: int) -> None:
        fsync(handle)
        synced.add(os.fstat(handle).st_ino)

    def spied(rename: Callable[..., object]) -> Callable[..., object]:
        def spy(old: Path, new: Path) -> object:
            old = Path(old)
            files = [old] if old.is_file() else [p for p in old.rglob("*") if p.is_file()]
            found.append((Path(new).name, all(p.stat().st_ino in synced for p in files)))
            return rename(old, new)

        return spy

    monkeypatch.setattr(os, "fsync", spy_fsync)
    for module, name in ((os, "replace"), (os, "rename"), (Path, "replace"), (Path, "rename")):
        monkeypatch.setattr(module, name, spied(getattr(module, name)))
    return found


@pytest.mark.parametrize("table", ["csv", "parquet", "sqlite"])
def test_every_file_of_a_run(table: str, renames: Renames, tmp_path: Path) -> None:
    save_pictures(tmp_path / "parts", 3)
    config = RunConfig(
        sources=[tmp_path / "parts"], out=tmp_path / "run", specs=[DetectorSpec(id="energy")],
        table=table,  # type: ignore[arg-type]
    )  # fmt: skip
    run(config, host=EVERYTHING, runtime_factory=FakeRuntime)
    write_report(tmp_path / "run")
    names = {name for name, _ in renames}
    assert {"run.json", f"records.{table}", "report.html"} <= names
    assert len({name for name in names if name.endswith(".npz")}) == 3
    assert len({name for name in names if name.endswith(".png")}) == 3
    assert [name for name, on_disk in renames if not on_disk] == []


def test_the_lock_of_pulls(renames: Renames, tmp_path: Path) -> None:
    PullLock(tmp_path).record("hf-hub:a/b/c", LockedFile(revision=None, sha256="0" * 64))
    assert set(renames) == {("pulls.json", True)}


def test_a_recipe(renames: Renames, tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "sample_data/recipe"
    Recipe.load(sample).save(tmp_path / "recipe")
    assert {one for one in renames if one[0] == "recipe"} == {("recipe", True)}


def test_what_was_there_stays_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    Heatmap(grid=np.zeros((2, 2), np.float32), box=(0, 0, 2, 2), image_size=(2, 2)).save_npz(path)
    before = path.read_bytes()
    with pytest.raises(TypeError), replacing(path) as part:
        part.write_bytes("text")  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["map.npz"]
