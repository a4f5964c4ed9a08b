from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from zlib import crc32

import numpy as np
import pytest

from clipvet.plugins.winclip import WinClipOptions
from clipvet.plugins.winclip._prompts import TemplateSet, ensemble
from clipvet.plugins.winclip._text import Prototypes, prompts_for


@pytest.mark.parametrize(("templates", "counts"), [(22, (154, 88)), (21, (147, 84))])
def test_counts(templates: TemplateSet, counts: tuple[int, int]) -> None:
    normal, anomalous = ensemble("bottle", templates)
    assert (len(normal), len(anomalous)) == counts
    assert not set(normal) & set(anomalous)


def test_the_22_differ_and_the_21_double_one() -> None:
    assert [len(set(prompts)) for prompts in ensemble("bottle", 22)] == [154, 88]
    assert [len(set(prompts)) for prompts in ensemble("bottle", 21)] == [140, 80]
    assert set(ensemble("bottle", 21)[0]) < set(ensemble("bottle", 22)[0])


def test_21_are_the_reference_prompts_in_order(golden: dict[str, np.ndarray]) -> None:
    for row, name in enumerate(golden["class_names"]):
        for prompts, kind in zip(ensemble(str(name), 21), ("normal", "anomalous"), strict=True):
            checks = [crc32(prompt.encode()) for prompt in prompts]
            np.testing.assert_array_equal(checks, golden[f"prompt_crc32_{kind}"][row])


def test_names_with_braces_and_underscores() -> None:
    plain, spaced = WinClipOptions(), WinClipOptions(underscore_as_space=True)
    assert "a photo of a {}x{0}." in prompts_for("{}x{0}", plain)[0]
    assert "a photo of a damaged metal_nut." in prompts_for("metal_nut", plain)[1]
    assert "a photo of a damaged metal nut." in prompts_for("metal_nut", spaced)[1]


def test_own_prompts() -> None:
    options = WinClipOptions(
        normal_prompts=("a clean {}", "an intact part"), anomalous_prompts=("a scratched {}",)
    )
    assert prompts_for("cap", options) == (["a clean cap", "an intact part"], ["a scratched cap"])


@pytest.mark.parametrize("pooling", ["mean", "unit_mean"])
def test_pooling(pooling: Literal["mean", "unit_mean"]) -> None:
    vectors = {"a": [3.0, 0.0], "b": [0.0, 1.0], "c": [-2.0, 0.0]}
    options = WinClipOptions(
        normal_prompts=("a", "b", "b"), anomalous_prompts=("c",), prompt_pooling=pooling
    )
    calls: list[Sequence[str]] = []

    def encode(prompts: Sequence[str]) -> np.ndarray:
        calls.append(prompts)
        return np.array([vectors[prompt] for prompt in prompts], dtype=np.float32)

    prototypes = Prototypes(options, encode)
    normal = np.array([3.0, 2.0] if pooling == "mean" else [1.0, 2.0])
    expected = [-1, 0] - normal / np.linalg.norm(normal)
    np.testing.assert_allclose(prototypes.direction("x"), expected, rtol=1e-6)
    prototypes.direction("x")
    assert calls == [["a", "b"], ["c"]]  # once per name, equal prompts once
