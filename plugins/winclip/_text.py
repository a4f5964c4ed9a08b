"""The two text prototypes, and the probability that an embedding is nearer the anomalous one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows
from clipvet.plugins.winclip._options import WinClipOptions
from clipvet.plugins.winclip._prompts import ensemble

__all__ = ["Prototypes", "log_probabilities", "prompts_for"]

EncodeText: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]


class Prototypes:
    """Anomalous minus normal unit prototype, per object name; encoded once, for all threads.

    Args:
        options: which prompts, and how their embeddings are pooled.
        encode_text: prompts -> float32 [n, E], not normalised.
    """

    def __init__(self, options: WinClipOptions, encode_text: EncodeText) -> None:
        self._options = options
        self._encode_text = encode_text
        self._directions: dict[str, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def direction(self, name: str) -> NDArray[np.float32]:
        """t_anomalous - t_normal, float32 [E]: a cosine with each, in one product."""
        with self._lock:
            if name not in self._directions:
                normal, anomalous = (
                    self._pool(prompts) for prompts in prompts_for(name, self._options)
                )
                self._directions[name] = (anomalous - normal).astype(np.float32)
            return self._directions[name]

    def _pool(self, prompts: list[str]) -> NDArray[np.float64]:
        # A prompt that occurs twice counts twice, so it is encoded once and indexed.
        distinct = list(dict.fromkeys(prompts))
        embeddings = self._encode_text(distinct).astype(np.float64)
        if self._options.prompt_pooling == "unit_mean":
            embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        place = {prompt: row for row, prompt in enumerate(distinct)}
        mean = embeddings[[place[prompt] for prompt in prompts]].mean(axis=0)
        unit: NDArray[np.float64] = mean / np.linalg.norm(mean)
        return unit


def prompts_for(name: str, options: WinClipOptions) -> tuple[list[str], list[str]]:
    """The normal and the anomalous prompts that these options give for an object name."""
    if options.underscore_as_space:
        name = name.replace("_", " ")
    if options.normal_prompts:
        normal, anomalous = (
            [prompt.replace("{}", name) for prompt in prompts]
            for prompts in (options.normal_prompts, options.anomalous_prompts)
        )
        return normal, anomalous
    return ensemble(name, options.templates)


def log_probabilities(
    embeddings: NDArray[np.float32], direction: NDArray[np.float32], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithms of the softmax over both cosines: (anomalous, normal), each [n].

    Args:
        embeddings: [n, E], any length.
        direction: t_anomalous - t_normal [E].
        temperature: divides the cosines.
    """
    # Multiply and add, not a BLAS product, whose rounding may depend on threads and alignment.
    logit = (unit_rows(embeddings) * direction).sum(axis=1, dtype=np.float64) / temperature
    return -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
