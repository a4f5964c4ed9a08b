"""Labels from folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import TestImage, TestSet, find_test_set
from clipvet.detectors.errors import UsageError


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(path)
    return root


def seen(tests: TestSet) -> dict[str, tuple[str | None, str | None]]:
    """Image -> type and mask, by names within the folder."""

    def name(path: Path) -> str:
        return str(path.relative_to(tests.folder if path.is_relative_to(tests.folder) else "/"))

    return {
        name(one.path): (one.kind, None if one.mask is None else name(one.mask))
        for one in tests.images
    }


MVTEC = ("test/good/0.png", "test/cut/0.png", "test/cut/1.png", "ground_truth/cut/0_mask.png")


def test_mvtec(tmp_path: Path) -> None:
    put(tmp_path, *MVTEC, "train/good/0.png")
    tests = find_test_set(tmp_path)
    assert tests.layout == "mvtec"
    assert seen(tests) == {
        "test/good/0.png": (None, None),
        "test/cut/0.png": ("cut", "ground_truth/cut/0_mask.png"),
        "test/cut/1.png": ("cut", None),
    }
    root = tmp_path / "test"
    assert tests.images[0] == TestImage(path=root / "good" / "0.png", kind=None)
    inside = find_test_set(root)
    assert inside.layout == "mvtec"
    assert [one.mask for one in inside.images] == [one.mask for one in tests.images]


def test_visa(tmp_path: Path) -> None:
    images, masks = "Data/Images", "Data/Masks"
    put(tmp_path, f"{images}/Normal/7.JPG", f"{images}/Anomaly/7.JPG", f"{masks}/Anomaly/7.png")
    tests = find_test_set(tmp_path)
    assert tests.layout == "visa"
    assert seen(tests) == {
        f"{images}/Normal/7.JPG": (None, None),
        f"{images}/Anomaly/7.JPG": ("Anomaly", f"{masks}/Anomaly/7.png"),
    }


def test_what_detect_train_reads(tmp_path: Path) -> None:
    put(tmp_path, "good/0.png", "defect/dent/0.png", "defect/hole/0.png", "masks/dent/0.png")
    tests = find_test_set(tmp_path)
    assert tests.layout == "training"
    assert tests.kinds == ["dent", "hole"]
    assert seen(tests)["defect/dent/0.png"] == ("dent", "masks/dent/0.png")


@pytest.mark.parametrize("good", ["good", "OK", "Normal", "pass", "no_defect", "defect_free"])
def test_folder_names(tmp_path: Path, good: str) -> None:
    put(tmp_path, f"{good}/sub/0.png", "scratch/0.png", "scratch/deep/1.png", "masks/other/0.png")
    tests = find_test_set(tmp_path)
    assert tests.layout == "folders"
    assert seen(tests) == {
        f"{good}/sub/0.png": (None, None),
        "scratch/0.png": ("scratch", None),
        "scratch/deep/1.png": ("scratch", None),
    }


def test_several_good_folders_come_first(tmp_path: Path) -> None:
    put(tmp_path, "bad/0.png", "ok/0.png", "good/0.png")
    tests = find_test_set(tmp_path)
    assert [path.name for path in tests.sources] == ["good", "ok", "bad"]
    assert [one.kind for one in tests.images] == [None, None, "bad"]


def test_masks_of_another_folder_by_relative_stem(tmp_path: Path) -> None:
    parts = put(tmp_path / "parts", "good/0.png", "cut/a/0.jpg", "cut/1.png", "masks/cut/1.png")
    masks = put(tmp_path / "drawn", "cut/a/0_mask.bmp", "cut/0.png")
    tests = find_test_set(parts, masks=masks)
    found = {one.path.name: one.mask for one in tests.images if one.kind}
    assert found == {"0.jpg": masks / "cut/a/0_mask.bmp", "1.png": None}


def test_what_has_no_label_is_said(tmp_path: Path) -> None:
    put(tmp_path, "good/0.png", "cut/0.png", "overview.png", "train/0.png")
    tests = find_test_set(tmp_path)
    assert len(tests.images) == 2
    loose, train = tests.notes
    assert loose.startswith("1 image beside the folders")
    assert train.endswith("train is not tested")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["0.png", "1.png"], "no good images"),
        (["good/0.png"], "no defective images"),
        (["scratch/0.png", "dent/0.png"], "no good images"),
        (["good/0.png", "masks/0.png"], "no defective images"),
        (["test/good/0.png", "ground_truth/cut/0.png"], "no defective images"),
    ],
)
def test_a_layout_that_cannot_be_told(tmp_path: Path, names: list[str], words: str) -> None:
    put(tmp_path, *names)
    with pytest.raises(UsageError, match=words) as caught:
        find_test_set(tmp_path)
    assert "wants folders named for what they show, one of them defect_free" in str(caught.value)


def test_masks_that_belong_to_nothing(tmp_path: Path) -> None:
    parts = put(tmp_path / "parts", "good/0.png", "cut/0.png")
    with pytest.raises(UsageError, match=r"would be that of .*cut/0\.png"):
        find_test_set(parts, masks=put(tmp_path / "masks", "0.png"))
    with pytest.raises(UsageError, match="is no folder"):
        find_test_set(parts, masks=tmp_path / "none")
    with pytest.raises(UsageError, match="is no folder"):
        find_test_set(tmp_path / "none")
