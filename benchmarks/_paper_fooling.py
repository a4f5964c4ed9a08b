"""CLIPMasterPrints: detection of prints among photographs, and POI (methods/safety.md 2.2, 2.7).

A print is positive. Prints are kept apart by folder (attack and victim). With fewer than 50 of a
kind, counts are given and no decimals.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._paper import Setup, Unmeasured, encoded, images, inspected, rounded
from benchmarks._paper_ood import class_folders
from clipvet.detectors import Inspector, unit_rows
from clipvet.detectors.clip import Runtime

__all__ = ["fooling"]

Numbers = dict[str, Any]
Floats = NDArray[np.float64]

FEW = 50
_LAYOUT = "DATA/prints/<kind>/* and DATA/photos/*"
_GENUINE = "DATA/imagenet/val/<class>/* for POI"


def fooling(setup: Setup) -> Numbers:
    """Detection, and how far the prints fool the bundle itself."""
    prints = {
        folder.name: found
        for folder in sorted(setup.folder("prints", _LAYOUT).iterdir())
        if folder.is_dir() and (found := images(folder))
    }
    photos = images(setup.folder("photos", _LAYOUT))
    if not prints or not photos:
        raise Unmeasured(f"{setup.data} holds no prints or no photographs: wants {_LAYOUT}")
    scores: dict[str, list[float]] = {}
    methods = set()
    with Inspector([setup.spec("fooling")], bundle=setup.bundle) as inspector:
        for kind, files in {"photos": photos, **prints}.items():
            for file in files:
                detection = inspected(inspector, file).record.detections[0]
                scores.setdefault(kind, []).append(float(detection.score or 0.0))
                methods.add(str(detection.details["method"]))
    genuine = np.array(scores.pop("photos"))
    out: Numbers = {
        "n": {"photos": len(genuine), **{kind: len(files) for kind, files in prints.items()}},
        "method": sorted(methods),
        "positive": "print",
        "metrics": {
            "detection": {
                kind: _detection(np.array(values), genuine) for kind, values in scores.items()
            }
        },
        "not measured": {},
    }
    try:
        out["metrics"]["poi"] = _poi(setup, prints)
    except Unmeasured as error:
        out["not measured"]["poi"] = str(error)
    return out


def _detection(prints: Floats, photos: Floats) -> Numbers:
    """AUROC, and prints caught where at most 1 % of the photographs are flagged."""
    limit = np.sort(photos)[::-1][len(photos) // 100]
    caught, flagged = int((prints > limit).sum()), int((photos > limit).sum())
    out: Numbers = {"photos flagged": f"{flagged} of {len(photos)}"}
    if min(len(prints), len(photos)) < FEW:
        above = int((prints[:, None] > photos).sum())
        return {
            "pairs in order": f"{above} of {len(prints) * len(photos)}",
            "caught at 1 % FPR": f"{caught} of {len(prints)}",
            **out,
        }
    label = np.r_[np.zeros(len(photos)), np.ones(len(prints))]
    return {
        "auroc": rounded(roc_auc_score(label, np.r_[photos, prints])),
        "tpr at 1 % fpr": rounded(caught / len(prints)),
        **out,
    }


def _poi(setup: Setup, prints: dict[str, list[Path]]) -> Numbers:
    """Share of pairs (class, genuine image of it) whose cosine the print exceeds.

    Captions are the class names as they are. Names that DATA/prints/<kind>/prints.json says a
    print was mined for are ``targeted``, the others ``other``; without it there is only ``all``.
    """
    folders = class_folders(setup, setup.folder("imagenet/val", _GENUINE))
    with Runtime(setup.opened(), needs={"cls_embed"}) as runtime:
        captions = unit_rows(runtime.encode_text(list(folders.values())))
        cosines = [
            _embedded(runtime, images(folder)) @ caption
            for folder, caption in zip(folders, captions, strict=True)
        ]
        out: Numbers = {}
        for kind, files in prints.items():
            targets = _targets(files[0].parent)
            beaten: dict[str, list[float]] = {}
            for file, mined in zip(files, _embedded(runtime, files), strict=True):
                wanted = targets.get(file.name)
                for name, of_name, caption in zip(folders.values(), cosines, captions, strict=True):
                    group = "all" if wanted is None else "targeted" if name in wanted else "other"
                    pairs = of_name < float(mined @ caption)
                    beaten.setdefault(group, []).extend(pairs.tolist())
            out[kind] = {group: _share(pairs, len(files)) for group, pairs in beaten.items()}
    return out


def _share(pairs: list[float], prints: int) -> Any:
    if prints < FEW or not pairs:
        return f"{int(sum(pairs))} of {len(pairs)} pairs, {prints} prints"
    return rounded(np.mean(pairs))


def _embedded(runtime: Runtime, files: list[Path]) -> Floats:
    rows = [features["cls_embed"] for features in encoded(runtime, files)]
    if not rows:
        return np.empty((0, runtime.info.embed_dim))
    return unit_rows(np.concatenate(rows))


def _targets(folder: Path) -> dict[str, set[str]]:
    """Names that each print was mined for, as training/mine_prints.py writes them."""
    path = folder / "prints.json"
    if not path.is_file():
        return {}
    listed = json.loads(path.read_text(encoding="utf-8"))["prints"]
    return {row["file"]: set(row["names"]) for row in listed}
