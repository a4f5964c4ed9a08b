from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._views import Region
from clipvet.detectors.heatmaps._heatmaps import Heatmap, apply_mask


def heatmap(
    shape: tuple[int, int] = (5, 7),
    box: tuple[int, int, int, int] = (4, 2, 60, 44),
    image_size: tuple[int, int] = (64, 48),
    seed: int = 0,
) -> Heatmap:
    grid = np.random.default_rng(seed).normal(0.3, 2.0, shape).astype(np.float32)
    return Heatmap(grid=grid, box=box, image_size=image_size)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((15, 15), (240, 240)),
        ((5, 7), (64, 48)),
        ((1, 1), (9, 5)),
        ((3, 4), (2, 2)),
        ((6, 6), (97, 31)),
    ],
)
def test_resizing_equals_torch_and_opencv(shape: tuple[int, int], size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    width, height = size
    one = heatmap(shape, (0, 0, width, height), size)
    ours = one.resized()
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(one.grid)[None, None], size=(height, width), mode="bilinear"
    )[0, 0].numpy()
    assert ours.shape == (height, width)
    assert ours.dtype == np.float32
    scale = np.abs(one.grid).max()
    assert np.abs(ours - theirs).max() <= 1e-6 * scale
    if width >= shape[1] and height >= shape[0]:
        other = cv2.resize(one.grid, size, interpolation=cv2.INTER_LINEAR)
        assert np.abs(ours - other).max() <= 1e-6 * scale


def test_outside_of_the_box_is_the_lowest_score_inside() -> None:
    one = heatmap()
    full = one.resized()
    assert full.shape == (48, 64)
    inside = Heatmap(grid=one.grid, box=(0, 0, 56, 42), image_size=(56, 42)).resized()
    assert np.array_equal(full[2:44, 4:60], inside)
    outside = np.ones((48, 64), bool)
    outside[2:44, 4:60] = False
    assert (full[outside] == inside.min()).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cell=st.integers(0, 19),
    rise=st.floats(0, 10, width=32),
)
def test_resizing_is_monotone_and_stays_in_range(seed: int, cell: int, rise: float) -> None:
    grid = np.random.default_rng(seed).normal(size=(4, 5)).astype(np.float32)
    before = Heatmap(grid=grid, box=(0, 0, 23, 31), image_size=(23, 31)).resized()
    raised = grid.copy()
    raised.flat[cell] += np.float32(rise)
    after = Heatmap(grid=raised, box=(0, 0, 23, 31), image_size=(23, 31)).resized()
    assert (after >= before).all()
    assert before.min() >= grid.min()
    assert before.max() <= grid.max()


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": np.zeros((2, 2))},
        {"grid": np.zeros(4, np.float32)},
        {"grid": np.zeros((0, 4), np.float32)},
        {"box": (0, 0, 65, 48)},
        {"box": (-1, 0, 6, 8)},
        {"box": (5, 5, 5, 9)},
    ],
)
def test_impossible_heatmaps(wrong: dict[str, Any]) -> None:
    grid = np.zeros((2, 2), np.float32)
    right: dict[str, Any] = {"grid": grid, "box": (0, 0, 9, 9), "image_size": (64, 48)}
    with pytest.raises(ValueError, match=r"grid|box"):
        Heatmap(**(right | wrong))


def test_npz_is_exact(tmp_path: Path) -> None:
    one = heatmap()
    one.save_npz(tmp_path / "map.heat")
    back = Heatmap.load(tmp_path / "map.heat")
    assert np.array_equal(back.grid, one.grid)
    assert back.grid.dtype == np.float32
    assert (back.box, back.image_size) == (one.box, one.image_size)
    with np.load(tmp_path / "map.heat", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["box", "grid", "image_size"]


def test_png16_is_within_half_a_step(tmp_path: Path) -> None:
    one = heatmap()
    low, high = float(one.grid.min()), float(one.grid.max())
    one.save_png16(tmp_path / "map.png", low=low, high=high)
    back = Heatmap.load(tmp_path / "map.png")
    assert (back.box, back.image_size) == (one.box, one.image_size)
    assert back.grid.shape == (42, 56)
    step = (high - low) / 65535
    rounding = np.spacing(np.float32(max(abs(low), abs(high))))  # scores are float32
    assert np.abs(back.resized() - one.resized()).max() <= step / 2 + rounding
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (64, 48)
        assert image.mode.startswith("I")


def test_png16_clips_to_the_range_it_is_given(tmp_path: Path) -> None:
    grid = np.array([[-5, 0.25], [0.5, 9]], np.float32)
    one = Heatmap(grid=grid, box=(0, 0, 2, 2), image_size=(2, 2))
    one.save_png16(tmp_path / "map.png", low=0, high=1)
    expected = [[0, 0.25], [0.5, 1]]
    assert np.abs(Heatmap.load(tmp_path / "map.png").grid - expected).max() <= 0.5 / 65535 + 1e-7
    with pytest.raises(ValueError, match="empty"):
        one.save_png16(tmp_path / "map.png", low=1, high=1)
    with pytest.raises(ValueError, match="empty"):
        one.save_png16(tmp_path / "map.png", low=float("nan"), high=1)


def test_files_that_are_no_heatmaps(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("nothing")
    Image.new("L", (3, 3)).save(tmp_path / "plain.png")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", grid=np.array([{}], dtype=object), box=[0] * 4)
    heatmap().save_npz(tmp_path / "cut.npz")
    os.truncate(tmp_path / "cut.npz", 200)
    for name in ["text.npz", "plain.png", "other.npz", "pickle.npz", "cut.npz", "missing"]:
        with pytest.raises(UsageError, match=name):
            Heatmap.load(tmp_path / name)


def test_a_mask_lowers_the_cells_outside_to_the_minimum_inside() -> None:
    grid = np.array([[0.1, 0.9], [0.5, 0.7]], np.float32)
    one = Heatmap(grid=grid, box=(0, 0, 20, 20), image_size=(20, 20))
    mask = np.zeros((20, 20), bool)
    mask[10:, :] = True
    masked = apply_mask(one, Region.from_mask(mask))
    assert np.array_equal(masked.grid, np.array([[0.5, 0.5], [0.5, 0.7]], np.float32))
    assert masked.grid.dtype == np.float32
    mask[0, 19] = True  # one pixel of a cell is enough
    assert apply_mask(one, Region.from_mask(mask)).grid.tolist() == [
        [pytest.approx(0.5), pytest.approx(0.9)],
        [pytest.approx(0.5), pytest.approx(0.7)],
    ]
    assert apply_mask(one, Region.parse("0,0,5,5")) is one
    assert apply_mask(one, Region.from_mask(np.ones((20, 20)))) is one


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_masked_cells_agree_with_looking_at_every_pixel(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 17)), data.draw(st.integers(1, 17))
    rows, columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    seed = data.draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < 0.2
    mask[rng.integers(height), rng.integers(width)] = True
    grid = rng.random((rows, columns), dtype=np.float32)
    one = Heatmap(grid=grid, box=(0, 0, width, height), image_size=(width, height))
    inside = np.zeros((rows, columns), bool)
    for row in range(rows):
        for column in range(columns):
            y0, y1 = row * height // rows, -(-(row + 1) * height // rows)
            x0, x1 = column * width // columns, -(-(column + 1) * width // columns)
            inside[row, column] = mask[y0:y1, x0:x1].any()
    expected = np.where(inside, grid, grid[inside].min())
    assert np.array_equal(apply_mask(one, Region.from_mask(mask)).grid, expected)
