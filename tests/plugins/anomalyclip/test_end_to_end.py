"""Pixels and a released checkpoint in, the reference's numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import (
    Batch,
    Context,
    DetectorSpec,
    Engine,
    Host,
    Query,
    View,
    read_frame,
    unit_rows,
)
from clipvet.detectors.clip import Runtime, find_bundle
from clipvet.detectors.testing import host_with, textures
from clipvet.plugins.anomalyclip import AnomalyClip, AnomalyClipOptions, Enlarger
from clipvet.plugins.anomalyclip._bundle_text import PromptVectors, learned_from
from clipvet.plugins.anomalyclip._import import import_checkpoint
from clipvet.plugins.anomalyclip._scores import class_feature, surgery

SAMPLES = Path(__file__).parents[3] / "sample_data" / "parts"


def encode(runtime: Runtime, pixels: Any) -> Batch:
    return Batch(
        features=runtime.encode_views(list(pixels)),
        views=[View(pixels=image, box=(0, 0, 96, 96)) for image in pixels],
        queries=[[Query(object="carpet")] for _ in pixels],
    )


def prepared(runtime: Runtime, detector: AnomalyClip) -> AnomalyClip:
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    return detector


@pytest.fixture
def imported(runtime: Runtime, checkpoint: Path, tmp_path: Path) -> AnomalyClip:
    folder = tmp_path / "artefact"
    folder.mkdir()
    import_checkpoint(checkpoint, runtime.bundle).save(folder)
    detector = AnomalyClip()
    detector.load(folder)
    return prepared(runtime, detector)


def test_score_and_map_are_the_reference(
    runtime: Runtime, images: Any, golden: Any, imported: AnomalyClip
) -> None:
    results = imported.score(encode(runtime, images))
    values = [scores[0].value for scores in results]
    np.testing.assert_allclose(values, golden["image_score"], atol=1e-5)
    enlarge = Enlarger((6, 6), 96, 0)
    for image, scores in enumerate(results):
        assert scores[0].heatmap is not None
        np.testing.assert_allclose(
            enlarge(scores[0].heatmap), golden["layer_maps"][image, 2], atol=1e-5
        )


def test_image_features_at_another_size(golden: Any, tiny: Any, tmp_path: Path) -> None:
    bundle = tiny.tiny_bundle(
        tmp_path / "tiny128",
        quick_gelu=True,
        vv_start=2,
        image_size=128,
        position_interpolation="bilinear",
        tokenizer=tiny.openai_tokenizer(),
    )
    projection = bundle.weights("vision", ["visual.proj"])["visual.proj"]
    with Runtime(bundle, needs={"cls_raw", "vv_local_embed"}, device="cpu") as runtime:
        features = runtime.encode_views(list(golden["images128"]))
    got = np.concatenate([class_feature(token, projection) for token in features["cls_raw"]])
    np.testing.assert_allclose(got, golden["image_features_raw_128"], atol=1e-4)
    np.testing.assert_allclose(
        features["vv_local_embed"], golden["patch_features_layer6_128"], atol=1e-4
    )


def test_alone_or_in_a_batch_bit_for_bit(
    runtime: Runtime, images: Any, imported: AnomalyClip
) -> None:
    order = [5, 1, 3, 0, 4, 2]
    detectors = [imported]
    for variant in ("sdp", "clap"):
        options = AnomalyClipOptions.model_validate({"variant": variant})
        detectors.append(prepared(runtime, AnomalyClip(options)))
    for detector in detectors:
        together = detector.score(encode(runtime, images[order]))
        for image, scores in zip(order, together, strict=True):
            (alone,) = detector.score(encode(runtime, images[image : image + 1]))
            assert alone[0].value == scores[0].value
            assert alone[0].heatmap is not None
            assert scores[0].heatmap is not None
            assert alone[0].heatmap.tobytes() == scores[0].heatmap.tobytes()


def test_how_far_sdp_style_is_from_sdp(runtime: Runtime, images: Any, tiny: Any) -> None:
    """The weights of the surgery come from one class token instead of four: what that costs."""
    detector = prepared(runtime, AnomalyClip(AnomalyClipOptions(variant="sdp")))
    prototypes = detector.prompts_.pair("carpet").prototypes
    batch = encode(runtime, images)
    state = tiny.tiny_state(tiny.tiny_config(quick_gelu=True))
    for image, scores in enumerate(detector.score(batch)):
        view = {name: array[image] for name, array in batch.features.items()}
        stages = [view[f"vv_stage_{k}_embed"][1:] for k in range(1, 5)]
        tokens = [embedded(view[f"mid_{k}"][0], state) for k in (1, 2, 3)]
        exact = sum(
            surgery([stage], token[None], prototypes)
            for stage, token in zip(stages, [*tokens, view["cls_embed"]], strict=True)
        )
        assert isinstance(exact, np.ndarray)
        assert scores[0].heatmap is not None
        mine = scores[0].heatmap.ravel()
        assert np.corrcoef(mine, exact)[0, 1] > 0.99
        assert np.abs(mine - exact).max() < 0.25 * np.ptp(exact)


def embedded(token: Any, state: Any) -> Any:
    """ln_post and projection of one token."""
    normed = (token - token.mean()) / np.sqrt(token.var() + 1e-5)
    normed = normed * state["visual.ln_post.weight"] + state["visual.ln_post.bias"]
    return (normed @ state["visual.proj"]).astype(np.float32)


@pytest.mark.parametrize("variant", ["anomalyclip", "sdp", "clap"])
def test_on_the_embedded_bundle(variant: str, tmp_path: Path) -> None:
    """Random prompts: this shows that the parts fit together, not that anything is found."""
    bundles = Host.load().bundles
    artefact = None
    if variant == "anomalyclip":
        rng = np.random.default_rng(0)
        vectors = PromptVectors(
            context=rng.normal(0, 0.02, (2, 12, 128)).astype(np.float32),
            deep=rng.normal(0, 0.02, (3, 4, 128)).astype(np.float32),
        )
        bundle = find_bundle(None, bundles)
        learned_from(bundle, vectors, temperature=0.07, origin="random prompts", facts={}).save(
            tmp_path
        )
        artefact = tmp_path
    spec = DetectorSpec(id="anomalyclip", options={"variant": variant}, artefact=artefact)
    host = host_with(AnomalyClip, bundles=bundles)
    with Engine([spec], host=host, device="cpu", batch_size=2, threads=1) as engine:
        assert [slot.failure for slot in engine.slots] == [None]
        frames = [read_frame(path) for path in sorted((SAMPLES / "good").glob("*"))[:2]]
        results = engine.score([engine.plan(frame) for frame in frames], [[Query()]] * 2)
        for (result,) in results:
            assert result.error is None
            assert result.value is not None
            assert np.isfinite(result.value)
            assert result.heatmap is not None
            assert result.heatmap.grid.shape == (24, 24)
            assert np.ptp(result.heatmap.grid) > 0


def test_without_learned_prompts_the_engine_says_so(tmp_path: Path, bundle: Any) -> None:
    host = host_with(AnomalyClip, bundles={"tiny": bundle.folder})
    with Engine(
        [DetectorSpec(id="anomalyclip")], host=host, bundle="tiny", device="cpu", threads=1
    ) as engine:
        failure = engine.slots[0].failure
        assert failure is not None
        assert "no learned prompts for bundle tiny-quickgelu" in failure.message
        assert "anomalyclip.variant=sdp" in failure.message
        frame = read_frame(textures(1, seed=0)[0])
        ((result,),) = engine.score([engine.plan(frame)], [[Query()]])
        assert result.value is None


def test_prototypes_are_unit_and_differ(imported: AnomalyClip, golden: Any) -> None:
    assert imported.learned_ is not None
    got = imported.learned_.prototypes
    np.testing.assert_allclose(got, golden["text_features"], atol=1e-5)
    np.testing.assert_allclose(got, unit_rows(golden["text_features_raw"]), atol=1e-5)
