"""WinCLIP's and AnomalyCLIP's protocol on sets in MVTec AD's layout (methods/anomaly.md 0-2).

Anomalous is positive. Maps and masks are compared on the square that the network reads; masks are
cut at one half. AUPRO runs up to a false positive rate of 0.3 and is divided by it; the
re-implementations stretch the axis to 0..1 instead. Numbers of a set are unweighted means over its
categories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks._few_shot import Encoded, judge
from benchmarks._metrics import aupro, pixel_auroc
from benchmarks._paper import Setup, Unmeasured, encoded, f1_max, images, inspected, rounded
from clipvet.detectors import Inspector
from clipvet.detectors.clip import Runtime
from clipvet.plugins.anomalyclip import Enlarger
from clipvet.plugins.anomalyclip._pictures import Picture, find_pictures, read_mask
from clipvet.plugins.winclip import WinClip, WinClipOptions

__all__ = ["SETS", "anomalyclip", "winclip"]

Numbers = dict[str, Any]

SETS = ("mvtec", "visa")
SHOTS = (1, 2, 4)
# The paper's, whatever the bundle advises.
_PAPER = WinClipOptions()
_LAYOUT = (
    "DATA/mvtec/<category>/{train/good,test/good,test/<kind>,ground_truth/<kind>} "
    "or DATA/visa likewise"
)
# Of AnomalyCLIP's table; WinCLIP's has F1-max beside them.
_ANOMALYCLIP = ("image_auroc", "image_ap", "pixel_auroc", "aupro")
_SMOOTHING = 4.0


@dataclass(frozen=True)
class _Category:
    """Test pictures of one object, and good ones to refer to."""

    name: str
    pictures: Sequence[Picture]
    good: Sequence[Path]

    def measured(self, scores: Sequence[float], maps: NDArray[np.float32]) -> Numbers:
        """Image and pixel metrics; maps [n, S, S], higher is worse."""
        label = np.array([picture.mask is not None for picture in self.pictures])
        side = maps.shape[-1]
        masks = np.stack([read_mask(picture, side) for picture in self.pictures])
        values = np.asarray(scores)
        return {
            "image_auroc": rounded(roc_auc_score(label, values)),
            "image_ap": rounded(average_precision_score(label, values)),
            "image_f1_max": rounded(f1_max(label, values)),
            "pixel_auroc": rounded(pixel_auroc(maps, masks)),
            "aupro": rounded(aupro(maps, masks)),
            "pixel_f1_max": rounded(f1_max(masks.ravel(), maps.ravel())),
        }


def winclip(setup: Setup) -> Numbers:
    """Zero-shot, and 1, 2 and 4 good images drawn anew for each seed."""
    bundle = setup.opened()
    with Runtime(bundle, needs=set(WinClip(_PAPER).needs)) as runtime:
        return _over_sets(setup, lambda category: _winclip(runtime, category, setup.seeds))


def anomalyclip(setup: Setup) -> Numbers:
    """Zero-shot with learned prompts; the map is smoothed as in the reference."""
    _sets(setup)  # nothing is opened in vain
    bundle = setup.opened().info
    enlarge = Enlarger(bundle.grid, bundle.image_size, _SMOOTHING)
    with Inspector([setup.spec("anomalyclip")], bundle=setup.bundle) as inspector:

        def judged(category: _Category) -> dict[str, list[Numbers]]:
            scores, maps, method = [], [], ""
            for picture in category.pictures:
                found = inspected(inspector, picture.path)
                if found.heatmap is None or found.score is None:
                    raise Unmeasured(f"{picture.path} has no heatmap")
                scores.append(found.score)
                maps.append(enlarge(found.heatmap.grid).astype(np.float32))
                method = str(found.record.detections[0].details["method"])
            numbers = category.measured(scores, np.stack(maps))
            return {"0-shot": [{"method": method} | {key: numbers[key] for key in _ANOMALYCLIP}]}

        return _over_sets(setup, judged)


def _winclip(runtime: Runtime, category: _Category, seeds: int) -> dict[str, list[Numbers]]:
    """Numbers of every seed, by shots."""
    tested = [picture.path for picture in category.pictures]
    chunks = list(encoded(runtime, [*tested, *_drawable(category.good, seeds)]))
    everything = Encoded(
        {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]},
        category.name,
    )
    drawn = _drawable(category.good, seeds)
    enlarge = Enlarger(runtime.info.grid, runtime.info.image_size, 0)
    out: dict[str, list[Numbers]] = {}
    for shots in (0, *SHOTS):
        if shots > len(category.good):
            continue
        for seed in range(seeds if shots else 1):
            references = [
                len(tested) + drawn.index(path) for path in _draw(category.good, shots, seed)
            ]
            judged = judge(runtime, _PAPER, everything, references, range(len(tested)))
            maps = np.stack([enlarge(grid).astype(np.float32) for grid in judged.maps])
            numbers = category.measured(judged.scores.tolist(), maps)
            out.setdefault(f"{shots}-shot", []).append(
                {"method": _PAPER.method(len(references)), **numbers}
            )
    return out


def _draw(good: Sequence[Path], shots: int, seed: int) -> list[Path]:
    order = np.random.default_rng(seed).permutation(len(good))
    return [good[i] for i in order[:shots]]


def _drawable(good: Sequence[Path], seeds: int) -> list[Path]:
    """Every good image that a seed draws, once; fewer shots are the first of more."""
    return sorted({path for seed in range(seeds) for path in _draw(good, max(SHOTS), seed)})


def _sets(setup: Setup) -> dict[str, list[Path]]:
    """Folders of the categories of each set that is there."""
    found = {
        name: sorted(path.parent for path in (setup.data / name).glob("*/test")) for name in SETS
    }
    there = {name: folders for name, folders in found.items() if folders}
    if not there:
        raise Unmeasured(f"no set of defects below {setup.data}: wants {_LAYOUT}")
    return there


def _over_sets(
    setup: Setup, judged: Callable[[_Category], dict[str, list[Numbers]]]
) -> dict[str, Any]:
    out: Numbers = {"n": {}, "method": [], "metrics": {}}
    for name, folders in _sets(setup).items():
        found = {}
        count = {"categories": len(folders), "good": 0, "defective": 0}
        for folder in folders:
            category = _Category(
                folder.name, find_pictures(folder), images(folder / "train" / "good")
            )
            defective = sum(picture.mask is not None for picture in category.pictures)
            count["good"] += len(category.pictures) - defective
            count["defective"] += defective
            found[folder.name] = judged(category)
        out["n"][name] = count
        out["metrics"][name] = _summary(found)
        methods = {m["method"] for c in found.values() for rows in c.values() for m in rows}
        out["method"] = sorted({*out["method"], *methods})
    return out


def _summary(found: dict[str, dict[str, list[Numbers]]]) -> Numbers:
    """By shots: each category's mean over seeds; the set's mean, and its spread over seeds."""
    out: Numbers = {}
    for shots in dict.fromkeys(key for category in found.values() for key in category):
        with_it = {name: rows[shots] for name, rows in found.items() if shots in rows}
        by_seed = [_mean(rows) for rows in zip(*with_it.values(), strict=True)]
        out[shots] = {"mean": _mean(by_seed)}
        if len(by_seed) > 1:
            spread = {key: rounded(np.std([row[key] for row in by_seed])) for key in by_seed[0]}
            out[shots] |= {"std over seeds": spread}
        out[shots] |= {
            "seeds": len(by_seed),
            "categories": {name: _mean(rows) for name, rows in with_it.items()},
        }
    return out


def _mean(rows: Iterable[Numbers]) -> dict[str, float]:
    rows = list(rows)
    names = [key for key in rows[0] if key != "method"]
    return {key: rounded(np.mean([row[key] for row in rows])) for key in names}
