"""Metrics of a ranking against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from clipvet.detectors.evaluation._ranking import Ranking

# Few distinct values, so that ties within and across the two classes are the rule.
SIDE = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40)


def reference(defect: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    rates, recalls, _ = roc_curve(defect, scores, drop_intermediate=False)
    swapped, accepted, _ = roc_curve(~defect, -scores, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(defect, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return {
        "auroc": roc_auc_score(defect, scores),
        "average_precision": average_precision_score(defect, scores),
        "f1_max": f1.max(),
        "fpr95_defect_positive": rates[recalls >= 0.95 - 1e-12][0],
        "fpr95_good_positive": swapped[accepted >= 0.95 - 1e-12][0],
    }


def ours(ranking: Ranking) -> dict[str, float]:
    return {
        "auroc": float(ranking.auroc()),
        "average_precision": float(ranking.average_precision()),
        "f1_max": float(ranking.f1().max()),
        "fpr95_defect_positive": float(ranking.fpr95_defect_positive()),
        "fpr95_good_positive": float(ranking.fpr95_good_positive()),
    }


@settings(deadline=None, max_examples=150)
@given(SIDE, SIDE)
def test_every_metric_equals_scikit_learns(good: list[float], bad: list[float]) -> None:
    scores = np.array([*good, *bad])
    defect = np.arange(len(scores)) >= len(good)
    expected = reference(defect, scores)
    assert ours(Ranking.of(scores, defect)) == pytest.approx(expected, abs=1e-12)


def test_weights_count_an_item_several_times() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 20, 60).astype(float)
    defect = np.arange(60) >= 25
    weights = rng.integers(0, 4, (5, 60)).astype(float)
    weights[:, [0, 59]] = 1.0  # both classes occur
    rows = Ranking.of(scores, defect, weights)
    for row, counts in enumerate(weights.astype(int)):
        repeated = Ranking.of(np.repeat(scores, counts), np.repeat(defect, counts))
        expected = ours(repeated)
        one = Ranking(scores=rows.scores, caught=rows.caught[row], alarms=rows.alarms[row])
        assert ours(one) == pytest.approx(expected, abs=1e-12)


def test_the_two_conventions_of_fpr_at_95_differ() -> None:
    good = np.arange(100.0)  # 0..99
    bad = np.array([*np.arange(60.0, 110.0, 2.5)])  # 20: catching 19 of them means >= 62.5
    ranking = Ranking.of(np.concatenate([good, bad]), np.arange(120) >= 100)
    assert float(ranking.fpr95_defect_positive()) == 37 / 100  # 63..99
    # 5 of 100 good ones are flagged from 95 on: 14 of 20 defects lie below
    assert float(ranking.fpr95_good_positive()) == pytest.approx(14 / 20)


def test_the_threshold_of_the_best_f1_flags_just_what_it_says() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    ranking = Ranking.of(scores, np.array([False, False, True, False, True]))
    assert ranking.f1_max_threshold() == pytest.approx(0.25)
    everything = Ranking.of(np.array([1.0, 1.0]), np.array([True, False]))
    assert np.nextafter(1.0, 0) >= everything.f1_max_threshold() < 1.0
