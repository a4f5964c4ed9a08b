"""Where on the part in view a defect may land."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.defects import Site
from training.optics import Pose
from training.paint import Composite
from training.scenes import Program
from training.textures import Field

__all__ = ["Places"]

Pixels = NDArray[np.uint8]


class Places:
    """Points of the part and of its rim, in one picture of it."""

    def __init__(self, program: Program, clean: Composite, pose: Pose) -> None:
        self._program, self._clean, self._pose = program, clean, pose
        body: Pixels = (clean.body > 0.5).astype(np.uint8)
        kernel = np.ones((3, 3), np.uint8)
        core = np.asarray(cv2.erode(body, kernel, iterations=2), np.uint8)
        rim = body - np.asarray(cv2.erode(body, kernel), np.uint8)
        self._inside: Pixels = core if core.any() else body
        self._rim: Pixels = rim if rim.any() else body
        self._u, self._v = pose.canonical(*body.shape)
        if program.copies:
            far = [np.hypot(self._u - c.x, self._v - c.y) for c in program.copies]
            self._owner = np.argmin(far, axis=0)

    def which(self, rng: np.random.Generator) -> int:
        """One of the copies in view."""
        return int(self._owner[_pixel(self._inside, rng)]) if self._program.copies else 0

    def site(self, rng: np.random.Generator, which: int) -> Site:
        """A random point of that copy and one of its rim, in the part's own coordinates."""
        inside, rim, turn = self._inside, self._rim, self._pose.turn
        if self._program.copies:
            mine = self._owner == which
            inside, rim = inside * mine, rim * mine
            turn += self._program.copies[which].turn
        spot, edge = _pixel(inside, rng), _pixel(rim, rng)
        row, column = max(0, spot[0] - 1), max(0, spot[1] - 1)
        colour = self._clean.albedo[row : spot[0] + 2, column : spot[1] + 2]
        r, g, b = colour.reshape(-1, 3).mean(axis=0)
        outward = _leaving(self._clean.body, edge) - turn
        return Site(
            self._own(spot, which),
            self._own(edge, which),
            (float(np.cos(outward)), float(np.sin(outward))),
            (float(r), float(g), float(b)),
            self._program.material,
        )

    def _own(self, pixel: tuple[int, int], which: int) -> tuple[float, float]:
        x, y = float(self._u[pixel]), float(self._v[pixel])
        return self._program.copies[which].own(x, y) if self._program.copies else (x, y)


def _leaving(body: Field, at: tuple[int, int]) -> float:
    """The angle, in the picture, in which the part ends soonest."""
    row, column = at
    top, left = max(0, row - 3), max(0, column - 3)
    empty = 1 - body[top : row + 4, left : column + 4]
    y, x = np.mgrid[: empty.shape[0], : empty.shape[1]]
    return float(np.arctan2((empty * (y - row + top)).sum(), (empty * (x - column + left)).sum()))


def _pixel(where: Pixels, rng: np.random.Generator) -> tuple[int, int]:
    found = np.flatnonzero(where)
    if not len(found):
        return where.shape[0] // 2, where.shape[1] // 2
    row, column = divmod(int(found[int(rng.integers(len(found)))]), where.shape[1])
    return row, column
