"""The methods that take the good images of a class for a Gaussian."""

from __future__ import annotations

import numpy as np

from clipvet.detectors import counted
from clipvet.plugins.vim import _scores as scores
from clipvet.plugins.vim._head import Floats, Head, log_sum_exp
from clipvet.plugins.vim._options import VimOptions
from clipvet.plugins.vim._rule import ENOUGH, Rule, head_logits
from clipvet.plugins.vim._statistics import Statistics

__all__ = ["gda", "mahalanobis", "relative_mahalanobis"]


def mahalanobis(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    """Smallest distance to a class mean by the pooled covariance (Lee et al. 2018)."""
    means = _class_means(statistics)
    whitening, note = _whitening(statistics.within_scatter() / statistics.count, statistics)
    placed = means @ whitening
    return Rule(
        method=options.describe("mahalanobis", _notes(note, _origin(head, statistics))),
        score=lambda x: scores.smallest_distance(x, whitening, placed),
        facts={"images": statistics.count},
        warnings=_too_few(statistics, note),
    )


def relative_mahalanobis(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    """Minus the distance to all images as one class (Ren et al. 2021, equation 3)."""
    near = mahalanobis(options, head, statistics)
    moments = statistics.moments
    whitening, note = _whitening(moments.scatter / moments.count, statistics)
    centre = (moments.mean @ whitening)[None]
    return Rule(
        method=options.describe("relative_mahalanobis", _notes(note, _origin(head, statistics))),
        score=lambda x: near.score(x) - scores.smallest_distance(x, whitening, centre),
        facts=near.facts,
        warnings=near.warnings,
    )


def gda(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    """Gaussian discriminant analysis beside the text classifier (Wang et al., ICLR 2024).

    Precision by Kubokawa and Srivastava; equal priors; ood.md, section 4, steps 1 to 4.
    """
    assert head is not None
    within, width = statistics.within_scatter(), statistics.width
    ridge = np.trace(within) / max(1, statistics.count - 1)
    precision = width * np.linalg.pinv(within + ridge * np.eye(width), hermitian=True)
    means = _class_means(statistics)
    weights = means @ precision
    bias = -np.log(len(means)) - 0.5 * (weights * means).sum(axis=1)
    known = statistics.class_counts > 0

    def score(x: Floats) -> float:
        gaussian = (weights * x).sum(axis=1) + bias
        if options.gda_score == "density":
            spread = float((scores.times(x, precision) * x).sum())
            return 0.5 * spread - float(log_sum_exp(gaussian))
        fused = head_logits(head, x)[known] + options.gda_weight * gaussian
        chosen = {"energy": scores.energy, "max_logit": scores.max_logit, "msp": scores.msp}
        return chosen[options.gda_score](fused)

    return Rule(
        method=options.describe("gda", _notes(_origin(head, statistics))),
        score=score,
        facts={"classes": int(known.sum()), "images": statistics.count},
    )


def _class_means(statistics: Statistics) -> Floats:
    """Means [K, F] of the classes that have images; of all images without classes."""
    if statistics.head is None:
        return statistics.moments.mean[None]
    known = statistics.class_counts > 0
    means: Floats = statistics.class_sums[known] / statistics.class_counts[known, None]
    return means


def _whitening(covariance: Floats, statistics: Statistics) -> tuple[Floats, str]:
    """A [F, F] with A A^T the precision; a note if the covariance was shrunk (too few images)."""
    width, note = statistics.width, ""
    if statistics.count < ENOUGH * width:
        from sklearn.covariance import ledoit_wolf_shrinkage

        rows = statistics.reservoir.rows.astype(np.float64)
        shrinkage = float(ledoit_wolf_shrinkage(rows - rows.mean(axis=0), assume_centered=True))
        ridge = shrinkage * np.trace(covariance) / width
        covariance = (1 - shrinkage) * covariance + ridge * np.eye(width)
        note = f"covariance shrunk by {shrinkage:.2g}"
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * width * np.finfo(np.float64).eps
    return vectors[:, kept] / np.sqrt(values[kept]), note


def _too_few(statistics: Statistics, note: str) -> tuple[str, ...]:
    if not note:
        return ()
    given, wanted = counted(statistics.count, "good image"), ENOUGH * statistics.width
    return (f"vim: {given} for {statistics.width} features: {note}; give {wanted} to do without",)


def _origin(head: Head | None, statistics: Statistics) -> str:
    if head is None:
        return "one class"
    return "classes as labelled" if statistics.labelled else "classes as predicted"


def _notes(*notes: str) -> list[str]:
    return [note for note in notes if note]
