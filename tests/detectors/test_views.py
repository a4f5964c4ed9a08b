from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipvet.detectors.errors import FrameRefused, UsageError
from clipvet.detectors.frames._frames import Frame, read_frame
from clipvet.detectors.frames._views import Region, Tiling, merge_heatmaps, plan_views


def frame_of(height: int, width: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    return read_frame(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_without_region_and_tiles_the_view_is_the_frame() -> None:
    frame = frame_of(20, 30)
    (view,) = plan_views(frame)
    assert view.pixels is frame.pixels
    assert (view.box, view.index) == ((0, 0, 30, 20), 0)


def test_a_box_region_is_cropped_contiguous_and_read_only() -> None:
    frame = frame_of(20, 30)
    (view,) = plan_views(frame, region=Region.parse("5, 2,25,12"))
    assert view.box == (5, 2, 25, 12)
    assert np.array_equal(view.pixels, frame.pixels[2:12, 5:25])
    assert view.pixels.flags.c_contiguous
    assert not view.pixels.flags.writeable


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "5,5,5,9", "9,0,3,4", "-1,0,3,4", "1.5,0,3,4"]
)
def test_boxes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        Region.parse(text)


def test_regions_that_do_not_fit_the_image_are_refused() -> None:
    frame = frame_of(20, 30)
    assert plan_views(frame, region=Region.parse("0,0,30,20"))[0].box == (0, 0, 30, 20)
    for text in ["0,0,31,20", "0,0,30,21", "100,100,200,200"]:
        with pytest.raises(FrameRefused, match="30x20"):
            plan_views(frame, region=Region.parse(text))
    with pytest.raises(FrameRefused, match="mask is 20x30"):
        plan_views(frame, region=Region.from_mask(np.ones((30, 20), bool)))


def test_a_mask_paints_its_outside_and_crops_to_its_bounding_box(tmp_path: Path) -> None:
    frame = frame_of(20, 30)
    mask = np.zeros((20, 30), np.uint8)
    mask[4:10, 6:9] = 255
    mask[9, 20] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for source in (
        mask,
        mask != 0,
        np.stack([mask * 0, mask, mask * 0], axis=2),
        tmp_path / "mask.png",
    ):
        region = Region.from_mask(source)
        (view,) = plan_views(frame, region=region)
        assert view.box == (6, 4, 21, 10)
        inside = mask[4:10, 6:21] != 0
        assert np.array_equal(view.pixels[inside], frame.pixels[4:10, 6:21][inside])
        assert (view.pixels[~inside] == (124, 116, 104)).all()
        assert region.describe() == Region.from_mask(mask).describe()
    assert region.describe() != Region.from_mask(mask[:, ::-1]).describe()


def test_masks_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no picture")
    for source in (np.zeros((4, 4)), np.zeros(4), np.zeros((0, 4)), tmp_path / "mask.png"):
        with pytest.raises(UsageError, match="mask"):
            Region.from_mask(source)


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-1, 0), (8, 8), (8, 9), (8, -1)])
def test_impossible_tilings(size: int, overlap: int) -> None:
    with pytest.raises(UsageError):
        Tiling(size, overlap)


def test_absurdly_many_tiles_are_refused_up_front() -> None:
    with pytest.raises(FrameRefused, match="larger tiles"):
        plan_views(frame_of(300, 300), tiling=Tiling(2, 0))


def test_tiles_row_by_row_with_the_last_flush() -> None:
    views = plan_views(frame_of(10, 25), tiling=Tiling(10, 2))
    assert [view.box for view in views] == [(0, 0, 10, 10), (8, 0, 18, 10), (15, 0, 25, 10)]
    assert [view.index for view in views] == [0, 1, 2]
    tall = plan_views(frame_of(30, 6), tiling=Tiling(10, 0))
    assert [view.box for view in tall] == [(0, 0, 6, 10), (0, 10, 6, 20), (0, 20, 6, 30)]


