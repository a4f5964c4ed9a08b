"""Measure a bundle: ``python -m training.evaluate rendered|real [--bundle FOLDER] [--data DIR]``.

Image AUROC in the few-shot setting: the score of an image is the largest distance of a patch token
after the last block to its nearest patch of the references. Zero-shot: WinCLIP's text score.
``real`` takes the folder of real sets from --data or CLIPVET_EVAL_DATA; its numbers are looked
at, never trained or tuned on.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from clipvet.detectors import read_frame
from clipvet.detectors.clip import Bundle, Runtime
from training.render import render
from training.scenes import make_program
from training.seeds import NEVER_TRAINED, SEEDS
from training.vocabulary import BAD_STATES, GOOD_STATES, TEMPLATES

__all__ = ["Encoded", "main", "nearest", "real", "rendered"]

Array = NDArray[np.float32]
_DRAWS = 20


@dataclass(frozen=True)
class Encoded:
    """Unit features of n images: ``tokens`` [n, N, W], ``patches`` [n, N, E], ``image`` [n, E]."""

    tokens: Array
    patches: Array
    image: Array


def encode(runtime: Runtime, views: list[NDArray[np.uint8]], kind: str) -> Encoded:
    """Encode views; ``kind`` names the tokens: "patch_tokens" (after ln_post) or "hidden_4"."""
    features = runtime.encode_views(views)
    tokens = features[kind][:, -features["patch_tokens"].shape[1] :]
    return Encoded(_unit(tokens), _unit(features["patch_embed"]), _unit(features["cls_embed"]))


def nearest(query: Array, references: Array) -> Array:
    """Distance map [N] of one image: (1 - cosine to the nearest reference patch) / 2."""
    out: Array = (1 - (query @ references.reshape(-1, query.shape[1]).T).max(axis=1)) / 2
    return out


def states(runtime: Runtime, name: str) -> Array:
    """WinCLIP's pair [2, E]: the mean of the good and of the bad prompts, at unit length."""
    pair = []
    for words in (GOOD_STATES[:7], BAD_STATES[:4]):
        texts = [t.format(w.format(name)) for t in TEMPLATES for w in words]
        pair.append(runtime.encode_text(texts).mean(axis=0))
    return _unit(np.stack(pair))


def rendered(runtime: Runtime, kind: str, programs: int) -> dict[str, float]:
    """Held-out programs, each with 4 references, 8 good and 8 defective queries."""
    side = runtime.info.image_size
    scores: dict[str, list[float]] = {}
    pooled: dict[str, list[NDArray[np.float64]]] = {"label": [], "zero": [], "few": []}
    for seed in range(SEEDS["held_out"].start, SEEDS["held_out"].start + programs):
        program = make_program(seed)
        shots = [render(program, i, size=(side, side)) for i in range(12)]
        shots += [render(program, i, defect="any", size=(side, side)) for i in range(12, 20)]
        coded = encode(runtime, [s.image for s in shots], kind)
        label = np.array([bool(s.facts.defect) for s in shots[4:]])
        direction = np.diff(states(runtime, program.name), axis=0)[0]
        maps = np.stack([nearest(q, coded.tokens[:4]) for q in coded.tokens[4:]])
        text = coded.patches[4:] @ direction
        found = {
            "zero_image": roc_auc_score(label, coded.image[4:] @ direction),
            "zero_object": roc_auc_score(
                label, coded.image[4:] @ np.diff(states(runtime, "object"), axis=0)[0]
            ),
            "zero_map_max": roc_auc_score(label, text.max(axis=1)),
            "few_max": roc_auc_score(label, maps.max(axis=1)),
            "few_top10": roc_auc_score(label, np.sort(maps, axis=1)[:, -10:].mean(axis=1)),
        }
        unseen = program.name in NEVER_TRAINED
        for key, value in found.items():
            scores.setdefault(key, []).append(float(value))
            if unseen:
                scores.setdefault(f"{key}_unseen_family", []).append(float(value))
        grid = runtime.info.grid[0]
        cell = side // grid
        masks = np.stack([s.mask for s in shots[4:]]).reshape(16, grid, cell, grid, cell)
        pooled["label"].append((masks.mean(axis=(2, 4)) > 0.12).ravel())
        pooled["zero"].append(text.ravel().astype(float))
        pooled["few"].append(maps.ravel().astype(float))
    out = {k: round(float(np.mean(v)), 3) for k, v in sorted(scores.items())}
    truth = np.concatenate(pooled["label"])
    for key in ("zero", "few"):
        out[f"{key}_patch"] = round(float(roc_auc_score(truth, np.concatenate(pooled[key]))), 3)
    out["programs"] = programs
    out["programs_unseen_family"] = len(scores.get("few_max_unseen_family", []))
    return out


