"""`python -m benchmarks.gpu` as far as it goes without a GPU."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks import _gpu_clipvet, gpu
from benchmarks._gpu_page import FolderRate, Row, Table, page

DRY = ["--device", "cpu", "--models", "tiny", "--rounds", "2", "--rate-size", "64"]


def test_without_a_gpu_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime can use CUDA")
    out = tmp_path / "GPU.md"
    with pytest.raises(SystemExit, match=r"^benchmarks\.gpu measures a GPU.*--device cpu") as said:
        gpu.main(["--out", str(out)])
    assert "\n" not in str(said.value)
    # An onnxruntime-gpu whose libraries are missing lists CUDA all the same.
    monkeypatch.setattr(gpu, "available_providers", lambda: ["CUDAExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(SystemExit, match="CUDA does not start here"),
    ):
        gpu.main(["--rate-size", "64", "--out", str(out)])
    assert not out.exists()


def test_the_dry_run_goes_all_the_way_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "GPU.md"
    batches = ["--batches", "1", "3", "--images", "4"]
    gpu.main([*DRY, *batches, "--torch", "eager", "sdpa", "--out", str(out)])
    assert not out.exists()
    text = capsys.readouterr().out
    assert text.startswith("# DRY RUN ON THE CPU: no result\n")
    assert "no GPU" in text
    assert "Targets" not in text
    for rows in (1, 3):
        assert f"## tiny, batch {rows}" in text
    for name in [*_gpu_clipvet.ARMS, "torch eager", "torch sdpa"]:
        assert (
            len(re.findall(rf"^\| {name} \|.*\| (?:0\.9999|1\.0000)\d\d \|$", text, re.MULTILINE))
            == 2
        )
    assert text.count("is equal bit for bit") == 1
    assert re.search(r"4 JPEGs of 640 pixels, batch 3, no heatmaps: [\d.]+ images/s", text)


def test_an_arm_that_does_not_start_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    gpu.main([*DRY, "--batches", "1", "--images", "0", "--torch", "compiled"])
    text = capsys.readouterr().out
    assert "- torch compiled was skipped: ModuleNotFoundError: " in text
    assert "TFLOP/s: onnxruntime " in text


def test_other_embeddings_stop_it_before_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _gpu_clipvet.Model.reference

    def opposite(self: _gpu_clipvet.Model, squares: np.ndarray) -> np.ndarray:
        return -whole(self, squares)

    monkeypatch.setattr(_gpu_clipvet.Model, "reference", opposite)
    with pytest.raises(SystemExit, match="tiny, batch 2: other embeddings than float32"):
        gpu.main([*DRY, "--batches", "2", "--images", "0", "--torch"])
    assert capsys.readouterr().out == ""


def test_the_sizes_are_those_of_open_clip() -> None:
    import open_clip

    for name in ("ViT-L-14-336", "ViT-B-16"):
        ours, theirs = _gpu_clipvet.MODELS[name], open_clip.get_model_config(name)
        assert ours is not None
        assert ours["embed_dim"] == theirs["embed_dim"]
        assert ours["vision_cfg"] == {key: theirs["vision_cfg"][key] for key in ours["vision_cfg"]}


def _tables(ours: float, theirs: float | None) -> list[Table | FolderRate]:
    arms = [Row("clipvet", [ours] * 3, 1.0)]
    if theirs is not None:
        arms.append(Row("torch compiled", [theirs] * 3, 1.0))
    skipped = {} if theirs is not None else {"torch compiled": "no torch"}
    table = Table(
        model="ViT-L-14-336", rows=32, flops=10**13, arms=arms, skipped=skipped,
        notes=["clipvet: CUDA graphs are off: why"], steady=False,
    )  # fmt: skip
    return [table, FolderRate(model="mini", rows=32, images=10, seconds=2.0)]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (0.1, 0.2, ["compiled: 2.00, asked 1.0, met", "rate: 1.00, asked 0.5, met"]),
        (0.4, 0.2, ["compiled: 0.50, asked 1.0, missed", "rate: 0.25, asked 0.5, missed"]),
        (0.1, None, ["of torch compiled: not compared", "torch compiled was skipped: no torch"]),
    ],
)
def test_the_page_says_whether_the_targets_are_met(
    ours: float, theirs: float | None, said: list[str]
) -> None:
    text = page(_tables(ours, theirs), {"torch": 1e14}, machine="a GPU", device="cuda", mode="m")
    assert text.startswith("# The image tower on a GPU\n")
    for words in [*said, "CUDA graphs are off: why", "NOT equal bit for bit", "5.0 images/s"]:
        assert words in text
