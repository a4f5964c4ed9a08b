from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from clipvet.detectors import DetectorError, UsageError
from clipvet.plugins.winclip import WinClip, WinClipOptions

NAME = "transistor"


def same(one: Any, other: Any) -> bool:
    return bool(
        one.value == other.value
        and one.heatmap.tobytes() == other.heatmap.tobytes()
        and one.details == other.details
    )


@pytest.mark.parametrize("shots", [0, 3])
def test_batch_equals_single_bit_for_bit(make_detector: Any, make_batch: Any, shots: int) -> None:
    detector = make_detector()
    if shots:
        detector.fit([make_batch(range(shots))])
    order = [4, 2, 5, 0, 3, 1, 4]
    together = detector.score(make_batch(order, NAME))
    for image, scores in zip(order, together, strict=True):
        assert same(scores[0], detector.score(make_batch([image], NAME))[0][0])


def test_place_in_memory_changes_nothing(
    golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    detector = make_detector()
    detector.fit([make_batch([0])])
    expected = detector.score(make_batch([3], NAME))[0][0]
    for offset in range(1, 16):
        shifted = {}
        for name, array in golden_features.items():
            room = np.empty(array.size + 16, np.float32)
            room[offset : offset + array.size] = array.ravel()
            shifted[name] = room[offset : offset + array.size].reshape(array.shape)
        batch = make_batch([3], NAME)
        views = type(batch)(
            features={name: array[3:4] for name, array in shifted.items()},
            views=batch.views,
            queries=batch.queries,
        )
        assert same(detector.score(views)[0][0], expected)


@pytest.mark.parametrize("aggregation", ["anomaly", "normality"])
@pytest.mark.parametrize("temperature", [0.07, 0.01, 1e-4])
def test_finite_and_quiet_at_any_temperature(
    make_detector: Any, make_batch: Any, temperature: float, aggregation: str
) -> None:
    detector = make_detector(temperature=temperature, aggregation=aggregation)
    detector.fit([make_batch([0, 1])])
    with np.errstate(all="raise", under="ignore"):
        scores = [scores[0] for scores in detector.score(make_batch(range(6), NAME))]
    for score in scores:
        assert 0 <= score.value <= 1
        assert np.isfinite(score.heatmap).all()
        assert score.heatmap.min() >= 0
        assert score.heatmap.max() <= 1


def test_all_normal_windows_stay_finite(make_context: Any, make_batch: Any) -> None:
    # Cosine gap 1 at temperature 0.01: p = 4e-44, beyond float32 and its reciprocal.
    rng = np.random.default_rng(0)
    features: dict[str, np.ndarray] = {
        "cls_embed": np.eye(1, 64, dtype=np.float32),
        "win2_embed": np.eye(1, 64, dtype=np.float32) * rng.uniform(1, 2, (1, 25, 1)),
        "win3_embed": np.eye(1, 64, dtype=np.float32) * rng.uniform(1, 2, (1, 16, 1)),
        "hidden_4": rng.standard_normal((1, 37, 96)),
    }
    features = {name: array.astype(np.float32) for name, array in features.items()}
    options = WinClipOptions(normal_prompts=("good",), anomalous_prompts=("bad",), temperature=0.01)
    detector = WinClip(options)
    rows = {"good": np.eye(64, dtype=np.float32)[0], "bad": np.eye(64, dtype=np.float32)[1]}
    detector.prepare(make_context(encode_text=lambda prompts: np.stack([rows[p] for p in prompts])))
    score = detector.score(make_batch([0], features=features))[0][0]
    assert score.value == np.float32(np.exp(-100)) > 0
    assert score.heatmap is not None
    # One step of float32 is 4 % down there.
    np.testing.assert_allclose(score.heatmap, np.exp(-100), rtol=0.04)


def test_normality_side(golden: Any, make_detector: Any, make_batch: Any) -> None:
    """1 minus the harmonic mean of the normal probability, by its plain formula."""
    grid = make_detector(aggregation="normality", scales=(2,)).score(make_batch([1], NAME))[0][0]
    windows = golden["window_index_scale2"].T
    normal = 1 - golden["window_scores_scale2"][0][1].astype(np.float64)
    spread = [
        (windows == patch).any(axis=1).sum() / (1 / normal[(windows == patch).any(axis=1)]).sum()
        for patch in range(36)
    ]
    whole = 1 - golden["zero_shot_score"][0][1]
    expected = 1 - 2 / (1 / np.array(spread) + 1 / whole)
    np.testing.assert_allclose(grid.heatmap.ravel(), expected, atol=2e-6)


def test_higher_is_worse_where_a_window_turns_anomalous(
    golden: Any, golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    detector = make_detector()
    before = detector.score(make_batch([0], NAME))[0][0].heatmap
    windows = golden_features["win2_embed"].copy()
    normal, anomalous = (row / np.linalg.norm(row) for row in golden["text_embeddings"][0])
    windows[0, 0] = 5 * (anomalous - normal)
    changed = {**golden_features, "win2_embed": windows}
    after = detector.score(make_batch([0], NAME, features=changed))[0][0].heatmap
    assert (after[:2, :2] > before[:2, :2]).all()
    np.testing.assert_array_equal(after[2:], before[2:])


def test_without_windows(make_detector: Any, make_batch: Any) -> None:
    detector = make_detector(scales=())
    assert detector.needs == {"cls_embed", "hidden_4"}
    full = make_detector().score(make_batch([2], NAME))[0][0]
    plain = detector.score(make_batch([2], NAME))[0][0]
    assert plain.heatmap is None
    assert plain.value == full.value
    detector.fit([make_batch([0])])
    few_shot = detector.score(make_batch([2], NAME))[0][0]
    assert few_shot.heatmap.max() == pytest.approx(few_shot.details["reference_score"])


def test_map_max(make_detector: Any, make_batch: Any) -> None:
    score = make_detector(image_score="map_max").score(make_batch([2], NAME))[0][0]
    assert score.value == score.heatmap.max()


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_top_share_averages_the_largest_cells(
    make_detector: Any, make_batch: Any, share: float
) -> None:
    detector = make_detector(variant="visual", scales=(), top_share=share)
    detector.fit([make_batch([0])])
    score = detector.score(make_batch([2], NAME))[0][0]
    cells = np.sort(score.heatmap, axis=None)
    count = max(1, round(share * cells.size))
    assert score.value == pytest.approx(cells[-count:].mean(), rel=1e-6)
    assert ("top_share" in score.details["method"]) == bool(share)


def test_zero_shot_method_leaves_top_share_out(make_detector: Any, make_batch: Any) -> None:
    score = make_detector(top_share=0.5).score(make_batch([2], NAME))[0][0]
    assert score.details["method"] == "WinCLIP zero-shot"
    pooled = make_detector(top_share=0.5, image_score="map_max")
    score = pooled.score(make_batch([2], NAME))[0][0]
    cells = np.sort(score.heatmap, axis=None)
    assert score.value == pytest.approx(cells[-round(0.5 * cells.size) :].mean(), rel=1e-6)
    assert "top_share=0.5" in score.details["method"]


def test_sum_is_twice_the_mean(make_detector: Any, make_batch: Any) -> None:
    maps = {}
    for fusion in ("mean", "sum"):
        detector = make_detector(fusion=fusion)
        detector.fit([make_batch([0])])
        maps[fusion] = detector.score(make_batch([2], NAME))[0][0].heatmap
    np.testing.assert_allclose(maps["sum"], 2 * maps["mean"], rtol=1e-6)
    assert make_detector(fusion="sum").heatmap_range == (0.0, 2.0)
    assert make_detector().heatmap_range == (0.0, 1.0)


def test_visual_variant_listens_to_references_alone(make_detector: Any, make_batch: Any) -> None:
    paper, visual = make_detector(), make_detector(variant="visual")
    for detector in (paper, visual):
        detector.fit([make_batch([0])])
    one, other = (d.score(make_batch([2], NAME))[0][0] for d in (paper, visual))
    assert other.value == np.float32(one.details["reference_score"])
    assert other.value == other.heatmap.max()
    # The paper's map is the mean of the text map and this one.
    assert not np.array_equal(one.heatmap, other.heatmap)
    method = other.details["method"]
    assert method == "WinCLIP+ 1-shot (fusion=references, image_score=references)"
    assert visual.heatmap_range == (0.0, 0.1)


def test_visual_variant_is_the_paper_s_until_there_are_references(
    make_detector: Any, make_batch: Any
) -> None:
    one, other = (
        make_detector(variant=variant).score(make_batch([2], NAME))[0][0]
        for variant in ("paper", "visual")
    )
    assert one.value == other.value
    np.testing.assert_array_equal(one.heatmap, other.heatmap)
    assert other.details["method"] == "WinCLIP zero-shot"


def test_raw_patches_leave_the_class_token_out(
    golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    raw, normed = make_detector(), make_detector(patch_tokens="ln_post")
    assert raw.needs ^ normed.needs == {"hidden_4", "patch_tokens"}
    for detector in (raw, normed):
        detector.fit([make_batch([0, 1])])
    # hidden_4 of these features is patch_tokens behind a class token, so both must agree.
    one, other = (d.score(make_batch([3], NAME))[0][0] for d in (raw, normed))
    np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_needs() -> None:
    assert WinClip().needs == WinClip.needs
    zero_shot = WinClip(WinClipOptions(max_references=0, scales=(3,)))
    assert zero_shot.needs == {"cls_embed", "win3_embed"}


def test_method_says_what_ran(make_detector: Any, make_batch: Any) -> None:
    cases: dict[str, dict[str, Any]] = {
        "WinCLIP zero-shot": {},
        "WinCLIP zero-shot (templates=21)": {"variant": "anomalib"},
        "WinCLIP zero-shot (temperature=0.01, scales=2)": {"temperature": 0.01, "scales": (2,)},
        "WinCLIP zero-shot (scales=none)": {"scales": (), "max_references": 4},
    }
    for method, options in cases.items():
        details = make_detector(**options).score(make_batch([0], NAME))[0][0].details
        assert details["method"] == method
        assert details["object"] == NAME
        json.dumps(dict(details))
    detector = make_detector(variant="anomalib")
    detector.fit([make_batch([0, 1, 4, 5])])
    details = detector.score(make_batch([0], NAME))[0][0].details
    assert details["method"] == "WinCLIP+ 4-shot (templates=21, patch_tokens=ln_post)"


def test_options_that_contradict_themselves() -> None:
    for options in (
        {"normal_prompts": ("a",)},
        {"temperature": 0},
        {"temperature": float("inf")},
        {"scales": (4,)},
        {"scales": (), "image_score": "map_max"},
        {"nonsense": 1},
    ):
        with pytest.raises(ValidationError):
            WinClipOptions(**options)
    assert WinClipOptions(scales=(3, 2, 3)).scales == (2, 3)
    assert WinClipOptions(variant="anomalib", templates=22).templates == 22
    dumped = WinClipOptions(variant="anomalib").model_dump(mode="json")
    assert WinClipOptions(**dumped) == WinClipOptions(variant="anomalib")


def test_every_option_is_documented() -> None:
    assert all(field.description for field in WinClipOptions.model_fields.values())


def test_object_name_falls_back(make_context: Any, make_batch: Any) -> None:
    asked: list[str] = []

    def encode(prompts: Any) -> Any:
        asked.extend(prompts)
        return np.random.default_rng(len(prompts)).standard_normal((len(prompts), 64))

    detector = WinClip()
    detector.prepare(make_context(encode_text=encode))
    assert detector.score(make_batch([0]))[0][0].details["object"] == "object"
    assert "a photo of a damaged object." in asked


def test_window_larger_than_the_grid_is_refused(make_context: Any) -> None:
    with pytest.raises(UsageError, match="3x3 window does not fit the 2x8 patches of bundle tiny"):
        WinClip().prepare(make_context(grid=(2, 8)))
    WinClip(WinClipOptions(scales=(2,))).prepare(make_context(grid=(2, 8)))


def test_equal_windows_are_an_error_not_a_flat_map(
    golden_features: Any, make_detector: Any, make_batch: Any
) -> None:
    broken = {**golden_features, "win3_embed": golden_features["win3_embed"][:, :1].repeat(16, 1)}
    with pytest.raises(DetectorError, match="one embedding for all 3x3 windows: export it again"):
        make_detector().score(make_batch([0], NAME, features=broken))


def test_threads_share_one_detector(make_detector: Any, make_batch: Any) -> None:
    detector = make_detector()
    names = [NAME, "carpet"] * 8
    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(lambda name: detector.score(make_batch([3], name))[0][0], names))
    for name, score in zip(names, scores, strict=True):
        assert same(score, make_detector().score(make_batch([3], name))[0][0])


def test_it_registers_itself() -> None:
    import clipvet.plugins.winclip as plugin

    registered: list[type] = []
    plugin.clipvet_register_detectors(registered.append)
    assert registered == [WinClip]
    assert plugin.__all__ == sorted(plugin.__all__)
