"""Five statistics of an embedding among many prompts and genuine images (methods/safety.md 2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows
from clipvet.plugins.fooling._genuine import Genuine
from clipvet.plugins.fooling._options import STATISTICS, Statistic

__all__ = ["EmbeddingStatistics", "PromptBank", "raw_incoherence"]

_SHRINKAGE = 0.1
# Prompts for which an image is nearer than this share of genuine ones count as its own.
_HUB = 0.99

Floats = NDArray[np.float64]


class PromptBank:
    """Text embeddings of many names.

    Args:
        names: N of them.
        embeddings: [N, E], not normalised.
        top_k: prompts that incoherence looks at.
    """

    def __init__(
        self, names: Sequence[str], embeddings: NDArray[np.floating], *, top_k: int
    ) -> None:
        self.names = tuple(names)
        self.embeddings = embeddings.astype(np.float64)
        self.top_k = min(top_k, len(self.names))
        self.unit = unit_rows(self.embeddings)
        total = self.unit.sum(axis=0)
        count = len(self.unit)
        self._usual = (total @ total - count) / max(count * (count - 1), 1)

    def shifted(self, move: Floats) -> PromptBank:
        """All prompts moved by a vector [E]."""
        return PromptBank(self.names, self.embeddings + move, top_k=self.top_k)

    def best(self, cosines: Floats) -> NDArray[np.intp]:
        """The ``top_k`` nearest prompts, nearest first."""
        return np.argsort(-cosines, kind="stable")[: self.top_k]

    def coherence(self, best: NDArray[np.intp]) -> float:
        """Mean cosine among some prompts, minus that of the whole bank; synonyms have much."""
        chosen = self.unit[best]
        total, count = chosen.sum(axis=0), len(chosen)
        return float((total @ total - count) / (count * (count - 1)) - self._usual)


class EmbeddingStatistics:
    """Each statistic in standard deviations of genuine images that took no part in its making.

    Args:
        bank: the prompts.
        genuine: the images.
        scale: the bundle's factor on cosines.
        shift: lambda of v' = norm(f - lambda g), t' = norm(h + lambda g), g the gap between the
            mean image and the mean text (section 2.3).
    """

    def __init__(self, bank: PromptBank, genuine: Genuine, *, scale: float, shift: float) -> None:
        images = genuine.embeddings.astype(np.float64)
        gap = images.mean(axis=0) - bank.embeddings.mean(axis=0)
        self._away = shift * gap
        self._bank = bank.shifted(self._away)
        self._scale = scale
        unit = unit_rows(images - self._away)
        first, second = (unit[half] for half in genuine.halves)
        self._mean = first.mean(axis=0)
        towards = self._bank.unit.mean(axis=0) - self._mean
        self._towards_text = unit_rows(towards)
        self._precision = _precision(first - self._mean)
        self._hub = np.quantile(first @ self._bank.unit.T, _HUB, axis=0)
        raw = np.stack([self._raw(row) for row in second])
        self._raw_mean, self._raw_spread = raw.mean(axis=0), raw.std(axis=0) + 1e-9
        composed = np.stack([self._composed(row) for row in raw])
        self._composed_mean = composed.mean(axis=0)
        self._composed_spread = composed.std(axis=0) + 1e-9

    def __call__(self, embedding: NDArray[np.floating]) -> dict[Statistic, float]:
        """Of one image embedding [E], not normalised; higher is worse."""
        unit = unit_rows(embedding.astype(np.float64) - self._away)
        composed = self._composed(self._raw(unit))
        z = (composed - self._composed_mean) / self._composed_spread
        return {name: float(value) for name, value in zip(STATISTICS, z, strict=True)}

    def _raw(self, unit: Floats) -> Floats:
        cosines = self._bank.unit @ unit
        logits = self._scale * cosines
        energy = float(np.logaddexp.reduce(logits))
        log_p = logits - energy
        entropy = float(-(np.exp(log_p) * log_p).sum())
        best = self._bank.best(cosines)
        away = unit - self._mean
        return np.array(
            [
                energy,
                entropy,
                cosines[best].mean(),
                self._bank.coherence(best),
                (cosines > self._hub).mean(),
                away @ self._towards_text,
                np.sqrt(away @ self._precision @ away),
            ]
        )

    def _composed(self, raw: Floats) -> Floats:
        energy, entropy, top, coherence, hub, position, distance = (
            raw - self._raw_mean
        ) / self._raw_spread
        return np.array([energy + entropy, top - coherence, hub, position, distance])


def raw_incoherence(bank: PromptBank, embedding: NDArray[np.floating]) -> float:
    """Without genuine images: mean cosine to the best prompts minus what these share."""
    cosines = bank.unit @ unit_rows(embedding)
    best = bank.best(cosines)
    return float(cosines[best].mean() - bank.coherence(best))


def _precision(centred: Floats) -> Floats:
    """Inverse of the covariance, a tenth of it replaced by a multiple of the identity."""
    covariance = centred.T @ centred / len(centred)
    width = len(covariance)
    round_ = np.trace(covariance) / width * np.eye(width)
    mixed: Any = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * round_ + 1e-12 * np.eye(width)
    inverse: Floats = np.linalg.inv(mixed)
    return inverse
