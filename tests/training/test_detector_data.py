from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.plugins.anomalyclip._pictures import find_pictures, read_mask
from training.detector_data import is_harmful, write_harm, write_parts
from training.fonts import available
from training.layouts import make_layout


def test_parts_are_what_anomalyclip_trains_on(tmp_path: Path) -> None:
    write_parts(tmp_path / "a", 2)
    pictures = find_pictures(tmp_path / "a")
    assert len(pictures) == 8
    masks = [read_mask(picture, 192) for picture in pictures if picture.mask is not None]
    assert len(masks) == 4
    assert all(0 < mask.mean() < 0.9 for mask in masks)
    write_parts(tmp_path / "b", 2)
    for file in sorted((tmp_path / "a").rglob("*.png")):
        twin = tmp_path / "b" / file.relative_to(tmp_path / "a")
        assert file.read_bytes() == twin.read_bytes()


def test_held_out_parts_are_other_programs(tmp_path: Path) -> None:
    write_parts(tmp_path / "train", 1)
    write_parts(tmp_path / "held_out", 1, "held_out")
    names = [{folder.name for folder in (tmp_path / s).iterdir()} for s in ("train", "held_out")]
    assert not names[0] & names[1]


@pytest.mark.skipif(
    not available(), reason="the symbol fonts are not here: python -m training.fonts"
)
def test_harm_shows_pictograms_of_danger_and_good_does_not(tmp_path: Path) -> None:
    write_harm(tmp_path, 3)
    for kind, harmful in (("bad", True), ("good", False)):
        files = sorted((tmp_path / kind).iterdir())
        assert len(files) == 3
        for file in files:
            image, facts = make_layout(int(file.stem), 192)
            assert is_harmful(facts) is harmful
            np.testing.assert_array_equal(np.asarray(Image.open(file)), image)
