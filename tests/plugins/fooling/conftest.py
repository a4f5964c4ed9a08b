from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.plugins.fooling._genuine import Genuine
from clipvet.plugins.fooling._pixels import pixel_statistics
from clipvet.plugins.fooling._statistics import PromptBank

WIDTH, NAMES = 24, 60


@pytest.fixture(scope="session")
def bank() -> PromptBank:
    """Names in a cone of their own: neighbours in the list mean nearly the same."""
    rng = np.random.default_rng(1)
    topics = np.repeat(rng.standard_normal((12, WIDTH)), 5, axis=0)
    rows = topics + 0.3 * rng.standard_normal((NAMES, WIDTH))
    rows[:, 0] = 5
    return PromptBank([f"name {i}" for i in range(NAMES)], rows, top_k=5)


@pytest.fixture(scope="session")
def images(bank: PromptBank) -> np.ndarray[Any, Any]:
    """Genuine embeddings [200, E]: each near to the names of one topic, in another cone."""
    rng = np.random.default_rng(2)
    rows = bank.embeddings[rng.integers(NAMES, size=200)]
    rows = rows + 0.2 * rng.standard_normal(rows.shape)
    rows[:, 0] = -5
    return rows.astype(np.float32)


@pytest.fixture(scope="session")
def genuine(images: np.ndarray[Any, Any]) -> Genuine:
    return Genuine(images, np.zeros((len(images), 10), np.float32), len(images))


@pytest.fixture
def natural() -> Any:
    """Pictures with the spectrum of photographs: smooth, with a little noise."""

    def make(seed: int, side: int = 96) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(seed)
        frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
        frequency[0, 0] = np.inf
        grey = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / frequency**1.2).real
        picture = 128 + 40 * grey[..., None] / grey.std() * [1.0, 0.9, 0.8]
        noisy = picture + 3 * rng.standard_normal(picture.shape)
        return np.asarray(np.clip(noisy, 0, 255), np.uint8)

    assert pixel_statistics(make(0)).shape == (10,)
    return make
