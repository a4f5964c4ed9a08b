"""Against xmed-lab/CLIPN, deeplearning-wisc/MCM and AtsuMiyai/GL-MCM, from their own features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipvet.detectors import unit_rows
from clipvet.plugins.clipn._scores import concept_match, log_sum_exp

CLASSES = [str(row) for row in range(12)]


def values(results: Any) -> Any:
    return np.array([score.value for scores in results for score in scores])


@pytest.mark.parametrize("method", ["ctw", "atd"])
def test_clipn(method: str, golden: Any, make_detector: Any, make_batch: Any) -> None:
    batch = make_batch({"cls_embed": golden["image_features"]}, CLASSES)
    results = make_detector(method=method).score(batch)
    np.testing.assert_allclose(1 - values(results), golden[method], atol=1e-5)
    # The hand-crafted scripts call the same two quantities YN and C+1.
    twin = {"ctw": "handcrafted_yn", "atd": "handcrafted_c_plus_1"}[method]
    np.testing.assert_allclose(1 - values(results), golden[twin], atol=1e-5)
    ctw = [scores[0].details["class_negated"] for scores in results]
    np.testing.assert_allclose(1 - np.array(ctw), golden["ctw"], atol=1e-5)
    cosines = unit_rows(golden["image_features"]) @ unit_rows(golden["yes_text_features"]).T
    nearest = [CLASSES[column] for column in cosines.argmax(axis=1)]
    assert [scores[0].details["class"] for scores in results] == nearest


def test_its_baselines_on_the_same_logits(golden: Any) -> None:
    """They are not offered, but show that the logits are the reference's."""
    cosines = unit_rows(golden["image_features"]) @ unit_rows(golden["yes_text_features"]).T
    msp = [concept_match(row, 0.01) for row in cosines]
    np.testing.assert_allclose(msp, golden["msp"], atol=1e-5)
    np.testing.assert_allclose(log_sum_exp(100 * cosines), golden["energy"], rtol=1e-5)


@pytest.mark.parametrize("name", ["T1", "T0p01"])
@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"method": "mcm"}, ["mcm_repo_mcm", "glmcm_repo_mcm", "ptood_mcm"]),
        ({"method": "gl_mcm"}, ["glmcm_repo_gl_mcm"]),
        ({"method": "gl_mcm", "local_weight": 0.5}, ["glmcm_repo_gl_mcm_lambda0p5"]),
        ({"method": "gl_mcm", "local_weight": 0.0}, ["glmcm_repo_mcm"]),
    ],
)
def test_concept_matching(  # noqa: PLR0917 - fixtures
    name: str,
    options: Any,
    keys: list[str],
    golden_mcm: Any,
    make_detector: Any,
    make_batch: Any,
) -> None:
    temperature = {"T1": 1.0, "T0p01": 0.01}[name]

    def encode(texts: Any) -> Any:
        return golden_mcm["text_features"][[int(text) for text in texts]]

    local = golden_mcm["local_features"].reshape(24, 36, 64)
    batch = make_batch({"cls_embed": golden_mcm["global_features"], "local_embed": local}, CLASSES)
    detector = make_detector(encode, temperature=temperature, **options)
    results = detector.score(batch)
    tolerance = 1e-6 if temperature == 1 else 1e-5
    for key in keys:
        expected = golden_mcm[f"{key}_{name}"]
        np.testing.assert_allclose(values(results), expected, atol=tolerance)
    if options["method"] == "gl_mcm":
        parts = [[s[0].details[key] for s in results] for key in ("global_match", "local_match")]
        for part, key in zip(parts, ("mcm", "l_mcm"), strict=True):
            expected = golden_mcm[f"glmcm_repo_{key}_{name}"]
            np.testing.assert_allclose(-np.array(part), expected, atol=tolerance)
