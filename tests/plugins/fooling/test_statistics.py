from __future__ import annotations

from typing import Any

import numpy as np

from clipvet.detectors import unit_rows
from clipvet.plugins.fooling._genuine import MOST, Genuine, Sample
from clipvet.plugins.fooling._options import STATISTICS
from clipvet.plugins.fooling._statistics import EmbeddingStatistics, PromptBank, raw_incoherence


def print_of(bank: PromptBank, step: int) -> np.ndarray[Any, Any]:
    """An embedding equally near to names of many topics: what mining looks for."""
    return unit_rows(bank.unit[::step].sum(axis=0)).astype(np.float32) * 8


def test_coherence_is_the_mean_over_pairs(bank: PromptBank) -> None:
    chosen = np.array([3, 10, 41])
    rows = bank.unit[chosen]
    pairs = [rows[0] @ rows[1], rows[0] @ rows[2], rows[1] @ rows[2]]
    all_ = bank.unit @ bank.unit.T
    usual = all_[np.triu_indices(len(all_), 1)].mean()
    assert np.isclose(bank.coherence(chosen), np.mean(pairs) - usual)


def test_a_print_stands_out_by_every_statistic_but_one_image_does_not(
    bank: PromptBank, genuine: Genuine, images: np.ndarray[Any, Any]
) -> None:
    statistics = EmbeddingStatistics(bank, genuine, scale=20, shift=0)
    found = statistics(print_of(bank, 5))
    assert tuple(found) == STATISTICS
    for name in ("incoherence", "hubness", "gap_position", "off_manifold"):
        assert found[name] > 5, name  # type: ignore[literal-required,index,unused-ignore]
    usual = np.array([list(statistics(row).values()) for row in images[1::2]])
    np.testing.assert_allclose(usual.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(usual.std(axis=0), 1, atol=1e-3)


def test_many_match_grows_with_the_number_of_equal_matches(
    bank: PromptBank, genuine: Genuine
) -> None:
    statistics = EmbeddingStatistics(bank, genuine, scale=20, shift=0)
    few, many = print_of(bank, 30), print_of(bank, 5)
    assert statistics(many)["many_match"] > statistics(few)["many_match"]
    assert raw_incoherence(bank, many) > raw_incoherence(bank, bank.embeddings[3])


def test_length_of_an_embedding_means_nothing(bank: PromptBank, genuine: Genuine) -> None:
    statistics = EmbeddingStatistics(bank, genuine, scale=20, shift=0)
    row = print_of(bank, 5)
    for name, value in statistics(row).items():
        assert np.isclose(value, statistics(7 * row)[name], rtol=1e-5)


def test_shift_is_the_papers(bank: PromptBank, genuine: Genuine) -> None:
    """v' = norm(f - lambda g), t' = norm(h + lambda g); at lambda = 0 nothing changes."""
    images = genuine.embeddings.astype(np.float64)
    gap = images.mean(axis=0) - bank.embeddings.mean(axis=0)
    by_hand_bank = PromptBank(bank.names, bank.embeddings + 0.25 * gap, top_k=5)
    moved = Genuine((images - 0.25 * gap).astype(np.float32), genuine.pixels, genuine.seen)
    by_hand = EmbeddingStatistics(by_hand_bank, moved, scale=20, shift=0)
    shifted = EmbeddingStatistics(bank, genuine, scale=20, shift=0.25)
    row = images[7]
    expected = by_hand(row - 0.25 * gap)
    for name, value in shifted(row).items():
        assert np.isclose(value, expected[name], atol=1e-3), name


def test_a_sample_is_bounded_and_repeats() -> None:
    samples = []
    for _ in range(2):
        sample = Sample()
        for i in range(MOST + 500):
            sample.offer(np.full(4, i, np.float32), np.zeros(10))
        samples.append(sample.genuine())
    assert samples[0].embeddings.shape == (MOST, 4)
    assert samples[0].seen == MOST + 500
    assert (samples[0].embeddings[:, 0] >= MOST).sum() > 300
    np.testing.assert_array_equal(samples[0].embeddings, samples[1].embeddings)
