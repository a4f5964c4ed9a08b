from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from benchmarks import false_alarm
from benchmarks._resampling import Policy, replaced, split, try_policy


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    common = rng.gamma(2.0, size=3000)
    return {
        "winclip": common + rng.normal(size=3000),
        "vim": common + rng.standard_t(3, size=3000),
        "fooling": rng.exponential(size=3000),
    }


@pytest.mark.parametrize("policy", false_alarm.POLICIES, ids=lambda policy: policy.name)
def test_every_policy_keeps_its_promise_on_few_draws(
    policy: Policy, scores: dict[str, np.ndarray]
) -> None:
    few = {name: values[:600] for name, values in scores.items()}
    outcomes = try_policy(
        policy, few, [(0.1, None), (0.1, 0.9), (0.001, None)],
        draw=replaced(600, 60, 60), draws=40, seed=1,
    )  # fmt: skip
    assert [(one.rate, one.confidence) for one in outcomes] == [(0.1, None), (0.1, 0.9)]
    plain, sure = outcomes
    assert (plain.n, plain.k) == ((60, 55) if len(policy.detectors) == 1 else (30, 28))
    assert plain.holds
    assert plain.realised.mean() > 0.03
    assert abs(plain.realised.mean() - plain.long_run.mean()) < 4 * plain.error
    assert sure.broken <= sure.allowed
    assert sure.long_run.mean() < plain.long_run.mean()


def test_a_broken_promise_is_seen(scores: dict[str, np.ndarray]) -> None:
    """Test images of another distribution: the yardstick must not call that kept."""
    shifted = {"vim": np.concatenate([scores["vim"][:300], scores["vim"][:300] + 2])}

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(300, size=60), rng.integers(300, 600, size=60)

    (outcome,) = try_policy(
        Policy("vim", ("vim",)), shifted, [(0.1, None)], draw=draw, draws=20, seed=0
    )
    assert not outcome.holds
    assert outcome.realised.mean() > 0.2


def test_the_spread_is_that_of_the_beta_distribution(scores: dict[str, np.ndarray]) -> None:
    some = {"vim": scores["vim"][:1500]}
    (outcome,) = try_policy(
        Policy("vim", ("vim",)), some, [(0.1, None)], draw=replaced(1500, 59, 59), draws=200,
        seed=2,
    )  # fmt: skip
    assert (outcome.n, outcome.k) == (59, 54)
    assert outcome.expected == pytest.approx(beta.ppf([0.05, 0.5, 0.95], 6, 54))
    assert outcome.distance < 0.12
    assert outcome.spread == pytest.approx(outcome.expected, abs=0.02)


def test_splits_share_no_image() -> None:
    calibrating, testing = split(20, 12)(np.random.default_rng(0))
    assert sorted([*calibrating, *testing]) == list(range(20))
    assert len(calibrating) == 12


def test_the_page_says_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    false_alarm.main(["--views", "24", "--held-out", "30", "--draws", "3", "--out", str(out)])
    page = out.read_text()
    assert "24 views of one held-out rendered part" in page
    assert "6 to learn from, 18 scored" in page
    assert "3 independent draws: each takes 30 held-out images" in page
    assert "Real sets" not in page
    for policy in false_alarm.POLICIES:
        assert re.search(rf"\| {re.escape(policy.name)} \| 0\.1 \| \d+ \| \d+ \| 0\.\d+", page)
