from __future__ import annotations

import sys

import numpy as np
import pytest

from clipvet.detectors.errors import MissingDependency
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._regions import find_outlines, find_regions


def pixel_map(grid: np.ndarray) -> Heatmap:
    """One cell per pixel, so that what is found can be read off."""
    height, width = grid.shape
    return Heatmap(grid=grid, box=(0, 0, width, height), image_size=(width, height))


def test_regions_sorted_by_peak_then_position() -> None:
    grid = np.zeros((10, 12), np.float32)
    grid[1:3, 1:4] = 0.6
    grid[2, 2] = 0.8
    grid[7, 9] = grid[7, 2] = 0.9
    regions = find_regions(pixel_map(grid), 0.5)
    assert [(r.box, r.area) for r in regions] == [
        ((2, 7, 3, 8), 1),
        ((9, 7, 10, 8), 1),
        ((1, 1, 4, 3), 6),
    ]
    assert [r.peak for r in regions] == pytest.approx([0.9, 0.9, 0.8])


def test_diagonal_neighbours_are_connected_and_the_threshold_counts_as_above() -> None:
    grid = np.zeros((6, 6), np.float32)
    grid[1, 1] = grid[2, 2] = grid[3, 1] = 0.5
    (region,) = find_regions(pixel_map(grid), 0.5)
    assert (region.box, region.area) == ((1, 1, 3, 4), 3)


def test_nothing_above_the_threshold() -> None:
    assert find_regions(pixel_map(np.zeros((3, 3), np.float32)), 0.1) == []


def test_the_peak_is_the_regions_own_where_boxes_overlap() -> None:
    grid = np.zeros((7, 7), np.float32)
    grid[0, :] = grid[:, 0] = 0.6
    grid[3, 3] = 0.9
    regions = find_regions(pixel_map(grid), 0.5)
    assert [r.area for r in regions] == [1, 13]
    assert [r.peak for r in regions] == pytest.approx([0.9, 0.6])


def test_boxes_are_in_pixels_of_the_whole_image() -> None:
    grid = np.zeros((4, 4), np.float32)
    grid[1, 2] = 1.0
    heatmap = Heatmap(grid=grid, box=(100, 50, 140, 90), image_size=(200, 100))
    (region,) = find_regions(heatmap, 0.5)
    scores = heatmap.resized()
    rows, columns = np.nonzero(scores >= 0.5)
    assert region.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert region.area == len(rows)
    assert 120 <= region.box[0] < region.box[2] <= 130


def test_a_missing_opencv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependency, match="opencv-python-headless"):
        find_regions(pixel_map(np.ones((3, 3), np.float32)), 0.5)


def test_an_outline_goes_around_its_region() -> None:
    grid = np.zeros((20, 30), np.float32)
    grid[2:9, 3:13] = 0.6  # a rectangle with a hole
    grid[4:6, 5:7] = 0.0
    grid[12:18, 20:23] = grid[15:18, 20:28] = 0.9  # an L
    grid[1, 25] = 0.7  # too thin for a polygon
    outlines = find_outlines(pixel_map(grid), 0.5)
    assert {r.box for r in find_regions(pixel_map(grid), 0.5)} == {*outlines, (25, 1, 26, 2)}
    assert sorted(outlines[3, 2, 13, 9]) == [(3.5, 2.5), (3.5, 8.5), (12.5, 2.5), (12.5, 8.5)]
    bend = {(23.5, 15.5), (22.5, 14.5), (22.5, 15.5)}
    assert len(bend & set(outlines[20, 12, 28, 18])) == 1
    assert len(outlines[20, 12, 28, 18]) <= 7
    assert find_outlines(pixel_map(grid), 1.0) == {}
