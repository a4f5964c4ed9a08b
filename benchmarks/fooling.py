"""Fooling images found on the embedded model: ``python -m benchmarks.fooling MINED DATA``.

MINED holds what ``training.mine_prints --side held_out`` wrote, a folder for each method; DATA what
``training.fooling_data --side held_out`` wrote. With --prints and --photos, published prints of
other models against photographs, by pixels alone. One JSON object on stdout.

``beaten`` is the paper's POI: the share of pairs (name, genuine picture of it) whose cosine the
print exceeds, over the names that it was mined for, without and with the shift as a defence.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from clipvet.detectors import (
    Batch,
    Context,
    Detector,
    Query,
    View,
    is_candidate,
    read_frame,
    unit_rows,
)
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.fooling import Fooling, FoolingOptions
from training.mine_prints import CAPTION, MINI, SHIFT
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS
from training.synonyms import NAMES

__all__ = ["main"]

SETTINGS: dict[str, dict[str, Any]] = {
    "statistics": {"method": "statistics"},
    "statistics shift=0.25": {"method": "statistics", "shift": SHIFT},
    "many_match": {"method": "statistics", "statistics": ("many_match",)},
    "incoherence": {"method": "statistics", "statistics": ("incoherence",)},
    "hubness": {"method": "statistics", "statistics": ("hubness",)},
    "gap_position": {"method": "statistics", "statistics": ("gap_position",)},
    "off_manifold": {"method": "statistics", "statistics": ("off_manifold",)},
    "pixels": {"method": "pixels"},
    "trained": {"method": "trained"},
}
FALSE_ALARM = 0.01
# Far from the seeds of all other pictures.
_FIRST = 850_000
_EACH = 5


def detection(runtime: Runtime, mined: Path, data: Path) -> dict[str, Any]:
    """AUROC and prints above the 99th percentile of genuine pictures, by method and attack."""
    genuine = _encoded(runtime, data / "genuine")
    attacks = {path.name: _encoded(runtime, path) for path in sorted(mined.iterdir())}
    attacks["typographic"] = _encoded(runtime, data / "typographic")
    out: dict[str, Any] = {"genuine": len(genuine)}
    for name, options in SETTINGS.items():
        detector = _prepared(runtime, options)
        base = _scores(detector, genuine)
        out[name] = {
            "method": detector.score(genuine)[0][0].details["method"],
            **{attack: _found(base, _scores(detector, b)) for attack, b in attacks.items()},
        }
    return out


def published(runtime: Runtime, prints: Path, photos: Path) -> dict[str, Any]:
    """Prints mined against other models, by pixels; half of the photographs are learned from."""
    pictures = _encoded(runtime, photos)
    known, unknown = _part(pictures, slice(0, None, 2)), _part(pictures, slice(1, None, 2))
    detector = _prepared(runtime, {"method": "pixels"})
    detector.fit([known])
    base = _scores(detector, unknown)
    kinds = {path.name: path for path in sorted(prints.iterdir()) if path.is_dir()}
    return {
        "learned from": len(known),
        "photographs": len(unknown),
        **{
            name: _found(base, _scores(detector, _encoded(runtime, p))) for name, p in kinds.items()
        },
    }


def beaten(runtime: Runtime, mined: Path) -> dict[str, Any]:
    """POI of each attack without and with the shift, against held-out renders of every name."""
    text = runtime.encode_text([CAPTION.format(name) for name in NAMES]).astype(np.float64)
    first = SEEDS["held_out"].start + _FIRST
    views = [
        render(make_program(first + i, family=name), 0, size=(192, 192)).image
        for name in NAMES
        for i in range(_EACH)
    ]
    images = runtime.encode_views(views)["cls_embed"].astype(np.float64)
    own = np.repeat(np.arange(len(NAMES)), _EACH)
    out: dict[str, Any] = {"names": len(NAMES), "pictures of each": _EACH}
    for shift in (0.0, SHIFT):
        move = shift * (images.mean(axis=0) - text.mean(axis=0))
        target = unit_rows(text + move)
        genuine = (unit_rows(images - move) * target[own]).sum(axis=1)
        for folder in sorted(mined.iterdir()):
            rows = json.loads((folder / "prints.json").read_text())["prints"]
            shares = []
            for row in rows:
                pixels = read_frame(folder / row["file"]).pixels
                f = runtime.encode_views([pixels])["cls_embed"][0].astype(np.float64)
                cosines = target @ unit_rows(f - move)
                aimed = np.isin(own, [NAMES.index(name) for name in row["names"]])
                shares.append(float((genuine[aimed] < cosines[own[aimed]]).mean()))
            out.setdefault(folder.name, {})[f"shift {shift:g}"] = round(float(np.mean(shares)), 4)
    return out


def _found(base: list[float], scores: list[float]) -> dict[str, Any]:
    label = [0] * len(base) + [1] * len(scores)
    threshold = float(np.quantile(base, 1 - FALSE_ALARM))
    return {
        "n": len(scores),
        "auroc": round(float(roc_auc_score(label, base + scores)), 4),
        "found": int(np.sum(np.array(scores) > threshold)),
    }


def _prepared(runtime: Runtime, options: dict[str, Any]) -> Detector:
    detector = Fooling(FoolingOptions.model_validate(options))
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    return detector


def _encoded(runtime: Runtime, folder: Path) -> Batch:
    files = sorted(path for path in folder.rglob("*") if is_candidate(path))
    pictures: list[NDArray[np.uint8]] = [read_frame(file).pixels for file in files]
    views = [View(pixels=p, box=(0, 0, p.shape[1], p.shape[0])) for p in pictures]
    rows = [runtime.encode_views([p])["cls_embed"] for p in pictures]
    return Batch(
        features={"cls_embed": np.concatenate(rows)}, views=views, queries=[[Query()]] * len(views)
    )


def _part(batch: Batch, rows: slice) -> Batch:
    return Batch(
        features={name: x[rows] for name, x in batch.features.items()},
        views=batch.views[rows],
        queries=batch.queries[rows],
    )


def _scores(detector: Detector, batch: Batch) -> list[float]:
    return [row[0].value for row in detector.score(batch)]


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mined", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--prints", type=Path, help="published prints, a folder for each kind")
    parser.add_argument("--photos", type=Path, help="a folder of everyday photographs")
    args = parser.parse_args()
    with Runtime(Bundle.open(MINI), needs={"cls_embed"}, device="cpu") as runtime:
        out = {
            "detection": detection(runtime, args.mined, args.data),
            "beaten": beaten(runtime, args.mined),
        }
        if args.prints and args.photos:
            out["published"] = published(runtime, args.prints, args.photos)
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
