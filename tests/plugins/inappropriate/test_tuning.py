from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.detectors import unit_rows
from clipvet.plugins.inappropriate._scores import direction, log_odds
from clipvet.plugins.inappropriate._tuning import (
    _gradient,
    _loss,
    cross_validate,
    starting_vectors,
    tune,
)

WIDTH = 32


def examples(count: int = 120, *, gap: float = 0.8, seed: int = 0) -> tuple[Any, Any]:
    """Two clouds in a narrow cone, as image embeddings lie, two thirds of them appropriate."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3 == 0
    features = 4 + rng.standard_normal((count, WIDTH))
    features[:, 0] += gap * np.where(labels, 1, -1)
    return unit_rows(features), labels


def sentences() -> Any:
    """Two text embeddings that differ as little as those of two sentences do."""
    common, *own = np.random.default_rng(2).standard_normal((3, WIDTH))
    return np.stack([common + 0.3 * part for part in own])


def test_the_gradient_is_that_of_the_loss() -> None:
    features, labels = examples()
    vectors = np.random.default_rng(1).standard_normal((2, WIDTH)) + 3
    gradient = _gradient(features, labels, vectors)
    for row, column in ((0, 0), (1, 0), (0, 17), (1, 31)):
        step = np.zeros_like(vectors)
        step[row, column] = 1e-5
        rise = _loss(features, labels, vectors + step) - _loss(features, labels, vectors - step)
        assert gradient[row, column] == pytest.approx(rise / 2e-5, rel=1e-5, abs=1e-9)


def test_tuning_learns_and_keeps_the_orientation() -> None:
    features, labels = examples(300, gap=1.5)
    start = starting_vectors(features, labels, sentences())
    tuned = tune(features, labels, start, steps=1200, seed=0)
    others, truth = examples(300, gap=1.5, seed=9)
    before, after = (
        ((log_odds(others, direction(vectors)) > 0) == truth).mean()
        for vectors in (start, tuned.vectors)
    )
    assert after > 0.85
    assert after > before + 0.1
    assert tuned.step > 0


def test_nothing_to_learn_is_not_learned() -> None:
    features, _ = examples(200, gap=0)
    labels = np.random.default_rng(5).random(200) < 0.5
    checked = cross_validate(features, labels, None, steps=100, seed=0)
    assert 0.3 < checked.auroc < 0.7


def test_it_stops_before_it_learns_by_heart() -> None:
    features, _ = examples(60, gap=0)
    labels = np.random.default_rng(5).random(60) < 0.5
    start = starting_vectors(features, labels, None)
    tuned = tune(features, labels, start, steps=4000, seed=0)
    assert tuned.step < 100
    others, _ = examples(2000, gap=0, seed=11)
    truth = np.random.default_rng(12).random(2000) < 0.5
    assert _loss(others, truth, tuned.vectors) < 0.75  # ln 2 is the best that anyone can do


def test_the_same_seed_gives_the_same_bits() -> None:
    features, labels = examples()
    start = starting_vectors(features, labels, None)
    one, other = (tune(features, labels, start, steps=40, seed=3) for _ in range(2))
    assert one.vectors.tobytes() == other.vectors.tobytes()
    third = tune(features, labels, start, steps=40, seed=4)
    assert third.vectors.tobytes() != one.vectors.tobytes()


def test_where_it_starts() -> None:
    features, labels = examples()
    means = starting_vectors(features, labels, None)
    np.testing.assert_allclose(
        unit_rows(means)[1], unit_rows(features[labels].mean(axis=0)[None])[0]
    )
    text = np.random.default_rng(6).standard_normal((2, WIDTH)).astype(np.float32)
    start = starting_vectors(features, labels, text)
    np.testing.assert_allclose(unit_rows(start), unit_rows(text))
    np.testing.assert_allclose(np.linalg.norm(start, axis=1), np.sqrt(WIDTH) / 2)


def test_cross_validation_beats_its_start_on_what_can_be_learned() -> None:
    features, labels = examples(200, gap=1.5)
    checked = cross_validate(features, labels, sentences(), steps=600, seed=0)
    assert checked.n == 200
    assert checked.auroc > checked.start_auroc + 0.1
    assert checked.accuracy > 0.8
