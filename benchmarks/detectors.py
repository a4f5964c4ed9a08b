"""What the detectors are worth on the embedded model: ``python -m benchmarks.detectors [PART]``.

Parts: anomaly (no good image, an object's name at most), content (pictograms of danger), ood
(known names against others) and quality (broken cameras; a fifth of --count programs), on rendered
pictures of the held-out side, drawn anew into a temporary folder; with --data, anomaly on the real
sets that may be looked at freely, and with --photos, ood against photographs, too. One JSON object
on stdout; docs/detectors.md holds it in words.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._metrics import pixel_auroc, resized_map, resized_mask
from benchmarks._ood import out_of_distribution
from benchmarks._quality import broken_cameras, cost
from benchmarks._real_sets import REAL_SETS, find
from clipvet.detectors import DetectorSpec, Inspector, Query, read_frame
from clipvet.detectors.clip import Bundle
from training.detector_data import write_harm, write_parts

HERE = Path(__file__).resolve().parent

Numbers = dict[str, Any]

ANOMALY: dict[str, DetectorSpec] = {
    "winclip": DetectorSpec(id="winclip", options={"variant": "paper"}),
    "anomalyclip": DetectorSpec(id="anomalyclip"),
    "anomalyclip sdp": DetectorSpec(id="anomalyclip", options={"variant": "sdp"}),
    "anomalyclip clap": DetectorSpec(id="anomalyclip", options={"variant": "clap"}),
}


def anomaly(folder: Path, args: Any) -> Numbers:
    """Image and pixel AUROC without a good image."""
    write_parts(folder, args.count, "held_out")
    sets = {"rendered": list(_rendered(folder))}
    for name, where in REAL_SETS.items():
        if args.data is not None and where.free:
            good, bad, masks = find(args.data, name)
            known: list[Path | None] = [None] * len(good)
            about = name.rpartition("_")[2]
            sets[name] = [
                (path, about, kind, mask)
                for path, mask, kind in zip(
                    good + bad, known + masks, [0] * len(good) + [1] * len(bad), strict=True
                )
            ]
    out: Numbers = {}
    for set_name, pictures in sets.items():
        label = np.array([kind for _, _, kind, _ in pictures])
        out[set_name] = {"good": int((label == 0).sum()), "defective": int(label.sum())}
        for name, spec in ANOMALY.items():
            out[set_name][name] = _judged(spec, pictures, label)
    return out


def content(folder: Path, args: Any) -> Numbers:
    """AUROC of pictograms of danger against other layouts."""
    write_harm(folder, args.count, "held_out")
    files = {kind: sorted((folder / kind).iterdir()) for kind in ("good", "bad")}
    scores: dict[str, list[float]] = {}
    with Inspector(["inappropriate"]) as inspector:
        for kind, paths in files.items():
            scores[kind] = [float(inspector(path).detections[0].score or 0.0) for path in paths]
    label = [0] * len(scores["good"]) + [1] * len(scores["bad"])
    auroc = roc_auc_score(label, scores["good"] + scores["bad"])
    flagged = {f"{kind} above .5": float(np.mean(np.array(s) > 0.5)) for kind, s in scores.items()}
    return {"n": len(label), "auroc": round(float(auroc), 4), **flagged}


def ood(_folder: Path, args: Any) -> Numbers:
    """AUROC of known names against others."""
    bundle = Bundle.open(HERE.parent / "detectors/clip/mini")
    return out_of_distribution(bundle, args.count, args.photos)


def quality(_folder: Path, args: Any) -> Numbers:
    """What faults of a camera are found of held-out parts, and what it costs."""
    return {**broken_cameras(max(1, args.count // 5)), "ms": cost()}


Picture = tuple[Path, str, int, Path | None]


def _rendered(folder: Path) -> Iterator[Picture]:
    for program in sorted(folder.iterdir()):
        name = program.name.rpartition("_")[0].replace("_", " ")
        for path in sorted((program / "good").iterdir()):
            yield path, name, 0, None
        for path in sorted((program / "defect").rglob("*.png")):
            yield path, name, 1, program / "masks" / path.relative_to(program / "defect")


def _judged(spec: DetectorSpec, pictures: list[Picture], label: NDArray[np.int_]) -> Numbers:
    scores, maps, masks = [], [], []
    with_masks = all(mask is not None for _, _, kind, mask in pictures if kind)
    with Inspector([spec]) as inspector:
        for path, name, _, mask in pictures:
            found = inspector.inspect(path, queries=[Query(object=name)])
            scores.append(found.record.detections[0].score)
            heatmap = found.heatmaps.get(spec.id)
            if with_masks and heatmap is not None:
                maps.append(resized_map(heatmap.grid))
                masks.append(
                    np.zeros(maps[-1].shape, dtype=bool)
                    if mask is None
                    else resized_mask(read_frame(mask).pixels[..., 0] > 127)
                )
    out = {"image_auroc": round(float(roc_auc_score(label, scores)), 4)}
    if maps:
        out["pixel_auroc"] = round(pixel_auroc(np.stack(maps), np.stack(masks)), 4)
    return out


def main() -> None:
    """Run the parts that are named, all of them by default."""
    parts = {"anomaly": anomaly, "content": content, "ood": ood, "quality": quality}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(parts))
    parser.add_argument("--data", type=Path, default=os.environ.get("CLIPVET_EVAL_DATA"))
    parser.add_argument("--photos", type=Path, help="a folder of everyday photographs")
    parser.add_argument("--count", type=int, default=100, help="programs, or layouts of a kind")
    args = parser.parse_args()
    out: Numbers = {}
    for part in args.parts:
        if part not in parts:
            parser.error(f"unknown part {part}: choose from {', '.join(parts)}")
        with tempfile.TemporaryDirectory() as folder:
            out[part] = parts[part](Path(folder), args)
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
