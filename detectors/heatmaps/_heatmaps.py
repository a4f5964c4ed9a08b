"""Where in the image the score is high: a small grid of floats and the box that it covers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._sampling import centres, sample_grid
from clipvet.detectors.frames._views import Box, Region

__all__ = ["Heatmap", "apply_mask"]

_PNG_BOX, _PNG_RANGE, _PNG_GRID = "clipvet:box", "clipvet:range", "clipvet:grid"


@dataclass(frozen=True, kw_only=True, eq=False)
class Heatmap:
    """Local scores, never rescaled.

    Attributes:
        grid: float32 [gh, gw], finite; higher is worse.
        box: (x0, y0, x1, y1), the part of the oriented image that the grid covers, in pixels.
        image_size: (width, height) of the oriented image, in pixels.
    """

    grid: NDArray[np.float32]
    box: Box
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.grid.ndim != 2 or self.grid.size == 0 or self.grid.dtype != np.float32:
            raise ValueError(f"a grid is float32 [gh, gw], not {self.grid.dtype} {self.grid.shape}")
        x0, y0, x1, y1 = self.box
        width, height = self.image_size
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ValueError(f"box {self.box} does not lie inside the {width}x{height} image")

    def resized(self) -> NDArray[np.float32]:
        """The map at image size: float32 [H, W].

        Bilinear with half-pixel centres inside the box, as torch's ``interpolate`` with
        ``align_corners=False``; the lowest of these scores outside of it.
        """
        x0, y0, x1, y1 = self.box
        width, height = self.image_size
        grid_height, grid_width = self.grid.shape
        inside: NDArray[np.float32] = sample_grid(
            self.grid,
            centres(0.0, grid_height, y1 - y0),
            centres(0.0, grid_width, x1 - x0),
        )
        if self.box == (0, 0, width, height):
            return inside
        canvas = np.full((height, width), inside.min(), dtype=np.float32)
        canvas[y0:y1, x0:x1] = inside
        return canvas

    def save_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the exact grid: arrays ``grid`` (float32), ``box`` and ``image_size`` (int64)."""
        with Path(path).open("wb") as file:  # a file object: numpy would append .npz to a name
            np.savez_compressed(
                file,
                grid=self.grid,
                box=np.asarray(self.box, dtype=np.int64),
                image_size=np.asarray(self.image_size, dtype=np.int64),
            )

    def save_png16(self, path: str | os.PathLike[str], *, low: float, high: float) -> None:
        """Write a 16-bit greyscale PNG at image size: ``low`` is 0 and ``high`` 65535, clipped.

        The range, the box and the grid's shape go into text chunks; :meth:`load` then gives the
        scores back at image size within half a step, (high - low) / 131070.

        Raises:
            ValueError: the range is empty.
        """
        from PIL import Image, PngImagePlugin

        low, high = float(low), float(high)
        if not low < high:
            raise ValueError(f"the range {low}..{high} is empty: give low < high")
        info = PngImagePlugin.PngInfo()
        info.add_text(_PNG_RANGE, f"{low!r} {high!r}")
        info.add_text(_PNG_BOX, " ".join(str(edge) for edge in self.box))
        info.add_text(_PNG_GRID, "{} {}".format(*self.grid.shape))
        unit = np.clip((self.resized().astype(np.float64) - low) / (high - low), 0.0, 1.0)
        steps = np.rint(unit * 65535.0).astype(np.uint16)
        with Path(path).open("wb") as file:
            Image.fromarray(steps).save(file, format="PNG", pnginfo=info, compress_level=1)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Heatmap:
        """Read what :meth:`save_npz` or :meth:`save_png16` wrote; no pickle is executed.

        From a PNG the grid has one cell per pixel of the box.

        Raises:
            UsageError: the file is absent, damaged, or not one of these.
        """
        try:
            with Path(path).open("rb") as file:
                is_png = file.read(8) == b"\x89PNG\r\n\x1a\n"
            return cls._load_png(Path(path)) if is_png else cls._load_npz(Path(path))
        except Exception as error:
            message = f"{path}: not a heatmap of clipvet, or damaged ({error}): write it again"
            raise UsageError(message) from error

    @classmethod
    def _load_npz(cls, path: Path) -> Heatmap:
        # numpy leaves a damaged file open unless it is ours
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            x0, y0, x1, y1 = (int(edge) for edge in arrays["box"])
            width, height = (int(side) for side in arrays["image_size"])
            return cls(grid=arrays["grid"], box=(x0, y0, x1, y1), image_size=(width, height))

    @classmethod
    def _load_png(cls, path: Path) -> Heatmap:
        from PIL import Image

        with Image.open(path) as image:
            image.load()
            text = image.info
            low, high = (float(number) for number in text[_PNG_RANGE].split())
            x0, y0, x1, y1 = (int(edge) for edge in text[_PNG_BOX].split())
            steps = np.asarray(image).astype(np.float64)
            scores = (low + steps * ((high - low) / 65535.0)).astype(np.float32)
            return cls(
                grid=np.ascontiguousarray(scores[y0:y1, x0:x1]),
                box=(x0, y0, x1, y1),
                image_size=(image.width, image.height),
            )


def apply_mask(heatmap: Heatmap, region: Region) -> Heatmap:
    """Set the cells outside of a masked region to the lowest score inside.

    A cell counts as inside if any pixel that it covers is inside. A region without a mask, or
    one of which no cell is inside, leaves the heatmap as it is.
    """
    if region.mask is None:
        return heatmap
    inside = _cells_inside(region.mask, heatmap.box, heatmap.grid.shape)
    if inside.all() or not inside.any():
        return heatmap
    grid = np.where(inside, heatmap.grid, heatmap.grid[inside].min())
    return Heatmap(grid=grid, box=heatmap.box, image_size=heatmap.image_size)


def _cells_inside(mask: NDArray[np.bool_], box: Box, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which cells of a grid over ``box`` hold a pixel of the mask, by sums over a cell's box."""
    x0, y0, x1, y1 = box
    grid_height, grid_width = shape
    sums = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.int64)
    sums[1:, 1:] = mask[y0:y1, x0:x1].cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    top, bottom = _pixel_edges(y1 - y0, grid_height)
    left, right = _pixel_edges(x1 - x0, grid_width)
    total = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left]
    inside: NDArray[np.bool_] = total + sums[top][:, left] > 0
    return inside


def _pixel_edges(pixels: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First pixel and first pixel behind, for each cell; a cell overlaps at least one."""
    edges = np.arange(cells + 1) * (pixels / cells)
    first = np.floor(edges[:-1] + 1e-9).astype(np.intp)
    behind = np.ceil(edges[1:] - 1e-9).astype(np.intp)
    return np.minimum(first, pixels - 1), np.maximum(behind, first + 1).clip(max=pixels)
