"""Known names against others, and against photographs, by the scores of vim and clipn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from sklearn.metrics import roc_auc_score

from clipvet.detectors import Batch, Context, Detector, Query, View, is_candidate, read_frame
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.clipn import Clipn, ClipnOptions
from clipvet.plugins.clipn._options import Method as ClipnMethod
from clipvet.plugins.vim import Vim, VimOptions
from clipvet.plugins.vim._options import Method as VimMethod
from training.catalogue.variants import Side
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

__all__ = ["out_of_distribution"]

KNOWN = ("bolt", "bottle", "capsule", "connector", "gear", "leather", "nut", "pill", "tile", "wood")
OTHERS = ("brush", "cable", "carpet", "coin", "cookie", "grid", "key", "lamp", "switch", "zipper")
QUERY = Query(classes=KNOWN)
_FIRST = 800_000


def out_of_distribution(bundle: Bundle, count: int, photos: Path | None) -> dict[str, Any]:
    """AUROC of each method; vim learns from ``4 * count`` good pictures of the known names."""
    with Runtime(bundle, needs={"cls_embed", "local_embed"}, device="cpu") as runtime:
        context = Context(bundle=runtime.info, encode_text=runtime.encode_text)
        good = _encoded(runtime, _pictures(KNOWN, 4 * count, "train"))
        inside = _encoded(runtime, _pictures(KNOWN, count, "held_out"))
        outside = {"other names": _encoded(runtime, _pictures(OTHERS, count, "held_out"))}
        if photos is not None:
            files = sorted(path for path in photos.rglob("*") if is_candidate(path))
            outside["photographs"] = _encoded(runtime, [read_frame(file).pixels for file in files])
        found: dict[str, Any] = {
            "good": len(good),
            "known": len(inside),
            **{name: len(batch) for name, batch in outside.items()},
        }
        detectors: dict[str, Detector] = {
            **{f"clipn {m}": Clipn(ClipnOptions(method=m)) for m in get_args(ClipnMethod)},
            **{f"vim {m}": Vim(VimOptions(method=m)) for m in get_args(VimMethod)},
        }
        for name, detector in detectors.items():
            detector.prepare(context)
            if detector.learns:
                detector.fit([good])
            base = _scores(detector, inside)
            found[name] = {
                kind: _auroc(base, _scores(detector, batch)) for kind, batch in outside.items()
            }
    return found


def _pictures(names: Sequence[str], count: int, side: Side) -> list[np.ndarray[Any, Any]]:
    first = SEEDS[side].start + _FIRST
    return [
        render(make_program(first + i, family=names[i % len(names)]), 0, size=(192, 192)).image
        for i in range(count)
    ]


def _encoded(runtime: Runtime, pictures: Sequence[Any]) -> Batch:
    views = [View(pixels=p, box=(0, 0, p.shape[1], p.shape[0])) for p in pictures]
    return Batch(
        features=runtime.encode_views(list(pictures)), views=views, queries=[[QUERY]] * len(views)
    )


def _scores(detector: Detector, batch: Batch) -> list[float]:
    return [row[0].value for row in detector.score(batch)]


def _auroc(inside: list[float], outside: list[float]) -> float:
    label = [0] * len(inside) + [1] * len(outside)
    return round(float(roc_auc_score(label, inside + outside)), 4)
