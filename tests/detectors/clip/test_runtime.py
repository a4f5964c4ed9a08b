from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors._features import VIT_FEATURES
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip.export import RandomWeights, load_model
from clipvet.detectors.errors import BundleError

NEEDS = ["cls_embed", "cls_raw", "patch_tokens", "vv_local_embed", "win2_embed", "hidden_4"]
Views = list[NDArray[np.uint8]]


def equal(got: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]]) -> None:
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)


@pytest.fixture(scope="module")
def views(images: Views) -> Views:
    rng = np.random.default_rng(0)
    others = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((40, 90), (200, 96))]
    return [*images, *others, images[0]]


def test_only_what_is_needed_comes_out(gelu: Bundle, images: Views) -> None:
    with Runtime(gelu, needs=NEEDS) as runtime:
        features = runtime.encode_views(images)
    assert set(features) == set(NEEDS)
    for values in features.values():
        assert len(values) == len(images)
        assert values.dtype == np.float32
        assert values.flags.c_contiguous


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
def test_a_view_alone_equals_itself_in_a_batch(gelu: Bundle, views: Views, batch_size: int) -> None:
    with Runtime(gelu, needs=VIT_FEATURES, batch_size=batch_size) as runtime:
        together = runtime.encode_views(views)
        backwards = runtime.encode_views(views[::-1])
        for number, view in enumerate(views):
            alone = runtime.encode_views([view])
            for name, values in alone.items():
                np.testing.assert_array_equal(values[0], together[name][number], err_msg=name)
                np.testing.assert_array_equal(values[0], backwards[name][-1 - number])


def test_batch_size_and_thread_count_do_not_change_a_bit(gelu: Bundle, views: Views) -> None:
    with Runtime(gelu, needs=NEEDS, batch_size=8, threads=1) as runtime:
        wanted = runtime.encode_views(views)
    for batch_size, threads in ((1, 1), (2, 2), (3, 1), (5, 2)):
        with Runtime(gelu, needs=NEEDS, batch_size=batch_size, threads=threads) as runtime:
            equal(runtime.encode_views(views), wanted)


def test_bits_at_the_width_of_a_real_model(tmp_path: Path) -> None:
    # The runtime's matrix kernels change with the size of the matrix: tiny ones prove little.
    config = {
        "embed_dim": 512,
        "vision_cfg": {"image_size": 224, "layers": 4, "width": 768, "patch_size": 32},
        "text_cfg": {"width": 64, "heads": 2, "layers": 1},
    }
    bundle = load_model("wide", RandomWeights(seed=0), config=config).export(tmp_path / "wide")
    rng = np.random.default_rng(0)
    views = list(rng.integers(0, 256, (5, 224, 224, 3), dtype=np.uint8))
    needs = ["cls_embed", "patch_embed", "win3_embed", "vv_stage_4_embed"]
    found = []
    for batch_size, threads in ((1, 1), (2, 2), (3, 1), (5, 2), (8, 2)):
        with Runtime(bundle, needs=needs, batch_size=batch_size, threads=threads) as runtime:
            found.append(runtime.encode_views(views))
            alone = runtime.encode_views(views[3:4])
        equal(alone, {name: values[3:4] for name, values in found[-1].items()})
    for features in found:
        equal(features, found[0])


def test_other_needs_do_not_change_a_bit(gelu: Bundle, images: Views) -> None:
    with Runtime(gelu, needs=VIT_FEATURES) as runtime:
        everything = runtime.encode_views(images)
    for name in NEEDS:
        with Runtime(gelu, needs=[name]) as runtime:
            equal(runtime.encode_views(images), {name: everything[name]})


