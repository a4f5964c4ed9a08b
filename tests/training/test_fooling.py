"""Pictures for the detector of fooling images, and prints that are mined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import Inspector
from clipvet.detectors.clip import Bundle, Runtime
from training.evolution import SeparableCma
from training.fooling_data import with_text, write_fooling_data
from training.mine_prints import MINI, Print, Victim, mine, write


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with Runtime(Bundle.open(MINI), needs={"cls_embed"}, device="cpu", threads=2) as runtime:
        yield Victim(runtime)


def least(victim: Victim, one: Print) -> float:
    return float(victim.cosines([one.pixels], victim.captions(one.names)).min())


@pytest.mark.parametrize("method", ["sgd", "pgd"])
def test_mining_raises_the_smallest_cosine(victim: Victim, method: str) -> None:
    found = {
        steps: mine(victim, method, count=1, steps=steps, side="train", captions=6, seed=0)[0]
        for steps in (0, 12)
    }
    assert found[0].names == found[12].names
    assert least(victim, found[12]) > least(victim, found[0]) + 0.05
    if method == "pgd":
        change = found[12].pixels.astype(int) - found[0].pixels
        assert 0 < np.abs(change).max() <= 12


def test_the_search_sees_scores_alone_and_improves(victim: Victim) -> None:
    short, long = (
        mine(victim, "black_box", count=1, steps=n, side="train", captions=4, seed=0)[0]
        for n in (1, 12)
    )
    assert least(victim, long) > least(victim, short)


def test_torch_and_runtime_see_the_same(victim: Victim) -> None:
    """Gradients are taken in bfloat16 of the model whose scores count."""
    import torch

    pixels = np.random.default_rng(0).integers(0, 256, (1, 192, 192, 3)).astype(np.uint8)
    captions = victim.captions(("bolt", "gear", "wood"))
    with torch.no_grad():
        ours = float(victim.smallest_cosine(torch.from_numpy(pixels).float(), captions))
    assert abs(ours - victim.cosines([pixels[0]], captions).min()) < 0.05


def test_prints_are_written_with_what_they_were_mined_for(victim: Victim, tmp_path: Path) -> None:
    prints = mine(victim, "sgd", count=2, steps=1, side="held_out", captions=3, seed=0)
    write(prints, victim, tmp_path, {"method": "sgd"})
    rows = json.loads((tmp_path / "prints.json").read_text())["prints"]
    assert [row["file"] for row in rows] == ["000.png", "001.png"]
    assert rows[0]["names"] != rows[1]["names"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "000.png")), prints[0].pixels)


def test_evolution_finds_a_minimum() -> None:
    target = np.linspace(-2, 2, 20)
    search = SeparableCma(20, seed=0)
    for _ in range(250):
        search.tell(((search.ask() - target) ** 2).sum(axis=1))
    np.testing.assert_allclose(search.mean, target, atol=0.05)


def test_data_repeats_and_text_changes_a_part_of_a_picture(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_fooling_data(tmp_path / name, 3)
    files = sorted((tmp_path / "a").rglob("*.png"))
    assert len(files) == 6
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    grey = np.full((192, 192, 3), 120, np.uint8)
    for side in ("train", "held_out"):
        changed = (with_text(grey, "gear wheel", side, np.random.default_rng(1)) != grey).any(
            axis=2
        )
        assert 0.005 < changed.mean() < 0.6


def test_the_packaged_classifier_finds_a_new_print(victim: Victim) -> None:
    found = mine(victim, "sgd", count=1, steps=50, side="held_out", captions=25, seed=8)
    with Inspector(["fooling"]) as inspector:
        detection = inspector(found[0].pixels).detections[0]
    assert detection.details["print"] > 0.9
