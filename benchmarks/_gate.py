"""How often the embedded bundle's domain gate calls a picture outside of its world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clipvet.detectors import read_frame
from clipvet.detectors.clip import Runtime

__all__ = ["gate_rates"]

_CHUNK = 64


def gate_rates(runtime: Runtime, programs: int, photos: Path | None) -> dict[str, Any]:
    """Shares outside of rendered held-out programs, rendered scenes and everyday photographs."""
    from training.clutter import clutter
    from training.gate import part
    from training.seeds import SEEDS

    if runtime.gate is None:
        return {"gate": None}
    side = runtime.info.image_size
    first = SEEDS["held_out"].start + 700_000
    kinds: dict[str, Any] = {
        "rendered_parts": [lambda i=i: part(first + i, side) for i in range(programs)],
        # The gate learns from the first thousands of scenes; these lie far behind them.
        "rendered_scenes": [lambda i=i: clutter(10_000_000 + i, side) for i in range(programs)],
    }
    if photos is not None:
        files = sorted(p for p in photos.rglob("*") if p.suffix.lower() in {".jpg", ".png"})
        kinds["photos"] = [lambda p=p: read_frame(p).pixels for p in files]
    gate = runtime.gate
    out: dict[str, Any] = {"limit": round(gate.threshold, 3), "inside": round(gate.inside, 3)}
    for kind, draws in kinds.items():
        scores = [
            gate.score(runtime.encode_views([d() for d in draws[i : i + _CHUNK]]))
            for i in range(0, len(draws), _CHUNK)
        ]
        found = np.concatenate(scores)
        out[kind] = {
            "pictures": len(found),
            "outside": round(float((found > gate.threshold).mean()), 4),
            "not_surely_inside": round(float((found > gate.inside).mean()), 4),
        }
    return out
