"""The runtime against numbers that published reference code produced (tests/golden)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors._features import VIT_FEATURES
from clipvet.detectors.clip import Bundle, Runtime, open_session
from clipvet.detectors.clip.export import interpolate_positions, random_parameters
from tests.tiny import tiny_config, tiny_state

Arrays = Mapping[str, NDArray[Any]]
Golden = Callable[[str], Arrays]
VARIANTS = ("gelu", "quickgelu")


def unit(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def relative(got: NDArray[Any], wanted: NDArray[Any]) -> float:
    """max |d| / max |x|."""
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def encode(bundle: Bundle, images: list[NDArray[np.uint8]], *needs: str) -> Arrays:
    with Runtime(bundle, needs=needs) as runtime:
        return runtime.encode_views(images)


@pytest.mark.parametrize("variant", VARIANTS)
def test_made_up_parameters_are_those_of_the_reference(golden: Golden, variant: str) -> None:
    reference = golden(f"open_clip_{variant}")
    state = tiny_state(tiny_config(quick_gelu=False))
    for name, total, squares in zip(
        reference["param_names"], reference["param_sum"], reference["param_sumsq"], strict=True
    ):
        values = state[str(name)].astype(np.float64)
        assert values.sum() == pytest.approx(total, rel=1e-6, abs=1e-6)
        assert np.square(values).sum() == pytest.approx(squares, rel=1e-6)


def test_another_seed_gives_other_parameters() -> None:
    config = tiny_config(quick_gelu=False)
    name = "visual.conv1.weight"
    assert not np.array_equal(
        random_parameters(config, 0)[name], random_parameters(config, 1)[name]
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_towers_equal_open_clip(
    golden: Golden,
    bundles: Callable[..., Bundle],
    images: list[NDArray[np.uint8]],
    variant: str,
) -> None:
    bundle, reference = bundles(quick_gelu=variant == "quickgelu"), golden(f"open_clip_{variant}")
    with Runtime(bundle, needs=["cls_embed", "cls_raw", "hidden_4", "patch_tokens"]) as runtime:
        features = runtime.encode_views(images)
        text = runtime.encode_text([str(prompt) for prompt in reference["prompts"]])
    before = reference["tokens_before_ln_post"]
    assert np.abs(unit(features["cls_embed"]) - unit(reference["image_embedding"])).max() < 1e-4
    assert np.abs(unit(text) - unit(reference["text_embedding"])).max() < 1e-4
    assert relative(features["cls_embed"], reference["image_embedding"]) <= 1e-5
    assert relative(text, reference["text_embedding"]) <= 1e-5
    assert relative(features["hidden_4"], before) <= 1e-5
    assert relative(features["cls_raw"], before[:, 0]) <= 1e-5
    assert relative(features["patch_tokens"], reference["patch_tokens"]) <= 1e-5
    logits = 100 * unit(features["cls_embed"]) @ unit(text).T
    assert np.abs(logits - reference["logits_per_image"]).max() < 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_half_precision_on_disk_keeps_the_direction(
    golden: Golden,
    bundles: Callable[..., Bundle],
    images: list[NDArray[np.uint8]],
    variant: str,
) -> None:
    bundle = bundles(quick_gelu=variant == "quickgelu", precision="fp16")
    reference = golden(f"open_clip_{variant}")
    with Runtime(bundle, needs=["cls_embed", "patch_embed"]) as runtime:
        features = runtime.encode_views(images)
        text = runtime.encode_text([str(prompt) for prompt in reference["prompts"]])
    for got, wanted in (
        (features["cls_embed"], reference["image_embedding"]),
        (text, reference["text_embedding"]),
    ):
        assert (unit(got) * unit(wanted)).sum(-1).min() >= 0.999
    full = bundles(quick_gelu=variant == "quickgelu")
    assert 0.5 * weight_bytes(full) == pytest.approx(weight_bytes(bundle), rel=0.01)
    exact = encode(full, images, "patch_embed")["patch_embed"]
    assert (unit(features["patch_embed"]) * unit(exact)).sum(-1).min() >= 0.999


def weight_bytes(bundle: Bundle) -> int:
    return bundle.manifest.files["weights.bin"].bytes


def test_intermediate_tokens_are_those_after_each_quarter(
    golden: Golden, gelu: Bundle, images: list[NDArray[np.uint8]]
) -> None:
    after = golden("open_clip_gelu")["layer_outputs_image0"]
    features = encode(gelu, images[:1], "hidden_1", "hidden_2", "hidden_3", "hidden_4")
    # Six blocks: the quarters end after 1, 3, 4 and 6 of them.
    for k, blocks in enumerate((1, 3, 4, 6), 1):
        assert relative(features[f"hidden_{k}"][0], after[blocks - 1]) <= 1e-5


def test_windows_equal_anomalib(
    golden: Golden, gelu: Bundle, images: list[NDArray[np.uint8]]
) -> None:
    reference = golden("winclip")
    features = encode(gelu, images, "win2_embed", "win3_embed", "patch_tokens")
    for side in (2, 3):
        wanted = reference[f"window_embeddings_scale{side}"]
        assert relative(features[f"win{side}_embed"], wanted) <= 1e-5
        indices = reference[f"window_index_scale{side}"].T
        np.testing.assert_array_equal(gelu.info.window_indices(side), indices)
    assert relative(features["patch_tokens"], reference["patch_embeddings"]) <= 1e-5


def test_windows_differ_from_each_other(gelu: Bundle, images: list[NDArray[np.uint8]]) -> None:
    # anomalib #2571: with a newer open_clip all its windows are silently the same.
    for name, values in encode(gelu, images, "win2_embed", "win3_embed").items():
        spread = unit(values).std(axis=1).mean()
        assert spread > 1e-3, name


def test_anomalyclip_local_path(
    golden: Golden, bundles: Callable[..., Bundle], images: list[NDArray[np.uint8]]
) -> None:
    reference = golden("anomalyclip")
    bundle = bundles(quick_gelu=True, vv_start=int(reference["replaced_blocks"][0]))
    features = encode(bundle, images, "vv_local_embed", "cls_raw", "hidden_4")
    # Feature layers 2, 4, 6; only the last one is the whole local path.
    assert relative(features["vv_local_embed"], reference["patch_features"][2]) <= 1e-5
    # Its image feature is the class token projected without ln_post.
    projection = tiny_state(tiny_config(quick_gelu=True))["visual.proj"]
    assert relative(features["cls_raw"] @ projection, reference["image_features_raw"]) <= 1e-5


def test_anomalyclip_at_another_size(golden: Golden, bundles: Callable[..., Bundle]) -> None:
    reference = golden("anomalyclip")
    start = int(reference["replaced_blocks"][0])
    bundle = bundles(
        quick_gelu=True, vv_start=start, image_size=128, position_interpolation="bilinear"
    )
    assert bundle.info.grid == (8, 8)
    assert bundle.manifest.vision.position_interpolation == "bilinear"
    features = encode(bundle, list(reference["images128"]), "vv_local_embed", "cls_raw")
    assert relative(features["vv_local_embed"], reference["patch_features_layer6_128"]) <= 1e-5
    projection = tiny_state(tiny_config(quick_gelu=True))["visual.proj"]
    assert relative(features["cls_raw"] @ projection, reference["image_features_raw_128"]) <= 1e-5
    table = tiny_state(tiny_config(quick_gelu=True))["visual.positional_embedding"]
    positions = interpolate_positions(table, 8, "bilinear")
    assert np.abs(positions - reference["positional_embedding_128"]).max() < 1e-7


def test_text_from_embeddings_equals_anomalyclip(golden: Golden, quickgelu: Bundle) -> None:
    reference = golden("anomalyclip")
    state = tiny_state(tiny_config(quick_gelu=True))
    tokens = reference["tokens"]
    embeds = state["token_embedding.weight"][tokens]
    embeds[0, 1:13] = reference["learned_ctx_pos"][0, 0]
    embeds[1, 1:13] = reference["learned_ctx_neg"][0, 0]
    np.testing.assert_allclose(embeds[:, :20], reference["prompt_embeddings"], atol=1e-7)
    deep = np.stack([reference[f"learned_compound_prompts_text_{i}"] for i in (0, 1)])
    got = text_from_embeds(quickgelu, embeds, tokens, deep.astype(np.float16).astype(np.float32))
    assert relative(got, reference["text_features_raw"]) <= 1e-5
    assert np.abs(unit(got) - reference["text_features"]).max() < 1e-4
    # Their learned tokens are rounded to half precision; not doing so is visible.
    assert relative(text_from_embeds(quickgelu, embeds, tokens, deep), got) > 1e-5


def test_text_from_embeddings_without_deep_tokens_is_the_text_tower(
    golden: Golden, quickgelu: Bundle
) -> None:
    reference = golden("open_clip_quickgelu")
    state = tiny_state(tiny_config(quick_gelu=True))
    tokens = reference["tokens"]
    embeds = state["token_embedding.weight"][tokens]
    none = np.zeros((2, 0, 64), dtype=np.float32)
    off = text_from_embeds(quickgelu, embeds, tokens, none)
    assert relative(off, reference["text_embedding"]) <= 1e-5
    # Switched off layer by layer, deep tokens change nothing, bit for bit.
    noise = np.random.default_rng(0).standard_normal((2, 4, 64), dtype=np.float32)
    ignored = text_from_embeds(quickgelu, embeds, tokens, noise, switches=(0, 0))
    np.testing.assert_array_equal(ignored, off)
    assert relative(text_from_embeds(quickgelu, embeds, tokens, noise, switches=(0, 1)), off) > 1e-3


def text_from_embeds(
    bundle: Bundle,
    embeds: NDArray[np.float32],
    tokens: NDArray[np.int64],
    deep: NDArray[np.float32],
    *,
    switches: tuple[float, ...] = (1, 1),
) -> NDArray[np.float32]:
    session = open_session((bundle.folder / "text_embeds.onnx").read_bytes(), bundle.folder)
    return session.run(
        {
            "token_embeds": embeds,
            "end": tokens.argmax(axis=1),
            "deep_tokens": deep[None],
            "deep_layers": np.array(switches, dtype=np.float32),
        }
    )["text_embed"]


def test_glmcm_local_branch(
    golden: Golden, quickgelu: Bundle, images: list[NDArray[np.uint8]]
) -> None:
    reference = golden("mcm_glmcm")
    features = encode(quickgelu, images, "cls_embed", "local_embed")
    assert relative(features["local_embed"], reference["tiny_local"].reshape(6, 36, 64)) <= 1e-5
    assert relative(features["cls_embed"], reference["tiny_global"]) <= 1e-5


def test_value_value_stages_add_up(
    bundles: Callable[..., Bundle], images: list[NDArray[np.uint8]]
) -> None:
    # Quarters of six blocks begin at blocks 0, 1, 3, 4; vv_local from block 3 on is therefore
    # the tokens entering block 3 plus the last two stages.
    bundle = bundles(vv_start=3)
    f = encode(bundle, images, "vv_local", "hidden_2", "vv_stage_3", "vv_stage_4")
    assert relative(f["vv_local"], f["hidden_2"] + f["vv_stage_3"] + f["vv_stage_4"]) <= 1e-5
    from_one = encode(bundles(vv_start=1), images, "vv_local", "hidden_1", "vv_stage_2")
    rest = f["vv_stage_3"] + f["vv_stage_4"]
    whole = from_one["hidden_1"] + from_one["vv_stage_2"] + rest
    assert relative(from_one["vv_local"], whole) <= 1e-5


def test_projected_features_are_ln_post_and_projection(
    gelu: Bundle, images: list[NDArray[np.uint8]]
) -> None:
    state = tiny_state(tiny_config(quick_gelu=False))

    def project(x: NDArray[Any]) -> NDArray[Any]:
        x = x.astype(np.float64)
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        x = x * state["visual.ln_post.weight"] + state["visual.ln_post.bias"]
        return np.asarray(x @ state["visual.proj"].astype(np.float64))

    f = encode(gelu, images, *VIT_FEATURES)
    assert relative(f["cls_embed"], project(f["cls_raw"])) <= 1e-5
    assert relative(f["patch_embed"], project(f["hidden_4"][:, 1:])) <= 1e-5
    assert relative(f["vv_local_embed"], project(f["vv_local"])) <= 1e-5
    for k in range(1, 5):
        assert relative(f[f"vv_stage_{k}_embed"], project(f[f"vv_stage_{k}"])) <= 1e-5


def test_every_declared_feature_has_its_declared_shape(
    gelu: Bundle, images: list[NDArray[np.uint8]]
) -> None:
    sizes = {"V": 2, "E": 64, "W": 96, "N": 36, "1+N": 37, "n2": 25, "n3": 16}
    features = encode(gelu, images[:2], *VIT_FEATURES)
    assert set(features) == set(VIT_FEATURES) == gelu.info.features
    for name, values in features.items():
        assert values.shape == tuple(sizes[d] for d in VIT_FEATURES[name].shape), name
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_parameters_follow_from_their_name_alone() -> None:
    config = tiny_config(quick_gelu=False)
    name = "ln_final.bias"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    expected = np.float32(0.01) * rng.standard_normal(64, dtype=np.float32)
    np.testing.assert_array_equal(random_parameters(config, 0)[name], expected)
