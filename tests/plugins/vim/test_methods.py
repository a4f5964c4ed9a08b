"""What the golden arrays do not hold, and what must be true of every method."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from clipvet.detectors import UsageError
from clipvet.plugins.vim import Head, Statistics, VimOptions
from clipvet.plugins.vim._fitting import fit_rule, principal_dimension
from clipvet.plugins.vim._options import Method

METHODS = get_args(Method)


@pytest.mark.parametrize("method", METHODS)
def test_far_away_is_worse(method: str, golden: Any, scores: Any) -> None:
    found = scores(method)
    assert np.isfinite(found).all()
    assert found[50:].mean() > found[:50].mean()


@pytest.mark.parametrize("method", METHODS)
def test_features_of_half_precision_and_zeros_are_finite(
    method: Method, head: Head, statistics: Statistics
) -> None:
    rule = fit_rule(VimOptions(method=method), head, statistics)
    for row in (np.zeros(64), np.full(64, 6e4), np.eye(64)[3]):
        assert np.isfinite(rule.score(row))


@pytest.mark.parametrize("method", METHODS)
def test_shards_in_any_order_are_the_whole(
    method: str, golden: Any, head: Head, statistics: Statistics, scores: Any
) -> None:
    features, labels = golden["train_features"], golden["train_labels"]
    shards = []
    for part in np.array_split(np.random.default_rng(0).permutation(800), 5):
        shard = Statistics(64, head)
        for chunk in np.array_split(part, 3):
            shard.update(features[chunk], labels[chunk])
        shards.append(shard)
    merged = shards[3].merge(shards[0]).merge(shards[4].merge(shards[1]).merge(shards[2]))
    assert merged.count == statistics.count == 800
    np.testing.assert_allclose(scores(method, seen=merged), scores(method), rtol=1e-8, atol=1e-10)


def test_moments_far_from_the_origin_do_not_cancel() -> None:
    rows = np.random.default_rng(1).standard_normal((400, 3)) + 1e6
    seen = Statistics(3)
    for chunk in np.array_split(rows, 40):
        seen.update(chunk)
    np.testing.assert_allclose(
        seen.moments.scatter / 400, np.cov(rows.T, bias=True), rtol=1e-6, atol=1e-8
    )


def test_a_small_reservoir_estimates_alpha(golden: Any, head: Head, scores: Any) -> None:
    small = Statistics(64, head, reservoir=200)
    small.update(golden["train_features"], golden["train_labels"])
    assert len(small.reservoir.rows) == 200
    exact = fit_rule(VimOptions(), head, _whole(golden, head)).facts["alpha"]
    assert fit_rule(VimOptions(), head, small).facts["alpha"] == pytest.approx(exact, rel=0.05)


def test_other_classes_are_counted_from_the_sample(golden: Any, head: Head) -> None:
    other = Head(classes=tuple("xyz"), weights=head.weights[:3], bias=head.bias[:3])
    direct = Statistics(64, other)
    direct.update(golden["train_features"])
    turned = _whole(golden, head).for_head(other)
    assert turned.top_logits == pytest.approx(direct.top_logits)
    np.testing.assert_allclose(turned.class_sums, direct.class_sums)
    np.testing.assert_allclose(turned.predicted_softmax, direct.predicted_softmax)


def test_few_images_shrink_the_dimension_and_say_how_many_would_do(golden: Any, head: Head) -> None:
    few = Statistics(64, head)
    few.update(golden["train_features"][:120])
    rule = fit_rule(VimOptions(), head, few)
    assert rule.facts["dimension"] == 12
    assert rule.method == "ViM (D=12 for lack of images)"
    assert any("120 good images" in w and "give 640" in w for w in rule.warnings)
    gaussian = fit_rule(VimOptions(method="mahalanobis"), head, few)
    assert "covariance shrunk by" in gaussian.method
    assert any("give 640" in w for w in gaussian.warnings)


@pytest.mark.parametrize(
    ("width", "expected"), [(2048, 1000), (1024, 512), (768, 512), (512, 256), (64, 32), (2, 1)]
)
def test_the_dimension_is_that_of_the_code(width: int, expected: int) -> None:
    assert principal_dimension(VimOptions(), width, 10**6) == (expected, "")


def test_without_two_classes_the_residual_runs_under_its_name(
    golden: Any, statistics: Statistics
) -> None:
    alone = Statistics(64)
    alone.update(golden["train_features"])
    rule = fit_rule(VimOptions(), None, alone)
    assert rule.method.startswith("residual (vim asked, fewer than 2 classes")
    assert any("--classes" in warning for warning in rule.warnings)
    for method in ("energy", "kl_matching", "react", "gda", "relative_mahalanobis"):
        with pytest.raises(ValueError, match="at least 2 classes"):
            fit_rule(VimOptions(method=method), None, alone)


def test_methods_that_need_images_say_so(head: Head) -> None:
    for method in ("vim", "knn", "gda"):
        with pytest.raises(ValueError, match="good images"):
            fit_rule(VimOptions(method=method), head, None)
    assert fit_rule(VimOptions(method="energy"), head, None).method == "energy"


def test_knn_is_the_distance_to_the_kth_neighbour(golden: Any, scores: Any) -> None:
    train, test = (golden[k].astype(np.float64) for k in ("train_features", "test_features"))
    distance = np.linalg.norm(test[:, None] - train[None], axis=2)
    np.testing.assert_allclose(scores("knn"), np.sort(distance, axis=1)[:, 49], rtol=1e-9)


def test_relative_mahalanobis_takes_away_the_distance_to_all(
    golden: Any, scores: Any, statistics: Statistics
) -> None:
    test = golden["test_features"].astype(np.float64)
    moments = statistics.moments
    centred = test - moments.mean
    precision = np.linalg.inv(moments.scatter / moments.count)
    background = np.einsum("nf,fg,ng->n", centred, precision, centred)
    expected = scores("mahalanobis") - background
    np.testing.assert_allclose(scores("relative_mahalanobis"), expected, rtol=1e-6, atol=1e-6)


def test_gda_is_bayes_rule_beside_the_text(
    golden: Any, head: Head, statistics: Statistics, scores: Any
) -> None:
    train, label = golden["train_features"].astype(np.float64), golden["train_labels"]
    means = np.stack([train[label == c].mean(axis=0) for c in range(10)])
    centred = train - means[label]
    spread = centred.T @ centred
    ridge = np.trace(spread / 799) * np.eye(64)
    precision = 64 * np.linalg.inv(spread + ridge)
    test = golden["test_features"].astype(np.float64)
    gaussian = test @ (means @ precision).T + np.log(0.1)
    gaussian -= 0.5 * np.einsum("cf,fg,cg->c", means, precision, means)
    fused = head.logits(test) + 0.1 * gaussian
    np.testing.assert_allclose(scores("gda", gda_score="max_logit"), -fused.max(axis=1), rtol=1e-6)
    density = 0.5 * np.einsum("nf,fg,ng->n", test, precision, test)
    density -= np.log(np.exp(gaussian - gaussian.max(1, keepdims=True)).sum(1)) + gaussian.max(1)
    np.testing.assert_allclose(scores("gda", gda_score="density"), density, rtol=1e-6)


def test_numbers_that_are_not_finite_are_not_learned(head: Head) -> None:
    with pytest.raises(UsageError, match="not finite"):
        Statistics(64, head).update(np.full((1, 64), np.nan))
    with pytest.raises(UsageError, match="not \\(n, 64\\)"):
        Statistics(64, head).update(np.zeros((1, 63)))


def _whole(golden: Any, head: Head) -> Statistics:
    seen = Statistics(64, head)
    seen.update(golden["train_features"], golden["train_labels"])
    return seen
