from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._overlays import colours, render_overlay


def heatmap(grid: np.ndarray, width: int, height: int) -> Heatmap:
    return Heatmap(grid=grid, box=(0, 0, width, height), image_size=(width, height))


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB values 0..255."""
    linear = np.where(rgb <= 10.31475, rgb / 3294.6, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    cubic = luminance > 0.008856
    return np.where(cubic, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def test_the_scale_rises_in_lightness_evenly_enough_to_read() -> None:
    scale = colours()
    assert scale.shape == (256, 3)
    steps = np.diff(lightness(scale.astype(float))[::8])
    assert (steps > 0.3).all()
    rendered = render_overlay(
        np.zeros((1, 256, 3), np.uint8),
        heatmap(np.arange(256, dtype=np.float32)[None], 256, 1),
        low=0,
        high=255,
    )[0]
    assert (np.diff(lightness(rendered.astype(float))) >= 0).all()
    assert (steps < 8).all()


def test_nothing_is_drawn_at_the_low_end_and_the_picture_is_kept() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    drawn = render_overlay(pixels, heatmap(np.zeros((3, 3), np.float32), 300, 200), low=0, high=1)
    assert np.array_equal(drawn[:200], pixels)
    assert drawn.shape[0] > 200
    assert drawn.shape[1:] == (300, 3)
    assert drawn.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), cell=st.integers(0, 11), rise=st.floats(0, 2, width=32))
def test_raising_a_cell_never_lowers_the_rendered_heat(seed: int, cell: int, rise: float) -> None:
    """On black every drawn pixel is the scale's colour times its opacity, so sums order heat."""
    grid = np.random.default_rng(seed).random((3, 4), dtype=np.float32)
    raised = grid.copy()
    raised.flat[cell] += np.float32(rise)
    black = np.zeros((24, 256, 3), np.uint8)
    before, after = (
        render_overlay(black, heatmap(g, 256, 24), low=0.2, high=0.9)[:24].sum(axis=2, dtype=int)
        for g in (grid, raised)
    )
    assert (after >= before).all()


def test_the_range_is_the_callers_and_never_the_images() -> None:
    grey = np.full((64, 256, 3), 120, np.uint8)
    weak = np.full((2, 2), 0.1, np.float32)
    weak[0, 0] = 0.2
    drawn = render_overlay(grey, heatmap(weak, 256, 64), low=0.0, high=10.0)[:64]
    assert np.abs(drawn.astype(int) - 120).max() < 8, "a good part must not look red"
    beyond = render_overlay(grey, heatmap(weak * 1000, 256, 64), low=0.0, high=10.0)[:64]
    assert np.array_equal(beyond[40, 200], beyond[5, 5]), "clipped at high"


def test_side_by_side_shows_the_picture_first() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 256, 3), dtype=np.uint8)
    one = heatmap(np.ones((3, 3), np.float32), 256, 90)
    drawn = render_overlay(pixels, one, low=0, high=1, side_by_side=True)
    assert np.array_equal(drawn[:90, :256], pixels)
    alone = render_overlay(pixels, one, low=0, high=1)
    assert np.array_equal(drawn[:90, -256:], alone[:90])


def test_small_images_are_enlarged_by_a_whole_factor() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    drawn = render_overlay(pixels, heatmap(np.zeros((2, 2), np.float32), 48, 32), low=0, high=1)
    assert drawn.shape[1] == 48 * 6
    assert np.array_equal(drawn[: 32 * 6 : 6, ::6], pixels)


def test_the_legend_shows_the_label_and_depends_on_the_numbers() -> None:
    pixels = np.zeros((64, 320, 3), np.uint8)
    one = heatmap(np.zeros((2, 2), np.float32), 320, 64)

    def legend(label: str | None = None, high: float = 1.0) -> np.ndarray:
        return render_overlay(pixels, one, low=0, high=high, label=label)[64:]

    assert not np.array_equal(legend(), legend(high=2.5))
    assert legend("score 0.71").shape[0] > legend().shape[0]
    assert not np.array_equal(legend("score 0.71"), legend("score 0.72"))
    assert legend("a very long label " * 30).shape == legend("short").shape
    assert legend("line\nbreak, ümlaut, 漢字").shape == legend("short").shape


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 40), (3000, 2), (700, 500)])
def test_odd_sizes_render(width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    one = heatmap(np.ones((2, 2), np.float32), width, height)
    drawn = render_overlay(pixels, one, low=0, high=1, label="x", side_by_side=True)
    assert drawn.ndim == 3


def test_wrong_ranges_and_sizes() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    one = heatmap(np.ones((2, 2), np.float32), 8, 8)
    for low, high in [(1, 1), (2, 1), (float("nan"), 1)]:
        with pytest.raises(ValueError, match="range"):
            render_overlay(pixels, one, low=low, high=high)
    with pytest.raises(ValueError, match="image"):
        render_overlay(pixels[:4], one, low=0, high=1)
