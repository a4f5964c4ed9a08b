"""Which vectors are taken for which bundle: no released file says whose it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import RecipeError
from clipvet.plugins.inappropriate._examples import Embedded
from clipvet.plugins.inappropriate._import import check_bundle

FILE = Path("prompts.p")


@pytest.fixture
def bundle(make_context: Any) -> Any:
    def make(text: Any, width: int) -> Embedded:
        info = make_context(np.ones((2, width))).bundle
        return Embedded(features=np.empty((0, width)), text=text, bundle=info)

    return make


def sentences_of(vectors: Any) -> Any:
    """Text embeddings from which vectors may have been tuned: rows nearer to each other."""
    mean = vectors.mean(axis=0)
    noise = np.random.default_rng(0).standard_normal(vectors.shape) * 0.2 * np.abs(mean).mean()
    return (mean + 0.4 * (vectors - mean) + noise).astype(np.float32)


@pytest.mark.parametrize("model", ["vit_b_16", "vit_b_32", "vit_l_14"])
def test_the_right_bundle(bundle: Any, prompts: Any, model: str) -> None:
    vectors = prompts[model].astype(np.float64)
    check_bundle(vectors, FILE, bundle(sentences_of(vectors), vectors.shape[1]))


def test_another_model_of_the_same_width(bundle: Any, prompts: Any) -> None:
    for ours, theirs in (("vit_b_16", "vit_b_32"), ("vit_b_32", "vit_b_16")):
        with pytest.raises(RecipeError, match="another CLIP model of the same width"):
            check_bundle(
                prompts[theirs].astype(np.float64), FILE, bundle(sentences_of(prompts[ours]), 512)
            )


def test_another_width(bundle: Any, prompts: Any) -> None:
    with pytest.raises(RecipeError, match="are 768 wide, bundle clip-of-the-test is 512"):
        check_bundle(prompts["vit_l_14"].astype(np.float64), FILE, bundle(None, 512))


def test_swapped_rows(bundle: Any, prompts: Any) -> None:
    vectors = prompts["vit_b_32"].astype(np.float64)
    with pytest.raises(RecipeError, match="look swapped"):
        check_bundle(vectors[::-1], FILE, bundle(sentences_of(vectors), 512))


def test_without_words_only_the_width_counts(bundle: Any, prompts: Any) -> None:
    check_bundle(prompts["vit_b_32"].astype(np.float64), FILE, bundle(None, 512))
