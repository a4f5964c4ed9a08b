"""From embeddings of windows and patches to one value per patch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clipvet.plugins.winclip._memory import nearest_distance
from clipvet.plugins.winclip._options import WinClipOptions
from clipvet.plugins.winclip._text import log_probabilities
from clipvet.plugins.winclip._windows import Cover, harmonic_mean

__all__ = ["distance_map", "text_scores"]


def text_scores(
    image: NDArray[np.float32],
    windows: Mapping[int, NDArray[np.float32]],
    *,
    covers: Mapping[int, Cover],
    direction: NDArray[np.float32],
    options: WinClipOptions,
) -> tuple[float, NDArray[np.float64] | None]:
    """Compare an image and its windows with the text prototypes.

    Args:
        image: the image embedding [1, E].
        windows: window side -> embeddings [n, E].
        covers: window side -> which windows cover which patch.
        direction: anomalous minus normal unit prototype [E].
        options: temperature, aggregation, image_scale.

    Returns:
        s0, the image's anomaly probability, and M_0 over the patches [N] (steps 2 to 6 of
        section 1 in methods/anomaly.md), or None without windows: then there is nothing local.
    """
    side = 0 if options.aggregation == "anomaly" else 1
    whole = log_probabilities(image, direction, options.temperature)
    score = float(np.exp(whole[0][0]))
    if not windows:
        return score, None
    scales = [
        covers[scale].spread(log_probabilities(vectors, direction, options.temperature)[side])
        for scale, vectors in windows.items()
    ]
    if options.image_scale:
        scales.append(np.full_like(scales[0], whole[side][0]))
    log_mean = harmonic_mean(np.stack(scales, axis=-1))
    return score, np.exp(log_mean) if side == 0 else -np.expm1(log_mean)


def distance_map(
    patches: NDArray[np.float32],
    windows: Mapping[int, NDArray[np.float32]],
    *,
    covers: Mapping[int, Cover],
    banks: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.float64]:
    """Compare patches and windows with the references: M_W over the patches [N] (step 10).

    Args:
        patches: patch tokens [N, W].
        windows: window side -> embeddings [n, E].
        covers: window side -> which windows cover which patch.
        banks: unit reference vectors "patch" [R, W], "win2" and "win3" [R', E].
    """
    maps = [nearest_distance(patches, banks["patch"])]
    for scale, vectors in windows.items():
        distance = nearest_distance(vectors, banks[f"win{scale}"])
        with np.errstate(divide="ignore"):  # log 0 is -inf, and comes back as 0
            maps.append(np.exp(covers[scale].spread(np.log(distance))))
    mean: NDArray[np.float64] = np.mean(maps, axis=0)
    return mean