def real(runtime: Runtime, kind: str, data: Path) -> dict[str, dict[str, float]]:
    """The real sets: first 60 good and 100 defective images, 4 references, 20 draws."""
    out = {}
    for name, find in _SETS.items():
        good, bad = find(data / name)
        good, bad = good[:60], bad[:100]
        if not good or not bad:
            raise ValueError(f"{data / name} holds no images")
        coded = encode(runtime, [read_frame(p).pixels for p in good + bad], kind)
        label = np.array([False] * len(good) + [True] * len(bad))
        direction = np.diff(states(runtime, "object"), axis=0)[0]
        draws: dict[str, list[float]] = {"max": [], "top10": []}
        for draw in range(_DRAWS):
            references = np.random.default_rng(draw).permutation(len(good))[:4]
            test = np.setdiff1d(np.arange(len(label)), references)
            maps = np.stack([nearest(coded.tokens[i], coded.tokens[references]) for i in test])
            draws["max"].append(roc_auc_score(label[test], maps.max(axis=1)))
            draws["top10"].append(
                roc_auc_score(label[test], np.sort(maps, axis=1)[:, -10:].mean(axis=1))
            )
        out[name] = {
            "good": len(good),
            "defect": len(bad),
            "few_max_draw0": round(draws["max"][0], 3),
            "few_max_mean20": round(float(np.mean(draws["max"])), 3),
            "few_max_std20": round(float(np.std(draws["max"])), 3),
            "few_top10_mean20": round(float(np.mean(draws["top10"])), 3),
            "zero_image": round(float(roc_auc_score(label, coded.image @ direction)), 3),
            "zero_map_max": round(
                float(roc_auc_score(label, (coded.patches @ direction).max(axis=1))), 3
            ),
        }
    return out


def _unit(x: Array) -> Array:
    out: Array = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return out


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"})


def _elpv(folder: Path) -> tuple[list[Path], list[Path]]:
    return _images(folder / "images" / "good"), _images(folder / "images" / "defect")


def _kolektor(folder: Path) -> tuple[list[Path], list[Path]]:
    return _images(folder / "images" / "good"), _images(folder / "images" / "defect")


def _cookie(folder: Path) -> tuple[list[Path], list[Path]]:
    return _images(folder / "train" / "good"), _images(folder / "train" / "anomaly")


def _bottle(folder: Path) -> tuple[list[Path], list[Path]]:
    kinds = ("broken_large", "broken_small", "contamination")
    bad = [p for kind in kinds for p in _images(folder / "test" / kind)]
    return _images(folder / "test" / "good"), bad


_SETS: dict[str, Callable[[Path], tuple[list[Path], list[Path]]]] = {
    "mvtec_bottle": _bottle,
    "kolektorsdd": _kolektor,
    "aws_cookie": _cookie,
    "elpv": _elpv,
}


def main() -> None:
    """Measure from the command line; JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["rendered", "real"])
    parser.add_argument("--bundle", type=Path, default=Path("detectors/clip/mini"))
    parser.add_argument("--data", type=Path, default=os.environ.get("CLIPVET_EVAL_DATA"))
    parser.add_argument("--tokens", choices=["patch_tokens", "hidden_4"], default="hidden_4")
    parser.add_argument("--programs", type=int, default=80)
    args = parser.parse_args()
    if args.what == "real" and args.data is None:
        parser.error("real needs --data or CLIPVET_EVAL_DATA")
    needs = {"cls_embed", "patch_embed", "patch_tokens", args.tokens}
    with Runtime(Bundle.open(args.bundle), needs=needs, device="cpu") as runtime:
        if args.what == "rendered":
            print(json.dumps(rendered(runtime, args.tokens, args.programs), indent=1))
        else:
            print(json.dumps(real(runtime, args.tokens, args.data), indent=1))


if __name__ == "__main__":
    main()
