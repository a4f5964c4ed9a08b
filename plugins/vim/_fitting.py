"""From statistics of good images to what the scores need; higher is worse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clipvet.detectors import counted
from clipvet.plugins.vim import _scores as scores
from clipvet.plugins.vim._gaussian import gda, mahalanobis, relative_mahalanobis
from clipvet.plugins.vim._head import Floats, Head
from clipvet.plugins.vim._options import WITHOUT_IMAGES, Method, VimOptions
from clipvet.plugins.vim._rule import ENOUGH, Rule, head_logits
from clipvet.plugins.vim._statistics import Statistics

__all__ = ["fit_rule", "principal_dimension"]

_ALPHA = (1.0, 1e4)


def fit_rule(options: VimOptions, head: Head | None, statistics: Statistics | None) -> Rule:
    """The rule of the method asked for, or of ``residual`` where ViM has no head.

    Args:
        options: method and settings.
        head: of the classes; None if there are fewer than two.
        statistics: of the good images, made with this head; None for methods that need none.

    Raises:
        ValueError: the method needs a head, or images, that are not there.
    """
    method: Method = options.method
    if head is None and method == "vim":
        method = "residual"
    if statistics is None and method not in WITHOUT_IMAGES:
        raise ValueError("it needs good images")
    if head is None and method not in {"residual", "mahalanobis", "knn"}:
        raise ValueError("it needs at least 2 classes")
    if method in WITHOUT_IMAGES:
        assert head is not None
        return _from_logits(options, method, head)
    assert statistics is not None
    return _FITTED[method](options, head, statistics)


def principal_dimension(options: VimOptions, width: int, count: int) -> tuple[int, str]:
    """D, and a note where there are too few images for the rule of the authors' code."""
    rule = 1000 if width >= 2048 else 512 if width >= 768 else width // 2
    dimension = min(options.dimension or rule, width - 1)
    most = max(1, count // 10)
    if count >= ENOUGH * width or dimension <= most:
        return dimension, ""
    return most, f"D={most} for lack of images"


def _from_logits(options: VimOptions, method: Method, head: Head) -> Rule:
    by_name: dict[str, Callable[[Floats, Floats], float]] = {
        "energy": lambda _x, z: scores.energy(z),
        "max_logit": lambda _x, z: scores.max_logit(z),
        "msp": lambda _x, z: scores.msp(z),
        "gradnorm": scores.gradnorm,
    }
    chosen = by_name[method]
    return Rule(method=options.describe(method), score=lambda x: chosen(x, head_logits(head, x)))


def _subspace(
    options: VimOptions, head: Head | None, statistics: Statistics
) -> tuple[Floats, Floats, int, list[str], list[str]]:
    """Offset u [F], eigenvectors beyond the principal ones [F, F - D], D, notes, warnings."""
    width, count = statistics.width, statistics.count
    offset = np.zeros(width)
    if options.offset == "mean":
        offset = statistics.moments.mean
    elif options.offset == "head" and head is not None:
        offset = head.origin()
    dimension, note = principal_dimension(options, width, count)
    values, vectors = np.linalg.eigh(statistics.moments.about(offset))
    warnings = []
    if note:
        warnings.append(
            f"vim: {counted(count, 'good image')} for {width} features: D shrinks to {dimension}; "
            f"give {ENOUGH * width} for the rule of the authors' code"
        )
    gap = values[width - dimension] - values[width - dimension - 1]
    if gap < 1e-6 * values[-1]:
        warnings.append(
            f"vim: the eigenvalues on both sides of D={dimension} are almost equal, so the "
            "residual depends on chance: set vim.dimension"
        )
    return offset, vectors[:, : width - dimension], dimension, [note] if note else [], warnings


def _residual(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    offset, null_space, dimension, notes, warnings = _subspace(options, head, statistics)
    if options.method == "vim":
        notes = ["vim asked, fewer than 2 classes", *notes]
        warnings.append("vim: without at least 2 classes (--classes) the residual alone is scored")
    return Rule(
        method=options.describe("residual", notes),
        score=lambda x: scores.residual(x, offset, null_space),
        facts={"dimension": dimension, "images": statistics.count},
        warnings=tuple(warnings),
    )


def _vim(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    if head is None:
        return _residual(options, head, statistics)
    offset, null_space, dimension, notes, warnings = _subspace(options, head, statistics)
    sample = statistics.reservoir.rows.astype(np.float64)
    lengths = np.linalg.norm((sample - offset) @ null_space, axis=1)
    top = statistics.top_logits / statistics.count
    alpha = top / float(lengths.mean()) if lengths.any() else 0.0
    if not _ALPHA[0] <= alpha <= _ALPHA[1]:
        warnings.append(
            f"vim: alpha is {alpha:.3g}, outside of {_ALPHA[0]:g} to {_ALPHA[1]:g}: the mean "
            f"largest logit is {top:.3g}, the mean residual {float(lengths.mean()):.3g}"
        )

    def score(x: Floats) -> float:
        length = scores.residual(x, offset, null_space)
        return scores.vim(head_logits(head, x), length, alpha)

    return Rule(
        method=options.describe("vim", notes),
        score=score,
        facts={"dimension": dimension, "alpha": alpha, "images": statistics.count},
        warnings=tuple(warnings),
    )


def _kl_matching(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    assert head is not None
    seen = statistics.predicted_counts > 0  # a class that nothing was predicted as has no profile
    profiles = statistics.predicted_softmax[seen] / statistics.predicted_counts[seen, None]
    with np.errstate(divide="ignore"):
        log_profiles = np.log(profiles)
    return Rule(
        method=options.describe("kl_matching"),
        score=lambda x: scores.kl_to_nearest(head_logits(head, x), log_profiles),
        facts={"profiles": int(seen.sum()), "images": statistics.count},
    )


def _react(options: VimOptions, head: Head | None, statistics: Statistics) -> Rule:
    """Energy of features cut off at one quantile of all good ones (Sun et al. 2021)."""
    assert head is not None
    limit = float(np.quantile(statistics.reservoir.rows.astype(np.float64), options.clip_quantile))
    return Rule(
        method=options.describe("react"),
        score=lambda x: scores.energy(head_logits(head, np.minimum(x, limit))),
        facts={"clip": limit, "images": statistics.count},
    )


def _knn(options: VimOptions, _head: Head | None, statistics: Statistics) -> Rule:
    bank = statistics.reservoir.rows.astype(np.float64)
    k = min(options.neighbours, max(1, len(bank) // 10))
    notes = [f"k={k}"] if k != options.neighbours else []
    return Rule(
        method=options.describe("knn", notes),
        score=lambda x: scores.kth_distance(x, bank, k),
        facts={"k": k, "bank": len(bank), "images": statistics.count},
    )


_FITTED: dict[Method, Callable[[VimOptions, Head | None, Statistics], Rule]] = {
    "vim": _vim,
    "residual": _residual,
    "mahalanobis": mahalanobis,
    "relative_mahalanobis": relative_mahalanobis,
    "kl_matching": _kl_matching,
    "react": _react,
    "knn": _knn,
    "gda": gda,
}
