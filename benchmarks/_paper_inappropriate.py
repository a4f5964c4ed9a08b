"""Q16's protocol on SMID (methods/safety.md 1.3): ten stratified 90/10 resamples, not folds.

Inappropriate is positive, decided at 0.5. The authors' training script is not released: loss and
what is trained are theirs, the optimiser is ours (plugins/inappropriate/_tuning.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks._paper import Setup, images, inspected, rounded
from clipvet.detectors import Host, Inspector
from clipvet.plugins.inappropriate._examples import Examples, embed
from clipvet.plugins.inappropriate._scores import direction, log_odds
from clipvet.plugins.inappropriate._tuning import starting_vectors, tune

__all__ = ["inappropriate"]

Numbers = dict[str, Any]
Labels = NDArray[np.bool_]

RESAMPLES, TEST_SHARE, STEPS = 10, 0.1, 1200
_LAYOUT = "DATA/smid/good (mean rating above 3.5) and DATA/smid/bad (below 2.5)"
# The authors' classifier decides at one, their scan of a dataset reports from the other.
_CUTS = (0.5, 0.9)


def inappropriate(setup: Setup) -> Numbers:
    """Re-tuned on resamples, and as it is given: with released vectors, or with none."""
    good, bad = (setup.folder(f"smid/{kind}", _LAYOUT) for kind in ("good", "bad"))
    examples = Examples.of(good, bad)
    found = embed(examples.frames(), host=Host.load(), bundle=setup.bundle)
    labels = np.array(examples.labels)
    rows = [_resample(found.features, labels, found.text, seed) for seed in range(RESAMPLES)]
    scores: list[float] = []
    method = ""
    files = [(file, kind) for kind, folder in ((0, good), (1, bad)) for file in images(folder)]
    with Inspector([setup.spec("inappropriate")], bundle=setup.bundle) as inspector:
        for file, _ in files:
            detection = inspected(inspector, file).record.detections[0]
            scores.append(detection.score or 0.0)
            method = str(detection.details["method"])
    start = "class means" if found.text is None else "the two sentences"
    return {
        "n": {"appropriate": int((~labels).sum()), "inappropriate": int(labels.sum())},
        "method": {
            "re-tuned": f"{RESAMPLES} stratified 90/10 resamples, {STEPS} steps from {start}",
            "as given": method,
        },
        "positive": "inappropriate",
        "metrics": {
            "re-tuned": {
                key: {
                    "mean": rounded(np.mean([row[key] for row in rows])),
                    "std": rounded(np.std([row[key] for row in rows])),
                }
                for key in rows[0]
            },
            "as given": _as_given(np.array([kind for _, kind in files]) == 1, np.array(scores)),
        },
        "left out": examples.problems,
    }


def _resample(
    features: NDArray[np.float64], labels: Labels, text: NDArray[np.float32] | None, seed: int
) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    test = np.zeros(len(labels), dtype=bool)
    for kind in (False, True):
        members = rng.permutation(np.flatnonzero(labels == kind))
        test[members[: max(1, round(TEST_SHARE * len(members)))]] = True
    start = starting_vectors(features[~test], labels[~test], text)
    tuned = tune(features[~test], labels[~test], start, steps=STEPS, seed=seed)
    odds = log_odds(features[test], direction(tuned.vectors))
    before = log_odds(features[test], direction(start))
    return {
        **_decided(labels[test], odds > 0),
        "auroc": float(roc_auc_score(labels[test], odds)),
        "accuracy before tuning": float(((before > 0) == labels[test]).mean()),
    }


def _as_given(labels: Labels, scores: NDArray[np.float64]) -> Numbers:
    return {
        "auroc": rounded(roc_auc_score(labels, scores)),
        "ap": rounded(average_precision_score(labels, scores)),
        **{
            f"at {cut}": {k: rounded(v) for k, v in _decided(labels, scores >= cut).items()}
            for cut in _CUTS
        },
    }


def _decided(labels: Labels, flagged: Labels) -> dict[str, float]:
    """Accuracy, precision (0 where nothing is flagged), recall and F1."""
    hits = float((labels & flagged).sum())
    precision = hits / max(1.0, float(flagged.sum()))
    recall = hits / float(labels.sum())
    return {
        "accuracy": float((labels == flagged).mean()),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
    }
