"""An evolution strategy with a diagonal covariance: sep-CMA-ES (Ros and Hansen, PPSN 2008)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SeparableCma"]

Vectors = NDArray[np.float64]


class SeparableCma:
    """Minimises a function of ``size`` numbers from its values alone; ask and tell in turns.

    Starts at N(0, 1) in every direction (sigma 1), with CMA-ES's default population.
    """

    def __init__(self, size: int, *, seed: int, sigma: float = 1.0) -> None:
        self.mean = np.zeros(size)
        self.sigma = sigma
        self.population = 4 + int(3 * np.log(size))
        self._rng = np.random.default_rng(seed)
        self._variance = np.ones(size)
        self._path = np.zeros(size)
        self._step_path = np.zeros(size)
        parents = self.population // 2
        raw = np.log((self.population + 1) / 2) - np.log(np.arange(1, parents + 1))
        self._weights = raw / raw.sum()
        self._mass = 1 / (self._weights**2).sum()
        n, mass = size, self._mass
        self._c_sigma = (mass + 2) / (n + mass + 5)
        self._damping = 1 + 2 * max(0.0, float(np.sqrt((mass - 1) / (n + 1))) - 1) + self._c_sigma
        self._c_path = (4 + mass / n) / (n + 4 + 2 * mass / n)
        # A diagonal has n numbers to learn instead of n²: it may learn (n + 2) / 3 times as fast.
        faster = (n + 2) / 3
        self._c_one = min(1.0, faster * 2 / ((n + 1.3) ** 2 + mass))
        self._c_mu = min(
            1 - self._c_one, faster * 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass)
        )
        self._length = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        self._asked: Vectors = np.empty((0, size))
        self._generation = 0

    def ask(self) -> Vectors:
        """The next candidates [population, size]."""
        normal = self._rng.standard_normal((self.population, len(self.mean)))
        self._asked = normal * np.sqrt(self._variance)
        candidates: Vectors = self.mean + self.sigma * self._asked
        return candidates

    def tell(self, values: NDArray[np.floating]) -> None:
        """Learn from the values of the candidates, in their order; smaller is better."""
        self._generation += 1
        chosen = self._asked[np.argsort(values, kind="stable")[: len(self._weights)]]
        move = self._weights @ chosen
        self.mean = self.mean + self.sigma * move
        keep = 1 - self._c_sigma
        self._step_path = keep * self._step_path + np.sqrt(
            self._c_sigma * (2 - self._c_sigma) * self._mass
        ) * move / np.sqrt(self._variance)
        length = np.linalg.norm(self._step_path)
        early = np.sqrt(1 - keep ** (2 * self._generation))
        steady = length / early < (1.4 + 2 / (len(move) + 1)) * self._length
        self._path = (1 - self._c_path) * self._path + steady * np.sqrt(
            self._c_path * (2 - self._c_path) * self._mass
        ) * move
        missed = (1 - steady) * self._c_path * (2 - self._c_path)
        self._variance = (
            (1 - self._c_one - self._c_mu) * self._variance
            + self._c_one * (self._path**2 + missed * self._variance)
            + self._c_mu * (self._weights @ chosen**2)
        )
        self.sigma *= float(np.exp(self._c_sigma / self._damping * (length / self._length - 1)))
