"""What the embedded model is worth: ``python -m benchmarks.mini [PART ...]``.

Parts: rendered, real, names, captions, gate, speed, and failures, which writes
docs/mini_failures.png.

Every score comes from a detector that ships, with the options that the bundle advises: winclip, or
the one of --detector in the parts rendered and real. Rendered
pictures are held-out programs (training/seeds.py). Real sets are read from --data or
CLIPVET_EVAL_DATA; those that may be looked at only once for each released model need --release,
and every such run is written to benchmarks/RELEASES.md. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._failures import write_failures
from benchmarks._few_shot import FEW_SHOT, Encoded, Judged, judge
from benchmarks._gabor import cells, largest_distance
from benchmarks._gate import gate_rates
from benchmarks._metrics import aupro, interval, pixel_auroc, resized_map, resized_mask
from benchmarks._real_sets import REAL_SETS, find
from benchmarks._speed import milliseconds
from benchmarks._words import caption_retrieval, classify_names
from clipvet.detectors import DetectorOptions, read_frame
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.winclip import WinClip, WinClipOptions

HERE = Path(__file__).resolve().parent

PARTS = ["rendered", "real", "names", "captions", "gate", "speed", "failures"]
SHOTS = (0, 1, 4, 16)
PIXEL_DRAWS = 3
FALSE_ALARMS = 0.05
PICTURE = HERE.parent / "docs" / "mini_failures.png"
RELEASES = HERE / "RELEASES.md"

Numbers = dict[str, Any]


def real(runtime: Runtime, options: DetectorOptions, data: Path, args: Any) -> Numbers:
    """Image AUROC beside the floor on the same draws; pixel metrics over the first draws.

    Recall is that of the limit which 5 % of the good images of the same draw exceed.
    """
    out: Numbers = {}
    for name, where in REAL_SETS.items():
        if not (where.free or args.release) or (args.only and name not in args.only):
            continue
        good, bad, mask_files = find(data, name)
        pixels = [read_frame(path).pixels for path in good + bad]
        encoded = Encoded.of(runtime, pixels, name.rpartition("_")[2])
        floor_cells = np.stack([cells(image) for image in pixels])
        label = np.array([False] * len(good) + [True] * len(bad))
        masks = _masks(mask_files, len(good))
        out[name] = {"good": len(good), "defect": len(bad)}
        for shots in args.shots or SHOTS:
            if shots + 2 > len(good):
                continue
            ours, floor, pixel, recalls = [], [], [], []
            for draw in range(args.draws if shots else 1):
                references = np.random.default_rng(draw).permutation(len(good))[:shots]
                rest = np.setdiff1d(np.arange(len(label)), references)
                judged = judge(runtime, options, encoded, references.tolist(), rest.tolist())
                ours.append(float(roc_auc_score(label[rest], judged.scores)))
                limit = np.quantile(judged.scores[~label[rest]], 1 - FALSE_ALARMS)
                recalls.append({"recall": float((judged.scores[label[rest]] > limit).mean())})
                if shots:
                    bank = floor_cells[references]
                    worst = [largest_distance(floor_cells[i], bank) for i in rest]
                    floor.append(float(roc_auc_score(label[rest], worst)))
                if masks is not None and draw < PIXEL_DRAWS:
                    pixel.append(_pixels(judged, masks[rest]))
            measured = _compared(ours, floor) | _means(recalls) | _means(pixel)
            out[name][f"{shots}-shot"] = measured
        print(json.dumps({name: out[name]}), file=sys.stderr, flush=True)
    return out


def rendered(runtime: Runtime, options: DetectorOptions, args: Any) -> Numbers:
    """Means over held-out programs: 16 references at most, 12 good and 12 defective queries."""
    from training.render import render
    from training.scenes import make_program
    from training.seeds import SEEDS

    side = runtime.info.image_size
    chosen = args.shots or SHOTS
    rows: dict[str, list[Numbers]] = {f"{shots}-shot": [] for shots in chosen}
    for seed in range(SEEDS["held_out"].start, SEEDS["held_out"].start + args.programs):
        program = make_program(seed)
        shown = [render(program, i, size=(side, side)) for i in range(28)]
        shown += [render(program, i, defect="any", size=(side, side)) for i in range(28, 40)]
        encoded = Encoded.of(runtime, [s.image for s in shown], program.name)
        label = np.array([bool(s.facts.defect) for s in shown[16:]])
        masks = np.stack([resized_mask(s.mask) for s in shown[16:]])
        for shots in chosen:
            judged = judge(runtime, options, encoded, range(shots), range(16, 40))
            found = {"image_auroc": float(roc_auc_score(label, judged.scores))}
            rows[f"{shots}-shot"].append(found | _pixels(judged, masks))
    return {"programs": args.programs} | {key: _means(found) for key, found in rows.items()}


def _compared(ours: list[float], floor: list[float]) -> Numbers:
    """Mean, spread, and the paired difference to the floor, which is 0.5 at least."""
    out: Numbers = {"image_auroc": round(float(np.mean(ours)), 4), "draws": len(ours)}
    if floor:
        level = np.array(floor) if np.mean(floor) >= 0.5 else np.full(len(floor), 0.5)
        mean, low, high = interval(np.array(ours) - level)
        out["std"] = round(float(np.std(ours)), 4)
        out["gabor"] = round(float(np.mean(floor)), 4)
        out["difference"] = [round(mean, 4), round(low, 4), round(high, 4)]
    return out


def _pixels(judged: Judged, masks: NDArray[np.bool_]) -> Numbers:
    maps = np.stack([resized_map(heatmap) for heatmap in judged.maps])
    return {"pixel_auroc": pixel_auroc(maps, masks), "aupro": aupro(maps, masks)}


def _means(rows: Iterable[Numbers]) -> Numbers:
    rows = list(rows)
    return {key: round(float(np.mean([r[key] for r in rows])), 4) for key in (rows or [{}])[0]}


def _masks(files: list[Path | None], good: int) -> NDArray[np.bool_] | None:
    """Masks of all images, or None where some defect has none."""
    found = [read_frame(f).pixels[..., 0] > 127 for f in files if f is not None]
    if len(found) < len(files):
        return None
    clear = np.zeros((good, *resized_mask(found[0]).shape), bool)
    return np.concatenate([clear, np.stack([resized_mask(mask) for mask in found])])


def _log_release(bundle: Path, detector: str, numbers: Numbers) -> None:
    """One line for each look at the sets that are not free."""
    files = [path for path in (bundle / "weights.bin", bundle / "trunk.bin") if path.exists()]
    content = b"".join(path.read_bytes() for path in files)
    digest = f"{hashlib.sha256(content).hexdigest()[:12]} {detector}"
    looked = {
        name: {key: row["image_auroc"] for key, row in found.items() if key.endswith("-shot")}
        for name, found in numbers.items()
    }
    line = f"| {datetime.now(UTC):%Y-%m-%d %H:%M} | {digest} | {json.dumps(looked)} |\n"
    if not RELEASES.exists():
        RELEASES.write_text(
            "# Every run on the sets that are looked at once for each released model\n\n"
            "| when (UTC) | weights, detector | image AUROC |\n|---|---|---|\n"
        )
    with RELEASES.open("a") as log:
        log.write(line)


def main() -> None:
    """Run the parts that are named, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS)
    parser.add_argument("--bundle", type=Path, default=HERE.parent / "detectors/clip/mini")
    parser.add_argument("--data", type=Path, default=os.environ.get("CLIPVET_EVAL_DATA"))
    parser.add_argument("--photos", type=Path, help="a folder of everyday photographs")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--detector", choices=sorted(FEW_SHOT), default=WinClip.id)
    parser.add_argument("--shots", type=int, action="append", help="of 0, 1, 4, 16; else all")
    parser.add_argument("--only", action="append", metavar="SET", help="of the real sets, these")
    parser.add_argument("--release", action="store_true", help="look at every real set, and log it")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON")
    args = parser.parse_args()
    bundle = Bundle.open(args.bundle)
    if args.detector != WinClip.id and 0 in (args.shots or SHOTS):
        parser.error(f"{args.detector} needs good images: give --shots above 0")
    given = dict(bundle.manifest.options.get(args.detector, {}))
    given |= {key: json.loads(value) for key, _, value in (s.partition("=") for s in args.set)}
    detector = FEW_SHOT[args.detector]
    options = detector.Options(**given)
    asked = options if isinstance(options, WinClipOptions) else WinClipOptions()
    out: Numbers = {"bundle": bundle.manifest.name, "detector": args.detector, "options": given}
    parts: dict[str, Callable[[Runtime], Numbers]] = {
        "rendered": lambda r: rendered(r, options, args),
        "real": lambda r: real(r, options, args.data, args),
        "names": lambda r: classify_names(r, 4 * args.programs),
        "gate": lambda r: gate_rates(r, 2 * args.programs, args.photos),
        "captions": lambda r: caption_retrieval(r, 2 * args.programs),
        "speed": lambda _: milliseconds(bundle, asked),
        "failures": lambda r: {"shown": write_failures(r, asked, args.programs, PICTURE)},
    }
    unknown = sorted(set(args.parts) - set(parts))
    if unknown:
        parser.error(f"unknown part {unknown[0]}: choose from {', '.join(parts)}")
    if "real" in args.parts and args.data is None:
        parser.error("real needs --data or CLIPVET_EVAL_DATA")
    needs = detector(options).needs | {"cls_embed", "hidden_4"}
    with Runtime(bundle, needs=set(needs), device="cpu") as runtime:
        for part in args.parts:
            out[part] = parts[part](runtime)
    if args.release and "real" in out:
        _log_release(args.bundle, args.detector, out["real"])
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
