from __future__ import annotations

import json
import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import mini
from benchmarks._speed import milliseconds
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.winclip import WinClip, WinClipOptions

OPTIONS = WinClipOptions(variant="visual", top_share=0.01)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(Path(mini.__file__).parents[1] / "detectors/clip/mini")


def test_rendered_programs_are_scored_on_image_and_pixels(bundle: Bundle) -> None:
    options = OPTIONS.model_copy(update={"scales": ()})  # 40 views: windows would take a minute
    with Runtime(bundle, needs=set(WinClip(options).needs), device="cpu") as runtime:
        found = mini.rendered(runtime, options, Namespace(programs=1, shots=[1]))
    assert found["programs"] == 1
    assert set(found["1-shot"]) == {"image_auroc", "pixel_auroc", "aupro"}
    assert all(0 <= value <= 1 for value in found["1-shot"].values())
    assert found["1-shot"]["pixel_auroc"] > 0.5


def test_a_floor_below_chance_counts_as_chance() -> None:
    ours = [0.7, 0.8, 0.9]
    low = mini._compared(ours, [0.2, 0.3, 0.4])
    assert low["gabor"] == pytest.approx(0.3)
    assert low["difference"][0] == pytest.approx(0.3)  # 0.8 - 0.5
    paired = mini._compared(ours, [0.6, 0.7, 0.8])
    assert paired["difference"] == pytest.approx([0.1, 0.1, 0.1])


def test_every_look_at_the_sets_is_logged(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "RELEASES.md"
    monkeypatch.setattr(mini, "RELEASES", log)
    for value in (0.9, 0.8):
        shown = {"bottle": {"good": 20, "4-shot": {"image_auroc": value}}}
        mini._log_release(bundle.folder, "winclip", shown)
    rows = [line for line in log.read_text().splitlines() if re.match(r"\| \d{4}-", line)]
    looked = [json.loads(row.split("|")[3]) for row in rows]
    assert looked == [{"bottle": {"4-shot": 0.9}}, {"bottle": {"4-shot": 0.8}}]


def test_windows_cost_more_than_patches(bundle: Bundle) -> None:
    found = milliseconds(bundle, OPTIONS, rounds=2)
    assert 0 < found["patches"]["median"] < found["windows"]["median"]
    assert np.isfinite(found["windows"]["p90"])
