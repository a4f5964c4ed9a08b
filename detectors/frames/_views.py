"""What is encoded: a frame, its region of interest, or the tiles of it; and the way back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.errors import FrameError, FrameRefused, UsageError
from clipvet.detectors.frames._sampling import centres, sample_grid

if TYPE_CHECKING:
    from clipvet.detectors.frames._frames import Frame

__all__ = ["Box", "Region", "Tiling", "View", "merge_heatmaps", "plan_views"]

Box: TypeAlias = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels of the oriented image; x1 and y1 are the first ones outside."""

OUTSIDE = (124, 116, 104)
"""What a mask's outside is painted with: CLIP's mean colour, near zero once normalised."""

MAX_VIEWS = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One picture for the encoder.

    Attributes:
        pixels: uint8 RGB [h, w, 3], read-only; outside of a mask painted in CLIP's mean colour.
        box: the part of the oriented image that it shows.
        index: its place among the views of its frame, row by row.
    """

    pixels: NDArray[np.uint8]
    box: Box
    index: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """The region of interest: a box, or a mask of the size of the image.

    Attributes:
        box: the region, or the bounding box of the mask.
        mask: bool [H, W], True inside, or None if the region is the whole box.
    """

    box: Box
    mask: NDArray[np.bool_] | None = None

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read a box from ``x0,y0,x1,y1``; raises :class:`UsageError` for anything else."""
        try:
            x0, y0, x1, y1 = (int(part) for part in text.split(","))
        except ValueError:
            message = f"region {text!r} is not a box: write x0,y0,x1,y1 in pixels"
            raise UsageError(message) from None
        if not (0 <= x0 < x1 and 0 <= y0 < y1):
            message = (
                f"region {text!r} is empty or negative: it takes 0 <= x0 < x1 and 0 <= y0 < y1"
            )
            raise UsageError(message)
        return cls(box=(x0, y0, x1, y1))

    @classmethod
    def from_mask(cls, source: str | PathLike[str] | NDArray[Any]) -> Region:
        """Read a mask: any nonzero pixel (of any colour channel) is inside.

        Args:
            source: image file without loss (PNG, BMP, TIFF), or array [H, W] or [H, W, C].

        Raises:
            UsageError: the file cannot be read, or nothing is inside.
        """
        mask = _mask_from_array(source) if isinstance(source, np.ndarray) else _mask_file(source)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            name = "array" if isinstance(source, np.ndarray) else source
            raise UsageError(f"mask {name} has no pixel inside: nonzero means inside")
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        mask.flags.writeable = False
        return cls(box=box, mask=mask)

    def describe(self) -> str:
        """One word for the run's configuration; equal regions give equal words."""
        box = ",".join(str(edge) for edge in self.box)
        if self.mask is None:
            return f"box:{box}"
        shape = "x".join(str(side) for side in self.mask.shape[::-1])
        digest = hashlib.sha256(np.packbits(self.mask).tobytes()).hexdigest()
        return f"mask:{shape}:{box}:{digest}"

    def check(self, width: int, height: int) -> None:
        """Raise :class:`FrameRefused` if this region does not fit an image of this size."""
        if self.mask is not None and self.mask.shape != (height, width):
            mask_height, mask_width = self.mask.shape
            message = (
                f"the mask is {mask_width}x{mask_height} and the image {width}x{height}: "
                "give a mask of the image's size"
            )
            raise FrameRefused(message)
        x0, y0, x1, y1 = self.box
        if x1 > width or y1 > height:
            message = (
                f"region {x0},{y0},{x1},{y1} reaches beyond the {width}x{height} image: "
                "give a region that lies inside"
            )
            raise FrameRefused(message)


@dataclass(frozen=True)
class Tiling:
    """Square tiles of ``size`` pixels that share ``overlap`` pixels with their neighbours.

    The last tile of a row or column is flush with the edge, so every tile has the same size
    and every pixel is covered. A tile larger than the region is cut to the region.
    """

    size: int
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"a tile of {self.size} px is no tile: give a positive size")
        if not 0 <= self.overlap < self.size:
            message = f"an overlap of {self.overlap} px does not fit a tile of {self.size} px: "
            raise UsageError(message + "give 0 <= overlap < tile")

    def boxes(self, box: Box) -> Iterator[Box]:
        """The tiles that cover ``box``, row by row."""
        x0, y0, x1, y1 = box
        width, height = min(self.size, x1 - x0), min(self.size, y1 - y0)
        for top in self._starts(y0, y1):
            for left in self._starts(x0, x1):
                yield left, top, left + width, top + height

    def count(self, box: Box) -> int:
        """How many tiles cover ``box``."""
        x0, y0, x1, y1 = box
        return len(self._starts(x0, x1)) * len(self._starts(y0, y1))

    def _starts(self, start: int, stop: int) -> list[int]:
        last = max(start, stop - self.size)
        return [*range(start, last, self.size - self.overlap), last]


