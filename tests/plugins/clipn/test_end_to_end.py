"""Pixels and a released checkpoint in, the references' numbers out; and the embedded bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Batch, Context, DetectorSpec, Engine, Host, Query, View, read_frame
from clipvet.detectors.clip import Runtime
from clipvet.detectors.testing import host_with, textures
from clipvet.plugins.clipn import Clipn, ClipnOptions
from clipvet.plugins.clipn._import import import_checkpoint

SAMPLES = Path(__file__).parents[3] / "sample_data" / "parts"
CLASSES = ("bolt", "washer", "nut")


def encode(runtime: Runtime, pixels: Any, classes: Any) -> Batch:
    return Batch(
        features=runtime.encode_views(list(pixels)),
        views=[View(pixels=image, box=(0, 0, 96, 96)) for image in pixels],
        queries=[[Query(classes=tuple(classes))] for _ in pixels],
    )


def prepared(runtime: Runtime, detector: Clipn) -> Clipn:
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    return detector


@pytest.fixture
def artefact(runtime: Runtime, checkpoint: Path, tmp_path: Path) -> Path:
    import_checkpoint(checkpoint, runtime.bundle, out=tmp_path / "no", precision="fp32")
    return tmp_path / "no"


def test_from_pixels_and_a_checkpoint(
    runtime: Runtime, artefact: Path, images: Any, prompts: list[str], golden: Any
) -> None:
    def unit(rows: Any) -> Any:
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    image = unit(runtime.encode_views(list(images))["cls_embed"].astype(np.float64))
    yes, no = (100 * image @ unit(golden[f"tiny_text_{side}"]).T for side in ("yes", "no"))
    q = 1 / (1 + np.exp(no - yes))
    p = np.exp(yes - yes.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    expected = {
        "ctw": 1 - q[np.arange(6), yes.argmax(axis=1)],
        "atd": 1 - (p * q).sum(axis=1),
    }
    for method, values in expected.items():
        options = {"method": method, "templates": ["{}"], "logit_scale": 100}
        detector = Clipn(ClipnOptions.model_validate(options))
        detector.load(artefact)
        results = prepared(runtime, detector).score(encode(runtime, images, prompts))
        got = [scores[0].value for scores in results]
        np.testing.assert_allclose(got, values, atol=1e-4)
        assert np.ptp(got) > 1e-3
        assert (
            results[0][0]
            .details["method"]
            .startswith(
                f"CLIPN-{method.upper()} (no-tower with learned prompts imported from epoch_10.pt "
            )
        )


def test_gl_mcm_from_pixels(
    tiny: Any, tmp_path: Path, images: Any, prompts: list[str], golden_mcm: Any
) -> None:
    """The reference's GL-MCM is built on the QuickGELU tower."""
    bundle = tiny.tiny_bundle(tmp_path / "t", quick_gelu=True, tokenizer=tiny.openai_tokenizer())
    with Runtime(bundle, needs={"cls_embed", "local_embed"}, device="cpu", threads=1) as runtime:
        batch = encode(runtime, images, prompts)
        np.testing.assert_allclose(
            batch.features["local_embed"], golden_mcm["tiny_local"].reshape(6, 36, 64), atol=1e-4
        )
        for method in ("mcm", "gl_mcm"):
            options = ClipnOptions.model_validate({"method": method, "templates": ["{}"]})
            results = prepared(runtime, Clipn(options)).score(batch)
            got = [scores[0].value for scores in results]
            np.testing.assert_allclose(got, golden_mcm[f"tiny_{method}_T1"], atol=1e-5)


def test_alone_or_in_a_batch_bit_for_bit(runtime: Runtime, artefact: Path, images: Any) -> None:
    order = [5, 1, 3, 0, 4, 2]
    for method in ("atd", "ctw", "mcm", "gl_mcm", "neglabel"):
        detector = Clipn(ClipnOptions.model_validate({"method": method}))
        if detector.options.uses_no_tower:
            detector.load(artefact)
        prepared(runtime, detector)
        together = detector.score(encode(runtime, images[order], CLASSES))
        for image, scores in zip(order, together, strict=True):
            (alone,) = detector.score(encode(runtime, images[image : image + 1], CLASSES))
            assert alone == scores


@pytest.mark.parametrize("method", ["atd", "ctw", "mcm", "gl_mcm", "neglabel"])
def test_on_the_embedded_bundle(method: str) -> None:
    """With the tower that ships; how well it tells classes apart is in the documentation."""
    spec = DetectorSpec(id="clipn", options={"method": method})
    host = host_with(Clipn, bundles=Host.load().bundles)
    with Engine([spec], host=host, device="cpu", batch_size=2, threads=1) as engine:
        assert [slot.failure for slot in engine.slots] == [None]
        frames = [read_frame(path) for path in sorted((SAMPLES / "good").glob("*"))[:2]]
        queries = [[Query(classes=CLASSES)]] * 2
        results = engine.score([engine.plan(frame) for frame in frames], queries)
        for (result,) in results:
            assert result.error is None
            assert result.value is not None
            assert np.isfinite(result.value)
            assert result.heatmap is None
        assert [w for w in engine.warnings if "does not know the word" in w] == []


def test_without_classes_it_does_not_apply() -> None:
    host = host_with(Clipn, bundles=Host.load().bundles)
    spec = DetectorSpec(id="clipn", options={"method": "mcm"})
    with Engine([spec], host=host, device="cpu", threads=1) as engine:
        frame = read_frame(textures(1, seed=0)[0])
        ((result,),) = engine.score([engine.plan(frame)], [[Query(object="bolt")]])
        assert result.value is None
        assert "clipn needs classes" in str(result)


def test_without_a_no_tower_the_engine_says_so(bundle: Any) -> None:
    host = host_with(Clipn, bundles={"tiny": bundle.folder})
    with Engine(
        [DetectorSpec(id="clipn")], host=host, bundle="tiny", device="cpu", threads=1
    ) as engine:
        failure = engine.slots[0].failure
        assert failure is not None
        assert 'no "no" text tower for bundle tiny-gelu' in failure.message
        assert "clipn.method=mcm" in failure.message
        frame = read_frame(textures(1, seed=0)[0])
        ((result,),) = engine.score([engine.plan(frame)], [[Query(classes=CLASSES)]])
        assert result.value is None
