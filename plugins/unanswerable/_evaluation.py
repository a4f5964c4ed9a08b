"""AUROC of answerable against each kind, beside what never sees the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from clipvet.plugins.unanswerable._kinds import ANSWERABLE, KINDS, SLOTS
from clipvet.plugins.unanswerable._learned import Learned
from clipvet.plugins.unanswerable._samples import Sample
from clipvet.plugins.unanswerable._vectors import padded, pooled, similarities

__all__ = ["Table", "evaluate", "folds", "named_rightly", "scores_of", "table_lines"]

Table: TypeAlias = dict[str, dict[str, float]]
"""What scored -> kind (or "all") -> AUROC."""


def scores_of(learned: Learned, sample: Sample) -> dict[str, float]:
    """Everything that scores one question; higher is worse."""
    image, texts = sample.image, sample.texts
    if not len(texts.options):
        if learned.open is None:
            return {}
        shares = learned.open.projection.probabilities(padded(image, texts, 1))
        return {
            "open projection": float(1 - shares[0]),
            "blind: question_only": learned.open.question.probability(texts),
        }
    scores = {
        "pooled": float(1 - learned.pooled.probabilities(pooled(image, texts))[0]),
        "largest cosine": -float(similarities(image, texts.options).max()),
        **{f"blind: {k}": v for k, v in learned.blind.probabilities(texts).items()},
    }
    if len(texts.options) <= SLOTS:
        shares = learned.projection.probabilities(padded(image, texts, SLOTS))
        scores["projection"] = float(1 - shares[0])
    return scores


def evaluate(samples: Sequence[Sample], scored: Sequence[dict[str, float]]) -> Table:
    """AUROC of each score, for each kind that is there and for all together.

    Args:
        samples: labelled questions.
        scored: of each of them, scores by name; a name may be missing for some.
    """
    from sklearn.metrics import roc_auc_score

    kinds = np.array([str(sample.row.kind) for sample in samples])
    names = dict.fromkeys(name for scores in scored for name in scores)
    table: Table = {}
    for name in names:
        has = np.array([name in scores for scores in scored])
        values = np.array([scores.get(name, 0.0) for scores in scored])
        for kind in (*KINDS, "all"):
            bad = (kinds != ANSWERABLE) if kind == "all" else (kinds == kind)
            rows = has & (bad | (kinds == ANSWERABLE))
            if bad[rows].any() and not bad[rows].all():
                auroc = float(roc_auc_score(bad[rows], values[rows]))
                table.setdefault(name, {})[kind] = round(auroc, 4)
    return table


def named_rightly(learned: Learned, samples: Sequence[Sample]) -> float | None:
    """Share of unanswerable questions with choices whose kind is the most likely one."""
    right = []
    for sample in samples:
        if sample.row.choices and sample.row.kind in learned.kinds[1:]:
            shares = learned.pooled.probabilities(pooled(sample.image, sample.texts))
            right.append(learned.kinds[1 + int(shares[1:].argmax())] == sample.row.kind)
    return sum(right) / len(right) if right else None


def folds(samples: Sequence[Sample], count: int, seed: int) -> list[list[int]]:
    """Places of the samples in each fold; all questions about an image are in one."""
    names = sorted({sample.row.image for sample in samples})
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {name: int(place) % count for name, place in zip(names, order, strict=True)}
    return [
        [i for i, sample in enumerate(samples) if fold[sample.row.image] == one]
        for one in range(count)
    ]


def table_lines(table: Table) -> list[str]:
    """As text, one line for each score."""
    columns = [kind for kind in (*KINDS, "all") if any(kind in row for row in table.values())]
    width = max([len(name) for name in table], default=0)
    lines = [" " * width + "".join(f"  {kind}" for kind in columns)]
    for name, row in table.items():
        cells = [f"  {f'{row[k]:.3f}' if k in row else '-':>{len(k)}}" for k in columns]
        lines.append(f"{name:<{width}}" + "".join(cells))
    return lines
