"""Milliseconds that the shared pass takes for one picture, on the cores of this machine."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.winclip import WinClip, WinClipOptions

__all__ = ["milliseconds"]

_SIDE = 512


def milliseconds(bundle: Bundle, options: WinClipOptions, rounds: int = 30) -> dict[str, Any]:
    """Median, 10th and 90th percentile of one view of a picture: without windows, and with them.

    Args:
        bundle: Whose towers run.
        options: Of winclip, whose needs decide what the pass gives.
        rounds: Timed passes; five more warm up.
    """
    picture = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    needs = set(WinClip(options).needs)
    passes = {
        "patches": {need for need in needs if not need.startswith("win")} | {"cls_embed"},
        "windows": needs,
    }
    out: dict[str, Any] = {}
    for name, wanted in passes.items():
        with Runtime(bundle, needs=wanted, device="cpu") as runtime:
            found = []
            for k in range(rounds + 5):
                start = time.perf_counter()
                runtime.encode_views([picture])
                if k >= 5:
                    found.append(1000 * (time.perf_counter() - start))
        low, median, high = np.percentile(found, [10, 50, 90])
        out[name] = {"median": round(median, 1), "p10": round(low, 1), "p90": round(high, 1)}
    return out
