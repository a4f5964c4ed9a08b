"""Preprocessing against open_clip's own transform."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import open_clip
import pytest
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors.clip import Preprocessing
from clipvet.detectors.clip._preprocess import preprocess, square
from clipvet.detectors.clip.export import CLIP_MEAN, CLIP_STD

SHAPES = [(480, 640), (640, 480), (225, 224), (96, 96), (1000, 61), (61, 1000), (50, 70),
          (333, 517), (224, 224), (8, 300)]  # fmt: skip


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth waves with hard edges: resampling errors show."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 7 + c) + np.cos(y / (5 + c)) for c in range(3)]
    pixels = (np.stack(waves, -1) * 50 + 128).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 128)
    return pixels


@pytest.mark.parametrize("resize", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", SHAPES)
def test_within_one_grey_level_of_open_clip(
    resize: Literal["squash", "shortest", "longest"],
    interpolation: Literal["bicubic", "bilinear"],
    shape: tuple[int, int],
) -> None:
    settings = Preprocessing(
        size=224, resize=resize, interpolation=interpolation, mean=CLIP_MEAN, std=CLIP_STD
    )
    transform = open_clip.image_transform(
        224, is_train=False, mean=CLIP_MEAN, std=CLIP_STD, resize_mode=resize,
        interpolation=interpolation,
    )  # fmt: skip
    pixels = picture(*shape)
    wanted = transform(Image.fromarray(pixels)).numpy()
    (got,) = preprocess([pixels], settings)
    assert got.shape == wanted.shape == (3, 224, 224)
    one_level = 1 / 255 / np.array(CLIP_STD)[:, None, None]
    assert (np.abs(got - wanted) / one_level).max() <= 1.0 + 1e-4
    assert np.abs(got - wanted).mean() < 1e-4


def test_a_batch_equals_its_views() -> None:
    settings = Preprocessing(size=64, mean=CLIP_MEAN, std=CLIP_STD)
    views = [picture(*shape) for shape in SHAPES[:4]]
    batch = preprocess(views, settings)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    for row, view in zip(batch, views, strict=True):
        np.testing.assert_array_equal(row, preprocess([view], settings)[0])


def test_views_of_other_memory_layouts() -> None:
    settings = Preprocessing(size=64, mean=CLIP_MEAN, std=CLIP_STD)
    pixels = picture(120, 90)
    flipped = pixels[::-1, ::2]
    flipped.flags.writeable = False
    np.testing.assert_array_equal(
        preprocess([flipped], settings), preprocess([flipped.copy()], settings)
    )


def test_the_hash_follows_every_setting() -> None:
    base = Preprocessing(size=64, mean=CLIP_MEAN, std=CLIP_STD)
    changed: list[dict[str, Any]] = [
        {"size": 65}, {"resize": "shortest"}, {"interpolation": "bilinear"},
        {"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)},
    ]  # fmt: skip
    hashes = {base.sha256, *(base.model_copy(update=change).sha256 for change in changed)}
    assert len(hashes) == 1 + len(changed)


@pytest.mark.parametrize("resize", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("shape", SHAPES)
def test_resizing_beforehand_gives_the_same_bits(
    resize: Literal["squash", "shortest", "longest"], shape: tuple[int, int]
) -> None:
    settings = Preprocessing(size=64, resize=resize, mean=CLIP_MEAN, std=CLIP_STD)
    view = picture(*shape)
    small = square(view, settings)
    assert small.shape == (64, 64, 3)
    np.testing.assert_array_equal(preprocess([small], settings), preprocess([view], settings))
