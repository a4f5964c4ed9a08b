"""Two prototypes from prompts about an object, for the variants that learn nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows
from clipvet.plugins.anomalyclip._options import AnomalyClipOptions
from clipvet.plugins.anomalyclip._prompts import ensemble

__all__ = ["PromptPair", "Prototypes", "largest_cluster"]

EncodeText: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class PromptPair:
    """Unit prototypes float32 [2, E] (row 0 normal), and the means that had no cluster."""

    prototypes: NDArray[np.float32]
    unclustered: tuple[str, ...]


class Prototypes:
    """Prototypes per object name; encoded once, for all threads.

    Args:
        options: which prompts, and how their embeddings are pooled.
        encode_text: prompts -> float32 [n, E], not normalised.
    """

    def __init__(self, options: AnomalyClipOptions, encode_text: EncodeText) -> None:
        self._options = options
        self._encode_text = encode_text
        self._pairs: dict[str, PromptPair] = {}
        self._lock = threading.Lock()

    def pair(self, name: str) -> PromptPair:
        """Normal and anomalous prototype of an object."""
        with self._lock:
            if name not in self._pairs:
                self._pairs[name] = self._encode(name)
            return self._pairs[name]

    def _encode(self, name: str) -> PromptPair:
        options = self._options
        if options.normal_prompts:
            own = (options.normal_prompts, options.anomalous_prompts)
            both = [[prompt.replace("{}", name) for prompt in prompts] for prompts in own]
        else:
            both = list(ensemble(name))
        cluster = options.pooling == "dbscan" and not options.normal_prompts
        rows, unclustered = [], []
        for state, prompts in zip(("normal", "anomalous"), both, strict=True):
            units = unit_rows(self._encode_text(prompts))
            members = (
                largest_cluster(units, options.dbscan_eps, options.dbscan_min_samples)
                if cluster
                else np.arange(len(units))
            )
            if not len(members):
                unclustered.append(state)
                members = np.arange(len(units))
            rows.append(units[members].mean(axis=0))
        return PromptPair(unit_rows(np.stack(rows)).astype(np.float32), tuple(unclustered))


def largest_cluster(points: NDArray[np.float64], eps: float, min_samples: int) -> NDArray[np.intp]:
    """Members of DBSCAN's largest cluster, of equal ones the first; none if all is noise.

    A point is a core if ``min_samples`` points, itself included, lie within ``eps``; cores within
    ``eps`` of each other and their neighbours form a cluster, and what two clusters could claim
    belongs to the first (scikit-learn's rule; the import of that package takes a second).

    Args:
        points: [n, D].
        eps: Euclidean distance.
        min_samples: see above.
    """
    square = (points**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * points @ points.T, 0))
    np.fill_diagonal(distance, 0)
    near = distance <= eps
    core = near.sum(axis=1) >= min_samples
    label = np.full(len(points), -1)
    for first in np.flatnonzero(core):
        if label[first] >= 0:
            continue
        cluster = label.max() + 1
        front = np.array([first])
        while len(front):
            label[front] = cluster
            reached = near[front[core[front]]].any(axis=0)
            front = np.flatnonzero(reached & (label < 0))
    found = label[label >= 0]
    if not len(found):
        return found
    return np.flatnonzero(label == np.bincount(found).argmax())
