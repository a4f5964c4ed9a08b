from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from training.sample_data import DEFECTS, GOOD, PART, files
from training.seeds import SEEDS

FOLDER = Path(__file__).resolve().parents[2] / "sample_data"


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return dict(files())


def test_the_folder_is_what_the_command_writes(made: dict[str, bytes]) -> None:
    # Pixels, not bytes: another build of libjpeg or zlib may pack the same picture differently.
    for name, content in made.items():
        stored = (FOLDER / name).read_bytes()
        if stored == content:
            continue
        with Image.open(io.BytesIO(stored)) as a, Image.open(io.BytesIO(content)) as b:
            assert a.size == b.size, name
            difference = np.abs(np.asarray(a, float) - np.asarray(b, float))
        assert difference.mean() < 1.0, name


def test_counts_size_and_seeds(made: dict[str, bytes]) -> None:
    assert PART[1] in SEEDS["sample"]
    assert sum(n.startswith("parts/good/") for n in made) == GOOD >= 60
    assert sum(n.startswith("parts/defect/") for n in made) == sum(DEFECTS.values()) == 16
    assert sum(len(c) for c in made.values()) < 6e6


def test_every_defect_has_a_mask_of_its_size(made: dict[str, bytes]) -> None:
    for name in made:
        if not name.startswith("parts/defect/"):
            continue
        mask_name = name.replace("/defect/", "/masks/").replace(".jpg", ".png")
        with Image.open(FOLDER / name) as image, Image.open(FOLDER / mask_name) as mask:
            assert image.size == mask.size
            values = set(np.unique(np.asarray(mask)))
        assert values == {0, 255}


def test_broken_files_are_broken_the_way_their_names_say() -> None:
    mixed = FOLDER / "mixed"
    assert (mixed / "empty.png").stat().st_size == 0
    with pytest.raises(UnidentifiedImageError):
        Image.open(mixed / "text.jpg")
    with Image.open(mixed / "truncated.jpg") as image, pytest.raises(OSError, match="truncated"):
        image.load()
    with Image.open(mixed / "sixteen_bit.png") as image:
        assert image.mode.startswith("I;16")
        assert np.asarray(image).max() > 255
    with Image.open(mixed / "exif_rotated.jpg") as image:
        assert image.getexif()[0x0112] == 6
        assert image.size == (256, 320)
    with Image.open(mixed / "cmyk.jpg") as image:
        assert image.mode == "CMYK"
    with Image.open(mixed / "alpha.png") as image:
        assert image.mode == "RGBA"
        assert np.asarray(image)[..., 3].min() == 0
