"""The scores of one image's features; higher is worse everywhere.

Products are taken by multiplying and adding, never by BLAS, whose rounding may depend on threads
and on where an array lies: a view scores the same bits alone and in a batch. Formulas:
methods/ood.md, sections 1.1, 1.2 and 4.
"""

from __future__ import annotations

import numpy as np

from clipvet.plugins.vim._head import Floats, log_sum_exp, softmax

__all__ = [
    "energy",
    "gradnorm",
    "kl_to_nearest",
    "kth_distance",
    "max_logit",
    "msp",
    "residual",
    "smallest_distance",
    "times",
    "vim",
]

_BANK_ROWS = 2048
_LEAST_LOG = -87.0
"""About the logarithm of the smallest float32."""


def times(x: Floats, matrix: Floats) -> Floats:
    """``x @ matrix`` for one row x [F] and a matrix [F, D]: float64 [D]."""
    product: Floats = (x[:, None] * matrix).sum(axis=0)
    return product


def energy(logits: Floats) -> float:
    """Minus logsumexp of logits [C] (Liu et al. 2020)."""
    return -float(log_sum_exp(logits))


def max_logit(logits: Floats) -> float:
    """Minus the largest logit (Hendrycks et al. 2022)."""
    return -float(logits.max())


def msp(logits: Floats) -> float:
    """Minus the largest softmax probability, -1..-1/C (Hendrycks and Gimpel 2017)."""
    return -float(softmax(logits).max())


def residual(x: Floats, offset: Floats, null_space: Floats) -> float:
    """Length of x - offset [F] outside of the principal space (null_space [F, F - D])."""
    return float(np.sqrt((times(x - offset, null_space) ** 2).sum()))


def vim(logits: Floats, length: float, alpha: float) -> float:
    """Alpha x residual - logsumexp(logits) (Wang et al. 2022, equation 7, before the softmax)."""
    return alpha * length + energy(logits)


def smallest_distance(x: Floats, whitening: Floats, means: Floats) -> float:
    """Smallest squared Mahalanobis distance to class means (Lee et al. 2018).

    Args:
        x: features [F].
        whitening: [F, F], its product with its transpose is the precision.
        means: class means times ``whitening`` [C, F].
    """
    return float(((means - times(x, whitening)) ** 2).sum(axis=1).min())


def kl_to_nearest(logits: Floats, log_profiles: Floats) -> float:
    """Smallest KL divergence of softmax(logits) from class profiles (Hendrycks et al. 2022).

    Args:
        logits: [C].
        log_profiles: logarithm of the mean softmax of the good images predicted as a class [K, C].
    """
    log_p = logits - log_sum_exp(logits)
    p = np.exp(log_p)
    gap = np.maximum(log_p, _LEAST_LOG) - np.maximum(log_profiles, _LEAST_LOG)
    return float((p * gap).sum(axis=1).min())


def gradnorm(x: Floats, logits: Floats) -> float:
    """Minus the L1 norm of the gradient of sum_c -log p_c by the head (Huang et al. 2021).

    In closed form: L1(x) x sum_c |C p_c - 1|.
    """
    spread = np.abs(len(logits) * softmax(logits) - 1).sum()
    return -float(np.abs(x).sum() * spread)


def kth_distance(x: Floats, bank: Floats, k: int) -> float:
    """Euclidean distance to the k-th nearest row of a bank [n, F] (Sun et al. 2022)."""
    squared = [
        ((bank[start : start + _BANK_ROWS] - x) ** 2).sum(axis=1)
        for start in range(0, len(bank), _BANK_ROWS)
    ]
    return float(np.sqrt(np.partition(np.concatenate(squared), k - 1)[k - 1]))
