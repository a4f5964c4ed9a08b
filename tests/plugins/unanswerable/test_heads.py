"""Numpy inference against the same network in torch, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from clipvet.plugins.unanswerable._blind import BlindQuestion, option_counts
from clipvet.plugins.unanswerable._heads import Mlp, Projection, softmax
from clipvet.plugins.unanswerable._training import _class_weights, _folded, supervised_contrastive
from clipvet.plugins.unanswerable._vectors import Texts


def test_softmax_of_large_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0 + math.log(3)])), [0.25, 0.75])


def test_projection_by_hand() -> None:
    head = Projection(
        weight=np.array([[1.0, 0.0], [2.0, -1.0]]),
        bias=np.array([0.5, 0.0]),
        readout=np.array([[0.0, 0.0], [1.0, 1.0]]),
        readout_bias=np.array([0.0, math.log(2) - 3.5]),
    )
    vector = np.array([1.0, 0.0])
    np.testing.assert_allclose(head.token(vector), [1.5, 2.0])
    np.testing.assert_allclose(head.probabilities(vector), [1 / 3, 2 / 3])


def test_network_equals_torch() -> None:
    torch.manual_seed(1)
    first, last = nn.Linear(7, 5), nn.Linear(5, 3)
    mean, spread = np.arange(7.0), 0.1 + np.arange(7.0)
    hidden, bias = _folded(first, mean, spread)
    head = Mlp(hidden, bias, last.weight.detach().numpy(), last.bias.detach().numpy())
    inputs = np.random.default_rng(0).standard_normal((4, 7)) * 3
    network = nn.Sequential(first, nn.GELU(approximate="tanh"), last, nn.Softmax(dim=1))
    expected = network(torch.from_numpy(((inputs - mean) / spread).astype(np.float32)))
    found = [head.probabilities(row) for row in inputs]
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)


def test_contrastive_loss_by_hand() -> None:
    features = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1])
    # Rows 0 and 1 have cosine 1 with each other and 0 with row 2, which has no partner.
    expected = -math.log(math.exp(2) / (math.exp(2) + 1))
    assert supervised_contrastive(features, labels, 0.5).item() == pytest.approx(expected)
    alone = supervised_contrastive(features, torch.tensor([0, 1, 2]), 0.5)
    assert alone.item() == 0


def test_option_counts_by_hand() -> None:
    counts = np.array([2, 2, 2, 4, 4, 4])
    unanswerable = np.array([True, False, False, True, True, False])
    # With one pseudo-example: answerable 3/4 at two and 2/4 at four; the others 2/4 and 3/4.
    table = option_counts(counts, unanswerable)
    np.testing.assert_allclose(table, [0.5, 0.5, 0.4, 0.5, 0.6])


def test_blind_question_is_logistic() -> None:
    texts = Texts(np.array([1.0, 0.0]), np.empty((0, 2)), np.empty((0, 2)), np.zeros(2))
    blind = BlindQuestion(np.array([math.log(3), 9.0]), np.array([0.0]))
    assert blind.probability(texts) == pytest.approx(0.75)


def test_answerable_questions_weigh_as_much_as_all_others() -> None:
    kinds = np.array([0] * 10 + [1] * 30 + [2] * 5)
    weights = _class_weights(kinds).numpy()
    total = weights[kinds]
    assert total[kinds == 0].sum() == pytest.approx(total[kinds > 0].sum())
    assert total[kinds == 1].sum() == pytest.approx(total[kinds == 2].sum())
    assert total.sum() == pytest.approx(45)
