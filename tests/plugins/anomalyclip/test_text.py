from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from clipvet.plugins.anomalyclip import AnomalyClipOptions
from clipvet.plugins.anomalyclip._prompts import ensemble
from clipvet.plugins.anomalyclip._text import Prototypes, largest_cluster


def test_ensemble() -> None:
    normal, anomalous = ensemble("metal nut")
    assert (len(normal), len(anomalous)) == (198, 220)
    assert len(set(normal + anomalous)) == 418
    assert "a close-up photo of the flawless metal nut." in normal
    assert "a photo of a small metal nut with crack." in anomalous
    assert "a photo of the broken metal nut for anomaly detection." in anomalous
    assert not any("{}" in prompt for prompt in normal + anomalous)


@pytest.mark.parametrize("seed", range(12))
def test_largest_cluster_is_scikit_learn_s(seed: int) -> None:
    from sklearn.cluster import DBSCAN

    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1.2, (4, 3))
    points = np.concatenate(
        [centre + rng.normal(0, 0.3, (rng.integers(5, 40), 3)) for centre in centres]
    )
    rng.shuffle(points)
    labels = DBSCAN(eps=0.4, min_samples=6).fit(points).labels_
    expected = np.flatnonzero(labels == np.bincount(labels[labels >= 0]).argmax())
    np.testing.assert_array_equal(largest_cluster(points, 0.4, 6), expected)


def test_noise_has_no_cluster() -> None:
    assert not len(largest_cluster(np.eye(5), 0.5, 2))


def encoder(rows: dict[str, np.ndarray]) -> Any:
    def encode(prompts: Sequence[str]) -> np.ndarray:
        return np.stack([rows[prompt] for prompt in prompts]).astype(np.float32)

    return encode


def test_outliers_do_not_move_a_clustered_prototype() -> None:
    axes = np.eye(8)
    rows = {}
    for axis, prompts in zip(axes, ensemble("nut"), strict=False):
        for index, prompt in enumerate(prompts):
            rows[prompt] = 3 * axis if index % 3 else 5 * axes[2 + index % 6]
    options = AnomalyClipOptions(variant="sdp")
    pair = Prototypes(options, encoder(rows)).pair("nut")
    np.testing.assert_allclose(pair.prototypes, axes[:2], atol=1e-7)
    assert pair.unclustered == ()
    mean = Prototypes(AnomalyClipOptions(variant="sdp", pooling="mean"), encoder(rows)).pair("nut")
    assert np.abs(mean.prototypes - axes[:2]).max() > 0.05
    np.testing.assert_allclose(np.linalg.norm(mean.prototypes, axis=1), 1, atol=1e-6)


def test_own_prompts_are_averaged_at_unit_length() -> None:
    rows = {
        "good nut": np.array([1.0, 0]),
        "fine nut": np.array([0, 9.0]),
        "bad": np.array([0, 2.0]),
    }
    options = AnomalyClipOptions(
        variant="clap", normal_prompts=("good {}", "fine {}"), anomalous_prompts=("bad",)
    )
    pair = Prototypes(options, encoder(rows)).pair("nut")
    np.testing.assert_allclose(pair.prototypes, [[0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-6)
    assert pair.unclustered == ()
