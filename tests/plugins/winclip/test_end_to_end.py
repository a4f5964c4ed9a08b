"""Pixels and an object name in, anomalib's numbers out: bundle, runtime and detector together."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Batch, Context, Query, Score, View
from clipvet.detectors.clip import Runtime
from clipvet.plugins.winclip import WinClip, WinClipOptions

TESTS = Path(__file__).parents[2]
IMAGES = range(6)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    with np.load(TESTS / "golden" / "images.npz") as arrays:
        pixels: np.ndarray = arrays["images"]
    return pixels


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: Any) -> Iterator[Runtime]:
    spec = importlib.util.spec_from_file_location("tiny", TESTS / "tiny.py")
    assert spec is not None
    assert spec.loader is not None
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    folder = tmp_path_factory.mktemp("winclip")
    bundle = tiny.tiny_bundle(folder / "tiny", tokenizer=tiny.openai_tokenizer())
    needs = WinClip.needs | {"patch_tokens"}
    with Runtime(
        bundle, needs=needs, device="cpu", batch_size=4, threads=1, cache_folder=folder / "cache"
    ) as runtime:
        yield runtime


def encode(runtime: Runtime, pixels: Any, name: str) -> Batch:
    return Batch(
        features=runtime.encode_views(list(pixels)),
        views=[View(pixels=image, box=(0, 0, 96, 96)) for image in pixels],
        queries=[[Query(object=name)] for _ in pixels],
    )


def prepared(runtime: Runtime, **options: Any) -> WinClip:
    detector = WinClip(WinClipOptions(**options))
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    return detector


def grid_of(scores: Sequence[Score]) -> np.ndarray:
    grid = scores[0].heatmap
    assert grid is not None
    return grid


@pytest.mark.parametrize("row", [0, 1])
def test_zero_shot_is_the_reference(runtime: Runtime, images: Any, golden: Any, row: int) -> None:
    name = str(golden["class_names"][row])
    results = prepared(runtime, variant="anomalib").score(encode(runtime, images, name))
    values = [scores[0].value for scores in results]
    grids = np.stack([grid_of(scores) for scores in results])
    np.testing.assert_allclose(values, golden["zero_shot_score"][row], atol=1e-5)
    np.testing.assert_allclose(grids, golden["zero_shot_grid"][row], atol=1e-5)


@pytest.mark.parametrize("row", [0, 1])
def test_few_shot_is_the_reference(runtime: Runtime, images: Any, golden: Any, row: int) -> None:
    name = str(golden["class_names"][row])
    detector = prepared(runtime, variant="anomalib")
    detector.fit([encode(runtime, images[:2], name)])
    results = detector.score(encode(runtime, images, name))
    values = np.array([scores[0].value for scores in results])
    grids = np.stack([grid_of(scores) for scores in results])
    expected = (golden["zero_shot_grid"][row] + golden["few_shot_grid_visual"]) / 2
    np.testing.assert_allclose(values[2:], golden["few_shot_score"][row][2:], atol=1e-5)
    np.testing.assert_allclose(grids[2:], expected[2:], atol=1e-5)
    np.testing.assert_allclose(grids[:2], expected[:2], atol=1e-3)
    # References meet themselves at no distance, though encoded in other batches than before.
    assert [scores[0].details["reference_score"] for scores in results[:2]] == [0.0, 0.0]


def test_text_is_the_reference(runtime: Runtime, golden: Any) -> None:
    from clipvet.plugins.winclip._prompts import ensemble

    for row, name in enumerate(golden["class_names"]):
        for prompts, mean in zip(
            ensemble(str(name), 21), golden["text_embeddings"][row], strict=True
        ):
            np.testing.assert_allclose(runtime.encode_text(prompts).mean(axis=0), mean, atol=1e-5)


def test_windows_are_those_of_the_bundle(runtime: Runtime) -> None:
    from clipvet.plugins.winclip._windows import Cover

    for side in (2, 3):
        cover = Cover.of(runtime.info.grid, side)
        np.testing.assert_array_equal(cover.windows, runtime.info.window_indices(side))


@pytest.mark.parametrize("shots", [0, 2])
def test_alone_or_in_a_batch_bit_for_bit(runtime: Runtime, images: Any, shots: int) -> None:
    detector = prepared(runtime)
    if shots:
        detector.fit([encode(runtime, images[:shots], "carpet")])
    order = [5, 1, 3, 0, 4, 2]
    together = detector.score(encode(runtime, images[order], "carpet"))
    for image, scores in zip(order, together, strict=True):
        (alone,) = detector.score(encode(runtime, images[image : image + 1], "carpet"))
        assert alone[0].value == scores[0].value
        assert grid_of(alone).tobytes() == grid_of(scores).tobytes()


def test_raw_and_normed_patches_differ(runtime: Runtime, images: Any) -> None:
    maps = []
    for tokens in ("raw", "ln_post"):
        detector = prepared(runtime, patch_tokens=tokens, max_references=1)
        detector.fit([encode(runtime, images[:1], "carpet")])
        maps.append(grid_of(detector.score(encode(runtime, images[3:4], "carpet"))[0]))
    assert np.abs(maps[0] - maps[1]).max() > 1e-5
