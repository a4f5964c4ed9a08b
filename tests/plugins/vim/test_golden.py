"""Equal to the authors' benchmark script, and to pytorch-ood where that is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.plugins.vim import Head, Statistics, VimOptions
from clipvet.plugins.vim._fitting import fit_rule

OFFICIAL = {
    "vim": ("official_vim", 1e-5),
    "residual": ("official_residual", 1e-5),
    "energy": ("official_energy", 1e-5),
    "max_logit": ("official_maxlogit", 1e-5),
    "msp": ("official_msp", 1e-5),
    "react": ("official_energy_react", 1e-5),
    "gradnorm": ("official_gradnorm", 1e-3),
    "mahalanobis": ("official_mahalanobis", 1e-3),
    "kl_matching": ("official_kl_matching", 1e-5),
}


@pytest.mark.parametrize("method", sorted(OFFICIAL))
def test_the_authors_script_gives_minus_these_scores(method: str, golden: Any, scores: Any) -> None:
    name, tolerance = OFFICIAL[method]
    np.testing.assert_allclose(scores(method), -golden[name], rtol=tolerance, atol=1e-6)


def test_offset_dimension_alpha_and_clip(golden: Any, head: Head, statistics: Statistics) -> None:
    np.testing.assert_allclose(head.origin(), golden["official_u"], rtol=1e-4, atol=1e-6)
    facts = fit_rule(VimOptions(), head, statistics).facts
    assert facts["dimension"] == golden["official_principal_dim"] == 32
    assert facts["alpha"] == pytest.approx(float(golden["official_alpha"]), rel=1e-5)
    clip = fit_rule(VimOptions(method="react"), head, statistics).facts["clip"]
    assert clip == pytest.approx(float(golden["official_react_clip"]), rel=1e-5)


@pytest.mark.parametrize("dimension", [16, 32])
def test_pytorch_ood_gives_the_same_vim(dimension: int, golden: Any, scores: Any) -> None:
    expected = golden[f"ptood_vim_d{dimension}"]
    np.testing.assert_allclose(scores("vim", dimension=dimension), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("energy", "energy"),
        ("max_logit", "maxlogit"),
        ("msp", "msp"),
        ("kl_matching", "klmatching"),
    ],
)
def test_pytorch_ood_gives_the_same_scores(
    method: str, name: str, golden: Any, scores: Any
) -> None:
    np.testing.assert_allclose(scores(method), golden[f"ptood_{name}"], rtol=1e-4, atol=1e-5)


def test_the_order_is_that_of_the_published_evaluation(golden: Any, scores: Any) -> None:
    """AUROC of the first 50 rows against the last 50, as the script prints it."""
    from sklearn.metrics import roc_auc_score

    label = np.repeat([0, 1], 50)
    names = {"ViM": "vim", "Residual": "residual", "Mahalanobis": "mahalanobis", "MSP": "msp"}
    found = dict(zip(golden["official_methods"], golden["official_auroc"], strict=True))
    known = {str(k).lower().replace("_", ""): float(v) for k, v in found.items()}
    for title, method in names.items():
        expected = known[title.lower()]
        scale = 100 if expected > 1 else 1
        assert scale * roc_auc_score(label, scores(method)) == pytest.approx(expected, abs=0.05)
