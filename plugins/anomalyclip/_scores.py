"""From embeddings and two prototypes to scores and to one value per patch.

Sums are taken by numpy's own loops (``einsum`` without ``optimize`` is one), never by a BLAS
product, whose rounding may depend on threads and on where an array lies: a view scores the same
bits alone and in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["attention_difference", "class_feature", "probability", "surgery"]


def class_feature(
    token: NDArray[np.float32], projection: NDArray[np.float32]
) -> NDArray[np.float32]:
    """AnomalyCLIP's image feature: the raw class token, projected without ``ln_post``.

    Its released prompts were trained that way (methods/anomaly.md, section 2, step 5).

    Args:
        token: class token after the last block [W].
        projection: ``visual.proj`` [W, E].

    Returns:
        float32 [1, E], not normalised.
    """
    product = token.astype(np.float64)[:, None] * projection
    feature: NDArray[np.float32] = product.sum(axis=0, keepdims=True).astype(np.float32)
    return feature


def probability(
    embeddings: NDArray[np.float32], prototypes: NDArray[np.float32], temperature: float
) -> NDArray[np.float64]:
    """Softmax over the cosines with both prototypes, anomalous entry (equation 1).

    Args:
        embeddings: [n, E], any length.
        prototypes: unit rows [2, E], row 0 normal.
        temperature: divides the cosines.

    Returns:
        [n] in 0..1.
    """
    normal, anomalous = _cosines(embeddings, prototypes)
    logit = (anomalous - normal) / temperature
    chance: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logit))
    return chance


def surgery(
    stages: Sequence[NDArray[np.float32]],
    image: NDArray[np.float32],
    prototypes: NDArray[np.float32],
) -> NDArray[np.float64]:
    """SDP's similarity map: each class's cosine, weighted by how much the image is of that class.

    What both classes share is taken away; the closed form is p_a s_a - p_n s_n with p the softmax
    of the image's raw cosines, summed over the stages (methods/anomaly.md, section 4, steps 3, 4).

    Args:
        stages: patch embeddings [N, E] of each stage.
        image: image embedding [1, E] that gives p, here the same one for all stages.
        prototypes: unit rows [2, E], row 0 normal.

    Returns:
        [N], about -4..4, higher is worse.
    """
    weight = probability(image, prototypes, 1.0)[0]
    total = np.zeros(len(stages[0]))
    for patches in stages:
        normal, anomalous = _cosines(patches, prototypes)
        total += weight * anomalous - (1 - weight) * normal
    return total


def attention_difference(
    patches: NDArray[np.float32], prototypes: NDArray[np.float32], negative_weight: float
) -> NDArray[np.float64]:
    """CLAP's A = A_positive - A_negative, cut off at 0 (methods/anomaly.md, section 5).

    An attention is a cosine map stretched to 0..1 over the image. The difference is not stretched
    again: that would give every image the same largest value.

    Args:
        patches: patch embeddings [N, E].
        prototypes: unit rows [2, E], row 0 normal (the negative prompts).
        negative_weight: factor on A_negative.

    Returns:
        [N] in 0..1.
    """
    normal, anomalous = (_stretched(cosines) for cosines in _cosines(patches, prototypes))
    difference: NDArray[np.float64] = np.maximum(anomalous - negative_weight * normal, 0.0)
    return difference


def _cosines(
    embeddings: NDArray[np.float32], prototypes: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wide = embeddings.astype(np.float64)
    length = np.sqrt(np.einsum("ne,ne->n", wide, wide))
    products = np.einsum("ne,ce->cn", wide, prototypes.astype(np.float64))
    normal, anomalous = np.divide(products, length, out=np.zeros_like(products), where=length > 0)
    return normal, anomalous


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    span = values.max() - values.min()
    stretched: NDArray[np.float64] = (values - values.min()) / (span or 1.0)
    return stretched
