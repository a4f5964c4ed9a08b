"""Anti-aliased fills, inside the box that they need."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from training import shapes as sh
from training.textures import Field

__all__ = ["box_of", "cover", "fill"]

Box = tuple[slice, slice]


def box_of(contours: Sequence[sh.Points], size: int, margin: int) -> Box:
    """Rows and columns of a square picture that the contours and a margin lie in."""
    points = np.concatenate(contours)
    low = np.clip(np.floor(points.min(axis=0)) - margin, 0, size - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + margin + 1, low + 1, size).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def cover(contours: Sequence[sh.Points], box: Box, *, union: bool = False) -> Field:
    """Coverage 0..1 of a box. Contours inside others are holes, unless the union is asked for."""
    rows, columns = box
    canvas = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    corner = np.array([columns.start, rows.start])
    fixed = [np.round((p - corner) * 16).astype(np.int32) for p in contours]
    for group in [[p] for p in fixed] if union else [fixed]:
        cv2.fillPoly(canvas, group, 255, lineType=cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / np.float32(255)


def fill(picture: Field, contours: Sequence[sh.Points], rgb: tuple[float, float, float]) -> None:
    """Fill the union of contours in place with one colour."""
    if not contours:
        return
    box = box_of(contours, picture.shape[0], 1)
    part = picture[box]
    part += cover(contours, box, union=True)[..., None] * (np.array(rgb, np.float32) - part)
