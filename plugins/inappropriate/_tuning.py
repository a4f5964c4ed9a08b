"""Two class vectors tuned on labelled image embeddings, with everything else frozen.

The authors' training script is not released: the loss and what is trained are theirs, optimiser,
rate, steps and split are ours (methods/safety.md 1.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows
from clipvet.plugins.inappropriate._scores import SCALE, direction, log_odds

__all__ = ["CrossValidation", "Tuned", "cross_validate", "starting_vectors", "tune"]

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

BATCH, RATE, BETAS, EPSILON = 64, 1e-3, (0.9, 0.999), 1e-8
INNER_SHARE, LOOK_EVERY = 0.1, 20
FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """The result of one tuning.

    Attributes:
        vectors: float64 [2, E]; row 0 not inappropriate, row 1 inappropriate.
        step: the one with the least loss on the inner split; 0 is the start.
    """

    vectors: Floats
    step: int


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """What images outside of the training folds say, pooled over the folds.

    Attributes:
        n: images.
        accuracy: share on the right side of 0.5.
        auroc: chance that an inappropriate image scores above an appropriate one.
        start_accuracy, start_auroc: likewise, of the vectors that the tuning starts from.
    """

    n: int
    accuracy: float
    auroc: float
    start_accuracy: float
    start_auroc: float


def starting_vectors(features: Floats, labels: Labels, text: NDArray[Any] | None) -> Floats:
    """Where the tuning starts, float64 [2, E].

    Args:
        features: unit image embeddings [n, E].
        labels: True for inappropriate [n].
        text: embeddings of the two sentences [2, E]; None starts from the mean of each class.
    """
    if text is None:
        text = np.stack([features[~labels].mean(axis=0), features[labels].mean(axis=0)])
    # Adam's step has a length of its own, so the rows have one, too: about that of the released
    # vectors (13 at E = 512, 22 at 768). Then one learning rate means the same on every bundle.
    start: Floats = unit_rows(text) * (np.sqrt(features.shape[1]) / 2)
    return start


def tune(features: Floats, labels: Labels, start: Floats, *, steps: int, seed: int) -> Tuned:
    """Minimise the cross-entropy of the two-way cosine softmax with Adam.

    A tenth of each class chooses the step at which it stops, and is not trained on.

    Args:
        features: unit image embeddings [n, E].
        labels: True for inappropriate [n].
        start: vectors [2, E], see :func:`starting_vectors`.
        steps: of Adam, on 64 images each; as many whatever n, so that few images are not left
            half-trained.
        seed: of the split and the order of the images.
    """
    rng = np.random.default_rng(seed)
    inner = _share_of_each(labels, rng)
    batches = _batches(np.flatnonzero(~inner), rng)
    vectors, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    best, least = Tuned(vectors=start, step=0), _loss(features[inner], labels[inner], start)
    for step in range(1, steps + 1):
        rows = next(batches)
        gradient = _gradient(features[rows], labels[rows], vectors)
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        mean = first / (1 - BETAS[0] ** step)
        spread = np.sqrt(second / (1 - BETAS[1] ** step)) + EPSILON
        vectors = vectors - RATE * mean / spread
        if step % LOOK_EVERY == 0 or step == steps:
            loss = _loss(features[inner], labels[inner], vectors)
            if loss < least:
                best, least = Tuned(vectors=vectors, step=step), loss
    return best


def cross_validate(
    features: Floats, labels: Labels, text: NDArray[Any] | None, *, steps: int, seed: int
) -> CrossValidation:
    """Tune on four fifths and score the last fifth, five times; arguments as above."""
    from sklearn.metrics import roc_auc_score

    fold = _folds(labels, np.random.default_rng(seed))
    tuned, started = np.zeros(len(labels)), np.zeros(len(labels))
    for one in range(FOLDS):
        inside, outside = fold != one, fold == one
        start = starting_vectors(features[inside], labels[inside], text)
        result = tune(features[inside], labels[inside], start, steps=steps, seed=seed)
        tuned[outside] = log_odds(features[outside], direction(result.vectors))
        started[outside] = log_odds(features[outside], direction(start))
    return CrossValidation(
        n=len(labels),
        accuracy=float(((tuned > 0) == labels).mean()),
        auroc=float(roc_auc_score(labels, tuned)),
        start_accuracy=float(((started > 0) == labels).mean()),
        start_auroc=float(roc_auc_score(labels, started)),
    )


def _loss(features: Floats, labels: Labels, vectors: Floats) -> float:
    signed = np.where(labels, -1.0, 1.0) * log_odds(features, direction(vectors))
    return float(np.logaddexp(0.0, signed).mean())


def _gradient(features: Floats, labels: Labels, vectors: Floats) -> Floats:
    """Of the mean loss with respect to the vectors, through their normalisation."""
    odds = log_odds(features, direction(vectors))
    error = (np.exp(-np.logaddexp(0.0, -odds)) - labels) / len(labels)
    pull = SCALE * (error[:, None] * features).sum(axis=0)
    towards = np.stack([-pull, pull])
    unit = unit_rows(vectors)
    across = towards - (towards * unit).sum(axis=1, keepdims=True) * unit
    gradient: Floats = across / np.linalg.norm(vectors, axis=1, keepdims=True)
    return gradient


def _batches(rows: NDArray[np.intp], rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Up to 64 row numbers at a time, all of them in a new order on every pass, without end."""
    while True:
        order = rng.permutation(rows)
        yield from (order[begin : begin + BATCH] for begin in range(0, len(order), BATCH))


def _share_of_each(labels: Labels, rng: np.random.Generator) -> Labels:
    """True for a tenth of each class, at least one of it."""
    chosen = np.zeros(len(labels), dtype=bool)
    for kind in (False, True):
        members = rng.permutation(np.flatnonzero(labels == kind))
        chosen[members[: max(1, round(INNER_SHARE * len(members)))]] = True
    return chosen


def _folds(labels: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold 0..4 for each image; each class is spread evenly."""
    fold = np.zeros(len(labels), dtype=np.int64)
    for kind in (False, True):
        members = rng.permutation(np.flatnonzero(labels == kind))
        fold[members] = np.arange(len(members)) % FOLDS
    return fold
