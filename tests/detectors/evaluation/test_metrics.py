"""Metrics and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score

from clipvet.detectors import image_metrics
from clipvet.detectors._intervals import clopper_pearson
from clipvet.detectors.evaluation._metrics import decisions, promise_p_value, rate


def scores(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n) + shift


def test_rates_have_clopper_pearson_intervals() -> None:
    found = rate(1, 60)
    assert found is not None
    assert found.value == 1 / 60
    assert (found.low, found.high) == clopper_pearson(1, 60)


def test_a_rate_of_nothing_is_none() -> None:
    assert rate(0, 0) is None
    assert decisions(["error", None]).flagged is None


def test_verdicts_are_counted_and_errors_stay_out_of_rates() -> None:
    found = decisions(["flag", "flag", "pass", "abstain", "error", None])
    assert (found.n, found.passed, found.errors) == (4, 1, 1)
    assert found.flagged is not None
    assert found.abstained is not None
    assert (found.flagged.count, found.flagged.value) == (2, 0.5)
    assert found.abstained.value == 0.25


def test_the_bootstrap_is_that_of_a_plain_loop() -> None:
    good, scratch, dent = scores(0, 40), scores(1, 25, 1.0), scores(2, 15, 2.0)
    found = image_metrics(good, [scratch, dent], draws=2000, seed=7)
    assert found is not None
    assert (found.good, found.defect) == (40, 40)
    label = np.arange(80) >= 40
    assert found.auroc.value == pytest.approx(
        roc_auc_score(label, np.concatenate([good, scratch, dent]))
    )
    rng = np.random.default_rng(123)
    draws = [
        roc_auc_score(
            label, np.concatenate([rng.choice(part, len(part)) for part in (good, scratch, dent)])
        )
        for _ in range(600)
    ]
    low, high = np.quantile(draws, (0.025, 0.975))
    assert found.auroc.low == pytest.approx(low, abs=0.02)
    assert found.auroc.high == pytest.approx(high, abs=0.02)


def test_draws_depend_on_the_seed_only() -> None:
    one, same, other = (
        image_metrics(scores(0, 30), [scores(1, 30, 1.0)], draws=200, seed=seed)
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_without_draws_an_interval_is_its_value() -> None:
    found = image_metrics(scores(0, 30), [scores(1, 30, 1.0)], draws=0, seed=0)
    assert found is not None
    assert found.auroc.low == found.auroc.value == found.auroc.high


def test_one_side_alone_has_no_metrics() -> None:
    assert image_metrics(scores(0, 5), [np.empty(0)], draws=10, seed=0) is None
    assert image_metrics(np.empty(0), [scores(0, 5)], draws=10, seed=0) is None


def test_types_that_nothing_scored_are_no_stratum() -> None:
    found = image_metrics(scores(0, 5), [np.empty(0), scores(1, 5)], draws=50, seed=0)
    assert found == image_metrics(scores(0, 5), [scores(1, 5)], draws=50, seed=0)


@pytest.mark.parametrize(("count", "n"), [(0, 8), (2, 8), (7, 72), (72, 72)])
def test_a_broken_promise_is_judged_by_the_luck_of_both_sets(count: int, n: int) -> None:
    # 92 images at 2 %: floor(93 * 0.02) = 1, so the long-run rate is Beta(1, 92)
    found = promise_p_value(count, n, rate=0.02, calibrated=92)
    assert found == pytest.approx(betabinom.sf(count - 1, n, 1, 92), rel=1e-6)
