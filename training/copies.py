"""Several equal parts in one view: where they lie, and the layers of them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from training import shapes as sh
from training.layers import Layer

__all__ = ["Copy", "extent", "side_by_side", "spread", "spread_hurt"]


@dataclass(frozen=True)
class Copy:
    """Where one of several equal parts lies, in the units of the whole view."""

    x: float
    y: float
    scale: float
    turn: float

    def place(self, points: sh.Points) -> sh.Points:
        """From the part's own coordinates to those of the view."""
        c, s = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        out: sh.Points = points @ np.array([[c, s], [-s, c]]) + [self.x, self.y]
        return out

    def own(self, x: float, y: float) -> tuple[float, float]:
        """From the view to the part's own coordinates."""
        c, s = np.cos(self.turn) / self.scale, np.sin(self.turn) / self.scale
        dx, dy = x - self.x, y - self.y
        return float(c * dx + s * dy), float(c * dy - s * dx)


def extent(layers: tuple[Layer, ...]) -> tuple[sh.Points, sh.Points]:
    """Middle and half sizes of the box around everything."""
    points = np.concatenate([s for x in layers if x.role != "hole" for s in x.shapes])
    low, high = points.min(axis=0), points.max(axis=0)
    middle: sh.Points = (low + high) / 2
    half: sh.Points = np.maximum((high - low) / 2, 0.05)
    return middle, half


def side_by_side(rng: np.random.Generator, layers: tuple[Layer, ...]) -> tuple[Copy, ...]:
    """Two to four copies in a row or a square, as large as the view allows."""
    middle, half = extent(layers)
    count = int(rng.choice([2, 2, 3, 4]))
    grids = {2: ((2, 1), (1, 2)), 3: ((3, 1), (1, 3)), 4: ((2, 2), (4, 1), (1, 4))}[count]
    scales = [min(1 / (c * half[0] * 1.08), 1 / (r * half[1] * 1.08)) for c, r in grids]
    columns, rows = grids[int(np.argmax(scales))]
    scale = min(0.95 * max(scales), 1.0)
    wide, tall = 2.16 * scale * half[0], 2.16 * scale * half[1]
    flip = np.pi if rng.random() < 0.15 else 0.0
    copies = []
    for k in range(count):
        turn = float(rng.normal(0, 0.02) + flip * (k % 2))
        dx, dy = rng.normal(0, 0.012, 2)
        x = (k % columns - (columns - 1) / 2) * wide + dx
        y = (k // columns - (rows - 1) / 2) * tall + dy
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        copies.append(
            Copy(
                float(x - (c * middle[0] - s * middle[1])),
                float(y - (s * middle[0] + c * middle[1])),
                float(scale),
                turn,
            )
        )
    return tuple(copies)


def spread(layers: Sequence[Layer], copies: tuple[Copy, ...]) -> tuple[Layer, ...]:
    """The layers of all copies, in the units of the view."""
    if not copies:
        return tuple(layers)
    return tuple(_placed(x, [x] * len(copies), copies) for x in layers)


def spread_hurt(
    own: Sequence[Layer],
    good: Sequence[Layer],
    hurt: Sequence[Layer],
    copies: tuple[Copy, ...],
    which: int,
) -> tuple[Layer, ...]:
    """As ``good``, which is ``spread`` of ``own``, with copy ``which`` hurt.

    Layers that the defect left alone are the very objects of ``good``.
    """
    if not copies:
        return tuple(hurt)
    out = []
    for i, layer in enumerate(hurt):
        if i >= len(own):
            out.append(_placed(layer, [layer], copies[which : which + 1]))
        elif layer is own[i]:
            out.append(good[i])
        else:
            each = [layer if k == which else own[i] for k in range(len(copies))]
            out.append(_placed(layer, each, copies))
    return tuple(out)


def _placed(like: Layer, each: Sequence[Layer], copies: tuple[Copy, ...]) -> Layer:
    shapes = tuple(c.place(s) for x, c in zip(each, copies, strict=True) for s in x.shapes)
    return replace(like, shapes=shapes, soft=like.soft * copies[0].scale)
