from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from clipvet.detectors import ArtefactMissing, Context, unit_rows
from clipvet.plugins.anomalyclip import AnomalyClip, AnomalyClipOptions, Enlarger
from clipvet.plugins.anomalyclip import _learned as learned_module
from clipvet.plugins.anomalyclip._scores import (
    attention_difference,
    probability,
    surgery,
)

VARIANTS = ["anomalyclip", "sdp", "clap"]


def no_text(_: Sequence[str]) -> NDArray[np.float32]:
    return np.zeros((0, 64), np.float32)


def same(one: Any, other: Any) -> bool:
    return bool(
        one.value == other.value
        and one.heatmap.tobytes() == other.heatmap.tobytes()
        and one.details == other.details
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_equals_single_bit_for_bit(make_detector: Any, make_batch: Any, variant: str) -> None:
    detector = make_detector(variant=variant)
    order = [4, 2, 5, 0, 3, 1, 4]
    together = detector.score(make_batch(order))
    for image, scores in zip(order, together, strict=True):
        assert same(scores[0], detector.score(make_batch([image]))[0][0])
    assert len({scores[0].value for scores in together}) == 6


@pytest.mark.parametrize("variant", VARIANTS)
def test_place_in_memory_changes_nothing(
    golden_features: Any, make_detector: Any, make_batch: Any, variant: str
) -> None:
    detector = make_detector(variant=variant)
    expected = detector.score(make_batch([3]))[0][0]
    for offset in range(1, 16):
        shifted = {}
        for name, array in golden_features.items():
            room = np.empty(array.size + 16, np.float32)
            room[offset : offset + array.size] = array.ravel()
            shifted[name] = room[offset : offset + array.size].reshape(array.shape)
        batch = make_batch([3])
        views = type(batch)(
            features={name: array[3:4] for name, array in shifted.items()},
            views=batch.views,
            queries=batch.queries,
        )
        assert same(detector.score(views)[0][0], expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [0.0, 1e-7, 6e4])
def test_any_size_of_features_is_finite_and_quiet(
    golden_features: Any, make_detector: Any, make_batch: Any, variant: str, size: float
) -> None:
    features = {name: (array * size).astype(np.float32) for name, array in golden_features.items()}
    detector = make_detector(variant=variant)
    with np.errstate(all="raise", under="ignore"):
        scores = [scores[0] for scores in detector.score(make_batch(range(6), features=features))]
    for image, score in enumerate(scores):
        assert np.isfinite(score.value)
        assert np.isfinite(score.heatmap).all()
        if size:  # only directions count
            plain = detector.score(make_batch([image]))[0][0]
            assert score.value == pytest.approx(plain.value, abs=1e-5)
            np.testing.assert_allclose(score.heatmap, plain.heatmap, atol=1e-5)


def test_higher_is_worse(
    golden: Any, golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    """A patch that turns to the anomalous prototype rises, the others stay; the score likewise."""
    normal, anomalous = golden["text_features"]
    before = make_detector().score(make_batch([0]))[0][0]
    local = golden_features["vv_local_embed"].copy()
    image = golden_features["cls_raw"].copy()
    local[0, 1 + 8] += 20 * (anomalous - normal)
    values, cells = [before.value], [before.heatmap[1, 2]]
    for _ in range(4):
        image[0] += 0.2 * (anomalous - normal)
        local[0, 1 + 8] += 20 * (anomalous - normal)
        changed = {**golden_features, "vv_local_embed": local, "cls_raw": image}
        after = make_detector().score(make_batch([0], features=changed))[0][0]
        values.append(after.value)
        cells.append(after.heatmap[1, 2])
        rest = np.delete(after.heatmap.ravel(), 8)
        np.testing.assert_array_equal(rest, np.delete(before.heatmap.ravel(), 8))
    assert values == sorted(set(values))
    assert cells == sorted(set(cells))


def test_score_does_not_read_the_map_nor_the_map_the_class_token(
    golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    before = make_detector().score(make_batch([1]))[0][0]
    local = golden_features["vv_local_embed"].copy()
    local[:, 0] = 7.0
    after = make_detector().score(
        make_batch([1], features={**golden_features, "vv_local_embed": local})
    )[0][0]
    assert same(before, after)
    local[:, 1:] = local[:, :0:-1]
    turned = make_detector().score(
        make_batch([1], features={**golden_features, "vv_local_embed": local})
    )[0][0]
    assert turned.value == before.value
    np.testing.assert_array_equal(turned.heatmap.ravel(), before.heatmap.ravel()[::-1])


def test_clearly_normal_stays_above_zero() -> None:
    prototypes = np.eye(2, 64, dtype=np.float32)
    chance = probability(np.eye(1, 64, dtype=np.float32), prototypes, 0.01)
    np.testing.assert_allclose(chance, np.exp(-100), rtol=1e-6)


def test_surgery_is_the_weighted_difference_and_antisymmetric(golden: Any) -> None:
    """CLIP-AD's code: weights p / mean(p), minus the mean over both classes."""
    prototypes = unit_rows(golden["text_features_raw"]).astype(np.float32)
    image = golden["image_features_raw"][2:3]
    stage = golden["patch_features"][1, 2, 1:]
    cosines = unit_rows(stage) @ prototypes.T.astype(np.float64)
    whole = (unit_rows(image) @ prototypes.T)[0]
    p = np.exp(whole) / np.exp(whole).sum()
    weighted = cosines * (p / p.mean())
    expected = (weighted - weighted.mean(axis=1, keepdims=True))[:, 1]
    got = surgery([stage], image, prototypes)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(surgery([stage], image, prototypes[::-1]), -got, atol=1e-9)
    np.testing.assert_allclose(surgery([stage, stage], image, prototypes), 2 * got)


def test_sdp_score_adds_text_and_map_within_their_ranges(
    make_detector: Any, make_batch: Any
) -> None:
    detector = make_detector(variant="sdp")
    score = detector.score(make_batch([2], "carpet"))[0][0]
    text, largest = score.details["text_score"], score.details["map_score"]
    assert score.value == pytest.approx(text + largest, rel=1e-6)
    assert largest == Enlarger((6, 6), 96, 8)(score.heatmap).max().astype(np.float32)
    frozen = make_detector(variant="sdp", text_range=(0.1, 0.6), map_range=(-1, 3))
    again = frozen.score(make_batch([2], "carpet"))[0][0]
    assert again.value == pytest.approx((text - 0.1) / 0.5 + (largest + 1) / 4, rel=1e-5)
    sharper = make_detector(variant="sdp", smoothing=0).score(make_batch([2], "carpet"))[0][0]
    assert sharper.details["map_score"] > largest


def test_clap_is_the_difference_of_two_stretched_maps(
    golden: Any, make_detector: Any, make_batch: Any
) -> None:
    patches, prototypes = golden["patch_features"][2, 1, 1:], golden["text_features"]
    cosines = (unit_rows(patches) @ prototypes.T).T
    normal, anomalous = ((row - row.min()) / np.ptp(row) for row in cosines)
    for weight in (0.0, 1.0, 0.5):
        np.testing.assert_allclose(
            attention_difference(patches, prototypes, weight),
            np.maximum(anomalous - weight * normal, 0),
            atol=1e-5,
        )
    score = make_detector(variant="clap", top_share=0.25).score(make_batch([1]))[0][0]
    assert score.value == pytest.approx(np.sort(score.heatmap, axis=None)[-9:].mean(), rel=1e-6)


def test_nothing_learned_is_an_error_not_another_method(make_bundle_info: Any) -> None:
    context = Context(bundle=make_bundle_info(), encode_text=no_text)
    with pytest.raises(ArtefactMissing, match=r"no learned prompts .*detect train anomalyclip"):
        AnomalyClip().prepare(context)


def test_embedded_prompts_serve_their_own_bundle_only(
    make_bundle_info: Any, make_learned: Any, make_batch: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    make_learned().save(tmp_path)
    monkeypatch.setattr(learned_module, "EMBEDDED", tmp_path)
    detector = AnomalyClip()
    detector.prepare(Context(bundle=make_bundle_info(), encode_text=no_text))
    method = detector.score(make_batch([0]))[0][0].details["method"]
    assert method == "AnomalyCLIP (golden prompts)"
    other = make_bundle_info(sha256="b" * 64)
    with pytest.raises(ArtefactMissing):
        AnomalyClip().prepare(Context(bundle=other, encode_text=no_text))


def test_needs_and_ranges_follow_the_variant() -> None:
    assert AnomalyClip().needs == {"cls_raw", "vv_local_embed"}
    assert AnomalyClip(AnomalyClipOptions(variant="clap")).needs == {"vv_local_embed"}
    sdp = AnomalyClip(AnomalyClipOptions(variant="sdp"))
    assert sdp.needs == {"cls_embed", *(f"vv_stage_{k}_embed" for k in (1, 2, 3, 4))}
    assert sdp.heatmap_range[0] < 0 < sdp.heatmap_range[1]
    assert AnomalyClip().heatmap_range == (0.0, 1.0)


def test_method_says_what_ran(make_detector: Any, make_batch: Any) -> None:
    def method(**options: Any) -> str:
        details = make_detector(**options).score(make_batch([0], "nut"))[0][0].details
        assert details.get("object", "nut") == "nut"
        text: str = details["method"]
        return text

    assert method() == "AnomalyCLIP (golden prompts)"
    assert method(variant="sdp", pooling="mean") == (
        "SDP-style (CLIP-AD's staged maps; all stages weighted by the final class token, "
        "pooling=mean, text and map score added without min-max)"
    )
    frozen = method(variant="sdp", pooling="mean", text_range=(0.2, 0.4), map_range=(-1, 0.5))
    assert "text_range=0.2..0.4, map_range=-1..0.5)" in frozen
    assert "without min-max" not in frozen
    own = method(variant="clap", normal_prompts=("a {}",), anomalous_prompts=("a bad {}",))
    assert own == (
        "CLAP-style (anomalous minus normal attention, no reconstruction, "
        "normal_prompts=own(1), anomalous_prompts=own(1))"
    )
    noise = method(variant="clap", dbscan_min_samples=1000)
    assert "no cluster of normal and anomalous prompts, their mean" in noise


def test_options_that_contradict_themselves() -> None:
    wrong: list[dict[str, Any]] = [
        {"variant": "winclip"},
        {"smoothing": 4},
        {"variant": "clap", "smoothing": 4},
        {"variant": "sdp", "top_share": 0.5},
        {"variant": "sdp", "normal_prompts": ("a",)},
        {"variant": "sdp", "map_range": (1, 1)},
        {"variant": "sdp", "smoothing": -1},
        {"nonsense": 1},
    ]
    for options in wrong:
        with pytest.raises(ValidationError):
            AnomalyClipOptions(**options)
    dumped = AnomalyClipOptions(variant="sdp", text_range=(0.1, 0.2)).model_dump(mode="json")
    assert AnomalyClipOptions(**dumped).text_range == (0.1, 0.2)


def test_threads_share_one_detector(make_detector: Any, make_batch: Any) -> None:
    detector = make_detector(variant="sdp")
    names = ["nut", "carpet"] * 8
    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(lambda name: detector.score(make_batch([3], name))[0][0], names))
    expected = {n: make_detector(variant="sdp").score(make_batch([3], n))[0][0] for n in names[:2]}
    assert all(same(score, expected[name]) for name, score in zip(names, scores, strict=True))
    assert expected["nut"].value != expected["carpet"].value


def test_it_registers_itself() -> None:
    import clipvet.plugins.anomalyclip as plugin

    registered: dict[str, Any] = {}
    plugin.clipvet_register_detectors(lambda cls: registered.update({cls.id: cls}))
    assert registered == {"anomalyclip": AnomalyClip}
    plugin.clipvet_register_trainers(registered.__setitem__)
    plugin.clipvet_register_commands(registered.__setitem__)
    assert callable(registered["anomalyclip"])
    assert callable(registered["import-anomalyclip"])
    assert plugin.__all__ == sorted(plugin.__all__)