def test_tiles_outside_of_a_mask_are_dropped() -> None:
    mask = np.zeros((20, 40), bool)
    mask[:5, :5] = mask[15:, 35:] = True
    views = plan_views(frame_of(20, 40), region=Region.from_mask(mask), tiling=Tiling(10, 0))
    assert [view.box for view in views] == [(0, 0, 10, 10), (30, 10, 40, 20)]
    assert [view.index for view in views] == [0, 1]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_tiles_cover_every_pixel_of_the_region_and_none_outside(data: st.DataObject) -> None:
    x0, y0 = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20))
    x1, y1 = data.draw(st.integers(x0 + 1, x0 + 60)), data.draw(st.integers(y0 + 1, y0 + 60))
    size = data.draw(st.integers(1, 40))
    tiling = Tiling(size, data.draw(st.integers(0, size - 1)))
    boxes = list(tiling.boxes((x0, y0, x1, y1)))
    seen = np.zeros((y1 + 5, x1 + 5), int)
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (min(size, x1 - x0), min(size, y1 - y0))
        seen[top:bottom, left:right] += 1
    assert (seen[y0:y1, x0:x1] > 0).all()
    assert seen.sum() == seen[y0:y1, x0:x1].sum()
    assert len(set(boxes)) == len(boxes) == tiling.count((x0, y0, x1, y1))
    assert boxes == sorted(boxes, key=lambda box: (box[1], box[0]))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(2, 50),
    overlap=st.integers(0, 49),
    value=st.floats(-1e6, 1e6, width=32),
)
def test_a_constant_merges_to_itself(
    width: int, height: int, size: int, overlap: int, value: float
) -> None:
    boxes = list(Tiling(size, min(overlap, size - 1)).boxes((3, 4, 3 + width, 4 + height)))
    grids = [np.full((5, 4), value, np.float32) for _ in boxes]
    grid, box = merge_heatmaps(grids, boxes)
    assert box == (3, 4, 3 + width, 4 + height)
    assert (grid == np.float32(value)).all()
    assert grid.dtype == np.float32


def test_one_view_merges_unchanged() -> None:
    grid = np.random.default_rng(0).random((3, 3), dtype=np.float32)
    merged, box = merge_heatmaps([grid], [(2, 3, 8, 9)])
    assert merged is grid
    assert box == (2, 3, 8, 9)


def test_tiles_that_only_touch_are_laid_side_by_side() -> None:
    rng = np.random.default_rng(0)
    whole = rng.random((6, 9), dtype=np.float32)
    boxes = list(Tiling(12, 0).boxes((0, 0, 36, 24)))
    grids = [whole[y0 // 4 : y1 // 4, x0 // 4 : x1 // 4] for x0, y0, x1, y1 in boxes]
    merged, _ = merge_heatmaps(grids, boxes)
    assert np.abs(merged - whole).max() < 1e-7


def test_overlapping_tiles_are_averaged_and_a_gap_takes_the_minimum() -> None:
    ones = np.ones((2, 2), np.float32)
    merged, _ = merge_heatmaps([ones, ones * 3], [(0, 0, 8, 8), (4, 0, 12, 8)])
    assert merged.tolist() == [[1, 2, 3]] * 2
    merged, box = merge_heatmaps([ones * 2, ones * 3], [(0, 0, 8, 8), (16, 0, 24, 8)])
    assert box == (0, 0, 24, 8)
    assert merged[0].tolist() == [2, 2, 2, 2, 3, 3]


def test_a_smooth_map_survives_tiling() -> None:
    def smooth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (np.sin(x / 40) + np.cos(y / 30)).astype(np.float32)

    boxes = list(Tiling(96, 24).boxes((0, 0, 300, 200)))
    grids = []
    for x0, y0, x1, y1 in boxes:
        x = x0 + (np.arange(12) + 0.5) * (x1 - x0) / 12
        y = y0 + (np.arange(12) + 0.5) * (y1 - y0) / 12
        grids.append(smooth(x[None], y[:, None]))
    merged, _ = merge_heatmaps(grids, boxes)
    x = (np.arange(merged.shape[1]) + 0.5) * 300 / merged.shape[1]
    y = (np.arange(merged.shape[0]) + 0.5) * 200 / merged.shape[0]
    assert np.abs(merged - smooth(x[None], y[:, None])).max() < 0.06
    again, _ = merge_heatmaps(grids, boxes)
    assert np.array_equal(merged, again)


def test_grids_without_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="boxes"):
        merge_heatmaps([], [])
    with pytest.raises(ValueError, match="boxes"):
        merge_heatmaps([np.ones((2, 2), np.float32)], [])
