"""Pictures of what the embedded model gets wrong on rendered held-out programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks._few_shot import Encoded, judge
from clipvet.detectors import Heatmap, render_overlay
from clipvet.detectors.clip import Runtime
from clipvet.plugins.winclip import WinClipOptions

__all__ = ["write_failures"]

_REFERENCES, _QUERIES, _SHOWN, _COLUMNS = 4, 8, 12, 4


@dataclass(frozen=True)
class _Miss:
    """A defective picture that scores no higher than most good ones of its program."""

    beaten_by: float
    picture: NDArray[np.uint8]
    what: str


def write_failures(
    runtime: Runtime, options: WinClipOptions, programs: int, out: Path
) -> list[str]:
    """Write the 12 worst misses as a PNG, one of each program; returns what each shows.

    Left: the picture, its defect outlined. Right: the 4-shot heatmap over it; its range ends at
    the largest cell of the program's good pictures.
    """
    from training.seeds import SEEDS

    first = SEEDS["held_out"].start + 800_000
    misses = [_worst(runtime, options, first + i) for i in range(programs)]
    worst = sorted((m for m in misses if m), key=lambda m: -m.beaten_by)[:_SHOWN]
    tiles = [m.picture for m in worst]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    rows = [np.concatenate(tiles[i : i + _COLUMNS], 1) for i in range(0, len(tiles), _COLUMNS)]
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(out, optimize=True)
    return [m.what for m in worst]


def _worst(runtime: Runtime, options: WinClipOptions, seed: int) -> _Miss | None:
    from training.render import render
    from training.scenes import make_program

    side = runtime.info.image_size
    program = make_program(seed)
    good = [render(program, i, size=(side, side)) for i in range(_REFERENCES + _QUERIES)]
    bad = [render(program, 100 + i, defect="any", size=(side, side)) for i in range(_QUERIES)]
    bad = [shot for shot in bad if shot.facts.defect]
    if not bad:
        return None
    encoded = Encoded.of(runtime, [s.image for s in (*good, *bad)], program.name)
    queries = range(_REFERENCES, len(good) + len(bad))
    judged = judge(runtime, options, encoded, range(_REFERENCES), queries)
    level, scores = judged.scores[:_QUERIES], judged.scores[_QUERIES:]
    k = int(np.argmin(scores))
    shot = bad[k]
    outlined = shot.image.copy()
    contours, _ = cv2.findContours(
        shot.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(outlined, contours, -1, (255, 0, 255), 1)
    grid = judged.maps[_QUERIES + k]
    heatmap = Heatmap(grid=grid, box=(0, 0, side, side), image_size=(side, side))
    high = max(float(judged.maps[:_QUERIES].max()), 1e-6)
    over = render_overlay(shot.image, heatmap, low=0, high=high)[: side * -(-256 // side)]
    small = cv2.resize(over, (side, side), interpolation=cv2.INTER_AREA)
    share = float((level >= scores[k]).mean())
    picture = np.concatenate([outlined, np.asarray(small, np.uint8)], axis=1)
    return _Miss(share, picture, f"{program.name}: {shot.facts.defect}")
