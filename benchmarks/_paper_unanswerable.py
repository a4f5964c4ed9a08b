"""CLIP-UP's data, MM-UPD, without a VLM (methods/safety.md 3.4, 3.5 and 3.9).

Unanswerable is positive. An item counts as right under all rotations of its choices, as in the
benchmark. What is decided is answer or refuse: standard accuracy here is the share of answerable
items that are not refused, whatever the answer would have been.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks._paper import Setup, Unmeasured, inspected, interpolated_rate, rounded
from clipvet.detectors import ClipvetError, Inspector, Query
from clipvet.plugins.unanswerable import UnanswerableOptions

__all__ = ["unanswerable"]

Numbers = dict[str, Any]

KINDS = ("aad", "iasd", "ivqd")
_LAYOUT = "DATA/mm_upd/{aad,iasd,ivqd}.jsonl and DATA/mm_upd/images/*"
# Rotated copies of an item have its index plus a multiple of this.
_ROTATION = 10**6
_REFUSED = 0.9
_NOT_HERE = (
    "the paper's standard, UPD and dual accuracy: they count a VLM's answers, and there is no VLM"
)


@dataclass(frozen=True)
class _Asked:
    """One question of a file."""

    image: Path
    query: Query
    item: int
    refused: bool  # whether it should be


def unanswerable(setup: Setup) -> Numbers:
    """Each kind with every head that the artefact serves."""
    folder = setup.folder("mm_upd", _LAYOUT)
    asked = {
        kind: _read(folder / f"{kind}.jsonl", folder / "images")
        for kind in KINDS
        if (folder / f"{kind}.jsonl").is_file()
    }
    if not asked:
        raise Unmeasured(f"{folder} holds no questions: wants {_LAYOUT}")
    methods: dict[str, list[str]] = {}
    metrics: Numbers = {}
    skipped: dict[str, str] = {}
    for head in get_args(UnanswerableOptions.model_fields["head"].annotation):
        # A trained artefact and the method without training exclude each other.
        spec = setup.spec("unanswerable", {"head": head})
        try:
            with Inspector([spec], bundle=setup.bundle) as inspector:
                found = {kind: _judged(inspector, rows) for kind, rows in asked.items()}
        except (ClipvetError, Unmeasured) as error:
            skipped[head] = str(error)
            continue
        methods[head] = sorted({one["method"] for rows in found.values() for one in rows})
        metrics[head] = {kind: _measured(asked[kind], rows) for kind, rows in found.items()}
    return {
        "n": {
            kind: {
                "standard": len({row.item for row in rows if not row.refused}),
                "upd": len({row.item for row in rows if row.refused}),
                "questions": len(rows),
            }
            for kind, rows in asked.items()
        },
        "method": methods,
        "positive": "unanswerable",
        "metrics": metrics,
        "not measured": {"dual accuracy": _NOT_HERE, **skipped},
    }


def _read(path: Path, images: Path) -> list[_Asked]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            letters = [str(fields.get(letter) or "").strip() for letter in "ABCDE"]
            choices = fields.get("choices") or [text for text in letters if text]
            if fields["type"] not in {"standard", "upd"}:
                raise ValueError(f"type is {fields['type']!r}, not standard or upd")
            row = _Asked(
                images / str(fields["image"]),
                Query(question=str(fields["question"]), choices=tuple(choices)),
                int(fields["index"]) % _ROTATION,
                fields["type"] == "upd",
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unmeasured(
                f"{path}: line {number} ({type(error).__name__}: {error}): wants index, question, "
                "A to E or choices, type (standard or upd) and image"
            ) from error
        rows.append(row)
    if len({row.refused for row in rows}) < 2:
        raise Unmeasured(f"{path} needs questions of type standard and of type upd")
    return rows


def _judged(inspector: Inspector, rows: list[_Asked]) -> list[Numbers]:
    """Score, method and what the blind baselines say, for each question in order."""
    by_image: dict[Path, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_image[row.image].append(place)
    out: list[Numbers] = [{} for _ in rows]
    for image, places in by_image.items():
        found = inspected(inspector, image, [rows[place].query for place in places])
        for place, detection in zip(places, found.record.detections, strict=True):
            blind = detection.details.get("blind") or {}
            out[place] = {
                "method": str(detection.details["method"]),
                "score": float(detection.score or 0.0),
                "blind": {name: value for name, value in blind.items() if value is not None},
            }
    return out


def _measured(asked: list[_Asked], found: list[Numbers]) -> Numbers:
    refused = np.array([row.refused for row in asked])
    scores = np.array([one["score"] for one in found])
    blind = {
        name: rounded(roc_auc_score(refused, [one["blind"][name] for one in found]))
        for name in found[0]["blind"]
        if all(name in one["blind"] for one in found)
    }
    # An answerable item must be answered in its worst rotation, a twin refused in its weakest.
    standard: dict[int, float] = {}
    twins: dict[int, float] = {}
    for row, score in zip(asked, scores.tolist(), strict=True):
        if row.refused:
            twins[row.item] = min(score, twins.get(row.item, np.inf))
        else:
            standard[row.item] = max(score, standard.get(row.item, -np.inf))
    answered = {item: score <= 0.5 for item, score in standard.items()}
    caught = {item: score > 0.5 for item, score in twins.items()}
    pairs = [answered[item] and caught[item] for item in answered if item in caught]
    at_recall = np.quantile(list(twins.values()), 1 - _REFUSED, method="lower")
    lost = [score >= at_recall for score in standard.values()]
    return {
        "auroc": rounded(roc_auc_score(refused, scores)),
        "fpr95, answerable positive": rounded(interpolated_rate(scores[~refused], scores[refused])),
        "auroc of blind baselines": blind,
        "at 0.5": {
            "standard not refused": rounded(np.mean(list(answered.values()))),
            "upd refused": rounded(np.mean(list(caught.values()))),
            "both of a pair": rounded(np.mean(pairs)) if pairs else None,
        },
        f"standard refused where {_REFUSED:.0%} of upd are": rounded(np.mean(lost)),
    }