def plan_views(
    frame: Frame, *, region: Region | None = None, tiling: Tiling | None = None
) -> list[View]:
    """Cut a frame into the views to encode, row by row.

    Tiles that a mask leaves wholly outside are dropped: there is nothing to score in them.

    Raises:
        FrameRefused: the region does not fit the frame, or there would be absurdly many tiles.
    """
    if region is not None:
        region.check(frame.width, frame.height)
    whole: Box = (0, 0, frame.width, frame.height) if region is None else region.box
    if tiling is not None and tiling.count(whole) > MAX_VIEWS:
        message = (
            f"tiles of {tiling.size} px with {tiling.overlap} px overlap would cut this image "
            f"into {tiling.count(whole)} views (at most {MAX_VIEWS}): give larger tiles"
        )
        raise FrameRefused(message)
    mask = None if region is None else region.mask
    boxes = [whole] if tiling is None else list(tiling.boxes(whole))
    if mask is not None:
        boxes = [box for box in boxes if _crop(mask, box).any()]
    return [
        View(pixels=_view_pixels(frame.pixels, mask, box), box=box, index=index)
        for index, box in enumerate(boxes)
    ]


def merge_heatmaps(
    grids: Sequence[NDArray[np.float32]], boxes: Sequence[Box]
) -> tuple[NDArray[np.float32], Box]:
    """Lay the heatmaps of a frame's views on one canvas.

    One view comes back unchanged. The canvas of several spans all boxes, with cells of the size
    of the first tile's cells; each tile is sampled bilinearly at the cell centres that it
    covers, and a cell is the mean over its tiles, summed in float64 in the given order. Cells
    that no tile covers get the lowest value of all grids.

    Args:
        grids: float32 [gh, gw] each, of one shape; finite.
        boxes: the part of the oriented image that each grid covers.

    Returns:
        float32 grid [GH, GW] and its box.
    """
    if len(grids) != len(boxes) or len(grids) == 0:
        raise ValueError(f"{len(grids)} grids for {len(boxes)} boxes: give one each, at least one")
    if len(grids) == 1:
        return grids[0], boxes[0]
    x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    x1, y1 = max(box[2] for box in boxes), max(box[3] for box in boxes)
    grid_height, grid_width = grids[0].shape
    first = boxes[0]
    canvas_height = max(1, round((y1 - y0) * grid_height / (first[3] - first[1])))
    canvas_width = max(1, round((x1 - x0) * grid_width / (first[2] - first[0])))
    rows, columns = centres(y0, y1, canvas_height), centres(x0, x1, canvas_width)
    total = np.zeros((canvas_height, canvas_width))
    count = np.zeros((canvas_height, canvas_width))
    for grid, (left, top, right, bottom) in zip(grids, boxes, strict=True):
        inside_rows = slice(*np.searchsorted(rows, [top, bottom]))
        inside_columns = slice(*np.searchsorted(columns, [left, right]))
        height, width = grid.shape
        total[inside_rows, inside_columns] += sample_grid(
            grid.astype(np.float64),
            (rows[inside_rows] - top) * (height / (bottom - top)),
            (columns[inside_columns] - left) * (width / (right - left)),
        )
        count[inside_rows, inside_columns] += 1
    lowest = min(float(grid.min()) for grid in grids)
    mean = np.where(count > 0, total / np.maximum(count, 1), lowest)
    return mean.astype(np.float32), (x0, y0, x1, y1)


def _view_pixels(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_] | None, box: Box
) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if mask is None and box == (0, 0, width, height):
        return pixels
    crop = _crop(pixels, box).copy()
    if mask is not None:
        crop[~_crop(mask, box)] = OUTSIDE
    crop.flags.writeable = False
    return crop


def _crop(array: NDArray[Any], box: Box) -> NDArray[Any]:
    x0, y0, x1, y1 = box
    return array[y0:y1, x0:x1]


def _mask_from_array(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.ndim not in (2, 3) or array.size == 0:
        raise UsageError(f"a mask array has the shape [H, W] or [H, W, C], not {array.shape}")
    channels = array if array.ndim == 3 else array[:, :, None]
    inside: NDArray[np.bool_] = np.any(channels != 0, axis=2)
    return inside


def _mask_file(path: str | PathLike[str]) -> NDArray[np.bool_]:
    from clipvet.detectors.frames._frames import read_frame

    try:
        frame = read_frame(path)
    except FrameError as error:
        raise UsageError(f"mask cannot be read: {error}") from error
    return _mask_from_array(frame.pixels)
