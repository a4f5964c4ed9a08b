"""The connected parts of an image whose score is above a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clipvet.detectors.errors import MissingDependency
from clipvet.detectors.frames._views import Box
from clipvet.detectors.heatmaps._heatmaps import Heatmap

__all__ = ["RegionBox", "find_outlines", "find_regions"]

_Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class RegionBox:
    """One connected part of the oriented image.

    Attributes:
        box: (x0, y0, x1, y1) in pixels, half-open.
        area: pixels above the threshold.
        peak: highest score in it.
    """

    box: Box
    area: int
    peak: float


def find_regions(heatmap: Heatmap, threshold: float) -> list[RegionBox]:
    """Find the 8-connected parts of the map at image size whose score is >= ``threshold``.

    Returns:
        Regions by falling peak, then from top to bottom and left to right.

    Raises:
        MissingDependency: OpenCV is not installed.
    """
    cv2 = _opencv()
    if not heatmap.grid.max() >= threshold:  # no interpolated score exceeds the grid's
        return []
    scores = heatmap.resized()
    above = (scores >= threshold).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    found = []
    for label in range(1, count):
        left, top, width, height, area = (int(number) for number in facts[label])
        part = slice(top, top + height), slice(left, left + width)
        peak = float(scores[part][labels[part] == label].max())
        found.append(RegionBox(box=(left, top, left + width, top + height), area=area, peak=peak))
    return sorted(found, key=lambda region: (-region.peak, region.box[1], region.box[0]))


def find_outlines(heatmap: Heatmap, threshold: float) -> dict[Box, _Points]:
    """The outer outline of each region of :func:`find_regions`, by its box.

    Returns:
        Polygons of at least 3 points (x, y) in pixels of the oriented image, through the centres
        of the outermost pixels, within 1 px; a region too thin for one has none. Holes are not
        told. Two regions with one box have none either.

    Raises:
        MissingDependency: OpenCV is not installed.
    """
    cv2 = _opencv()
    outlines: dict[Box, _Points] = {}
    if not heatmap.grid.max() >= threshold:
        return outlines
    above = (heatmap.resized() >= threshold).astype(np.uint8)
    contours, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = [cv2.boundingRect(contour) for contour in contours]
    for contour, (left, top, width, height) in zip(contours, boxes, strict=True):
        points = cv2.approxPolyDP(contour, 1.0, closed=True)[:, 0, :]
        if len(points) >= 3 and boxes.count((left, top, width, height)) == 1:
            box = (left, top, left + width, top + height)
            outlines[box] = tuple((float(x) + 0.5, float(y) + 0.5) for x, y in points)
    return outlines


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        package, purpose = "opencv-python-headless", "finding regions in heatmaps"
        raise MissingDependency(package, purpose, "cpu") from error
    return cv2
