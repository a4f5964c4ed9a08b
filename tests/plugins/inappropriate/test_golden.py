"""Against the classifier of ml-research/Q16 on its released vectors (tests/golden/q16.npz)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plugins.inappropriate.conftest import MODELS, batch_of, values


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", ["pickle", "npy", "unit npy"])
def test_probabilities(
    *, golden: Any, prompts: Any, released: Any, make_detector: Any, tmp_path: Path,
    model: str, form: str,
) -> None:  # fmt: skip
    path = tmp_path / "prompts.bin"  # the name says nothing
    pair = prompts[model]
    if form == "pickle":
        path.write_bytes(released[model])
    else:
        stored = pair if form == "npy" else pair / np.linalg.norm(pair, axis=1, keepdims=True)
        with path.open("wb") as file:
            np.save(file, stored)
    scores = values(make_detector(pair, vectors=path), golden[f"{model}_image_features"])
    np.testing.assert_allclose(scores, golden[f"{model}_probability"][:, 1], atol=2e-6)


@pytest.mark.parametrize("model", MODELS)
def test_log_odds(
    *, golden: Any, released: Any, prompts: Any, make_detector: Any, tmp_path: Path, model: str
) -> None:
    path = tmp_path / "prompts.p"
    path.write_bytes(released[model])
    detector = make_detector(prompts[model], vectors=path)
    similarity = golden[f"{model}_similarity"].astype(np.float64)
    answers = detector.score(batch_of(golden[f"{model}_image_features"]))
    odds = [scores[0].details["log_odds"] for scores in answers]
    np.testing.assert_allclose(odds, similarity[:, 1] - similarity[:, 0], atol=2e-5)


def test_dot_products_flag_what_the_embedding_script_flags(
    golden: Any, released: Any, prompts: Any, make_detector: Any, tmp_path: Path
) -> None:
    path = tmp_path / "prompts.p"
    path.write_bytes(released["vit_l_14"])
    embeddings = golden["vit_l_14_image_features"]
    script = make_detector(prompts["vit_l_14"], vectors=path, logits="dot")
    paper = make_detector(prompts["vit_l_14"], vectors=path)
    flagged = np.flatnonzero(values(script, embeddings) > 0.5)
    np.testing.assert_array_equal(flagged, golden["vit_l_14_embedding_script_flagged"])
    rightly = np.flatnonzero(golden["vit_l_14_argmax_similarity"])
    np.testing.assert_array_equal(np.flatnonzero(values(paper, embeddings) > 0.5), rightly)
    assert len(flagged) != len(rightly)  # the bug shows on these embeddings