def test_a_prompt_alone_equals_itself_in_a_batch(gelu: Bundle, tmp_path: Path) -> None:
    prompts = ["a bottle", "a photo of a broken bottle", "", "word " * 60, "x " * 12]
    prompts += [f"state {i}" for i in range(20)]
    with Runtime(gelu, needs=[], cache_folder=tmp_path / "all") as runtime:
        together = runtime.encode_text(prompts)
    for number, prompt in enumerate(prompts):
        with Runtime(gelu, needs=[], cache_folder=tmp_path / str(number)) as runtime:
            np.testing.assert_array_equal(runtime.encode_text([prompt])[0], together[number])


def test_repeated_and_no_prompts(gelu: Bundle) -> None:
    with Runtime(gelu, needs=[]) as runtime:
        twice = runtime.encode_text(["a bottle", "a nut", "a bottle"])
        np.testing.assert_array_equal(twice[0], twice[2])
        assert runtime.encode_text([]).shape == (0, 64)


def test_encoder_calls_count_views(gelu: Bundle, images: Views) -> None:
    with Runtime(gelu, needs=["cls_embed"], batch_size=4) as runtime:
        runtime.warmup()
        assert runtime.encoder_calls == 0
        runtime.encode_views(images)
        runtime.encode_views(images[:1])
        runtime.encode_views([])
        assert runtime.encoder_calls == 7


def test_no_views_give_empty_features(gelu: Bundle) -> None:
    with Runtime(gelu, needs=["cls_embed", "vv_local"]) as runtime:
        features = runtime.encode_views([])
    assert features["cls_embed"].shape == (0, 64)
    assert features["vv_local"].shape == (0, 37, 96)


def test_a_feature_that_the_bundle_lacks_is_named(gelu: Bundle) -> None:
    with pytest.raises(BundleError, match="bundle tiny-gelu cannot give magic"):
        Runtime(gelu, needs=["cls_embed", "magic"])


def test_eight_threads_get_the_bits_of_one(gelu: Bundle, views: Views, tmp_path: Path) -> None:
    with Runtime(gelu, needs=NEEDS, batch_size=3) as runtime:
        wanted = runtime.encode_views(views)
        words = runtime.encode_text(["a bottle", "a nut"])
    with Runtime(gelu, needs=NEEDS, batch_size=3, cache_folder=tmp_path / "new") as runtime:

        def work(_number: int) -> tuple[Mapping[str, NDArray[Any]], NDArray[Any]]:
            return runtime.encode_views(views), runtime.encode_text(["a bottle", "a nut"])

        with ThreadPoolExecutor(max_workers=8) as pool:
            found = list(pool.map(work, range(24)))
        assert runtime.encoder_calls == 24 * len(views)
    assert len(found) == 24
    for features, text in found:
        equal(features, wanted)
        np.testing.assert_array_equal(text, words)


def test_a_closed_runtime_opens_again(gelu: Bundle, images: Views) -> None:
    runtime = Runtime(gelu, needs=["cls_embed"])
    first = runtime.encode_views(images)
    runtime.close()
    runtime.close()
    equal(runtime.encode_views(images), first)
    runtime.close()


def test_facts(gelu: Bundle) -> None:
    with Runtime(gelu, needs=[]) as runtime:
        assert runtime.provider in {"CPUExecutionProvider", "CUDAExecutionProvider"}
        assert runtime.info.embed_dim == 64
        assert runtime.info.grid == (6, 6)
        assert runtime.info.logit_scale == pytest.approx(100.0)
        assert runtime.unknown_words("anything at all") == []


def test_running_imports_no_torch(gelu: Bundle, bundles: Callable[..., Bundle]) -> None:
    code = (
        "import sys; import numpy as np; from clipvet.detectors.clip import Bundle, Runtime\n"
        "runtime = Runtime(Bundle.open(sys.argv[1]), needs=['cls_embed', 'win2_embed'])\n"
        "runtime.encode_views([np.zeros((50, 60, 3), np.uint8)]); runtime.encode_text(['a nut'])\n"
        "import clipvet.detectors.clip.export\n"
        "print(sorted({'torch', 'open_clip', 'huggingface_hub'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(gelu.folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
