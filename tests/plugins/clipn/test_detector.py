from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from clipvet.detectors import Context, Query, UsageError, unit_rows
from clipvet.plugins.clipn import Clipn, ClipnOptions
from clipvet.plugins.clipn._heads import class_vectors, negated
from clipvet.plugins.clipn._scores import agree_to_differ, compete_to_win, negative_mass

CLASSES = [str(row) for row in range(12)]
METHODS = ("atd", "ctw", "mcm", "gl_mcm", "neglabel")


def hashed(texts: Sequence[str]) -> Any:
    rows = [np.random.default_rng(list(text.encode())).standard_normal(64) for text in texts]
    return np.array(rows, dtype=np.float32)


def test_sign_of_every_score() -> None:
    """What fits a class better, or its negation worse, scores lower."""
    yes, no = np.array([30.0, 20.0, 10.0]), np.array([25.0, 25.0, 25.0])
    for score in (compete_to_win, agree_to_differ):
        values = [score(yes, no + shift) for shift in (-40.0, -5.0, 0.0, 5.0, 40.0)]
        assert values == sorted(values)
        assert 0 <= values[0] < 1e-6
        assert 1 - 1e-6 < values[-1] <= 1
    groups = [np.array([28.0, 10.0]), np.array([31.0])]
    values = [negative_mass(yes + shift, groups) for shift in (40.0, 5.0, 0.0, -5.0, -40.0)]
    assert values == sorted(values)
    assert 0 <= values[0] < 1e-6


def test_a_picture_of_a_class_scores_lower(make_detector: Any, make_batch: Any) -> None:
    rng = np.random.default_rng(0)
    known = hashed(["a photo of a 3"])[0]
    foreign = rng.standard_normal(64).astype(np.float32)
    pictures = np.stack([known, foreign])
    features = {"cls_embed": pictures, "local_embed": np.stack([pictures] * 4, axis=1)}
    for method in METHODS:
        detector = make_detector(hashed, method=method, templates=("a photo of a {}",))
        detector.no_tower_.encode_text = lambda texts: -hashed(texts)
        good, bad = (s[0].value for s in detector.score(make_batch(features, CLASSES)))
        assert good < bad, method


def test_neglabel_by_its_plain_formula(make_detector: Any, make_batch: Any, golden: Any) -> None:
    """Softmax mass of the classes, group by group, in loops."""
    images = golden["image_features"][:5]
    detector = make_detector(hashed, method="neglabel", templates=("the nice {}",))
    results = detector.score(make_batch({"cls_embed": images}, CLASSES))
    mined = detector.heads_(tuple(CLASSES)).negatives
    assert mined.groups > 1
    assert len(mined.vectors) % mined.groups == 0
    classes = unit_rows(hashed([f"the nice {name}" for name in CLASSES]))
    for image, scores in zip(unit_rows(images), results, strict=True):
        known = np.exp(100 * classes @ image).sum()
        masses = [
            known / (known + np.exp(100 * group @ image).sum())
            for group in mined.vectors.reshape(mined.groups, -1, 64)
        ]
        assert scores[0].value == pytest.approx(1 - np.mean(masses), abs=1e-6)
    method = results[0][0].details["method"]
    assert method.startswith(f"NegLabel ({len(mined.vectors)} of {mined.words} built-in words")


def test_negatives_are_far_from_the_classes_and_name_none(
    make_detector: Any, tmp_path: Any
) -> None:
    nouns = [f"thing{i}" for i in range(400)] + ["nut", "Metal-Nuts", "bolts"]
    (tmp_path / "nouns.txt").write_text("\n".join([*nouns, "thing1", ""]))
    detector = make_detector(
        hashed, method="neglabel", nouns=str(tmp_path / "nouns.txt"), negative_share=0.5, groups=7
    )
    classes = ("metal nut", "bolt")
    mined = detector.heads_(classes).negatives
    assert mined.words == 400
    assert mined.groups == 7
    assert len(mined.vectors) == 196  # 200, less what does not fill the groups
    units, words = unit_rows(hashed(classes)), unit_rows(hashed(nouns[:400]))
    nearness = np.quantile(words @ units.T, 0.95, axis=1)
    chosen = np.argsort(nearness)[:196]
    np.testing.assert_allclose(
        np.sort(mined.vectors, axis=0), np.sort(words[chosen], axis=0), atol=1e-12
    )


def test_lists_of_words_that_do_not_serve(make_detector: Any, tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"absent\.txt cannot be read as a list of words"):
        make_detector(hashed, method="neglabel", nouns=str(tmp_path / "absent.txt"))
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(UsageError, match=r"empty\.txt holds no word"):
        make_detector(hashed, method="neglabel", nouns=str(tmp_path / "empty.txt"))
    (tmp_path / "own.txt").write_text("bolts\n")
    detector = make_detector(hashed, method="neglabel", nouns=str(tmp_path / "own.txt"))
    with pytest.raises(UsageError, match="no word is left as a negative"):
        detector.heads_(("bolt",))


def test_class_vectors_average_unit_embeddings() -> None:
    templates = ("a {}", "the {}", "{}")
    got = class_vectors(["x", "y"], templates, hashed)
    for row, name in zip(got, "xy", strict=True):
        mean = unit_rows(hashed([t.replace("{}", name) for t in templates])).mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-12)


def test_many_classes_are_encoded_in_parts(monkeypatch: Any) -> None:
    names = [f"class {i}" for i in range(30)]
    whole = class_vectors(names, ("a {}", "the {}"), hashed)
    monkeypatch.setattr("clipvet.plugins.clipn._heads._PROMPTS_AT_ONCE", 8)
    calls = []

    def encode(texts: Sequence[str]) -> Any:
        calls.append(len(texts))
        return hashed(texts)

    np.testing.assert_array_equal(class_vectors(names, ("a {}", "the {}"), encode), whole)
    assert max(calls) == 8


def test_templates_that_say_no() -> None:
    assert negated("a photo of a {}.") == "a photo of no {}."
    assert negated("a photo of the {} on a table") == "a photo of no {} on a table"
    assert negated("{}") == "no {}"
    assert negated("a bad {} photo") == "a bad no {} photo"


def test_which_prompts_reach_the_no_tower(make_detector: Any) -> None:
    seen: list[str] = []

    def encode(texts: Sequence[str]) -> Any:
        seen.extend(texts)
        return hashed(texts)

    for kind, own, expected in (
        ("learned", (), "a photo of a bolt"),
        ("hand-crafted", (), "a photo of no bolt"),
        ("hand-crafted", ("no trace of a {}",), "no trace of a bolt"),
    ):
        detector = make_detector(hashed, templates=("a photo of a {}",), no_templates=own)
        detector.no_tower_.encode_text = encode
        detector.no_tower_.prompt_kind = kind
        seen.clear()
        detector.heads_(("bolt", "nut"))
        assert seen[0] == expected


def test_one_class(make_detector: Any, make_batch: Any, golden: Any) -> None:
    batch = make_batch({"cls_embed": golden["image_features"]}, ["0", "0"])
    for method in ("mcm", "gl_mcm"):
        with pytest.raises(UsageError, match=r"'0' is the only one: give two at least"):
            make_detector(method=method).score(batch)
    ctw, atd = (
        [s[0].value for s in make_detector(method=method).score(batch)] for method in ("ctw", "atd")
    )
    assert ctw == atd  # all the softmax mass is on the one class
    assert np.ptp(ctw) > 0.1


def test_a_class_that_is_named_twice_counts_once(
    make_detector: Any, make_batch: Any, golden: Any
) -> None:
    features = {"cls_embed": golden["image_features"]}
    detector = make_detector(method="mcm")
    once = detector.score(make_batch(features, ["0", "1"]))
    twice = detector.score(make_batch(features, ["0", "1", "0"]))
    assert once == twice
    assert once[0][0].details["classes"] == 2


def test_classes_that_the_bundle_cannot_tell_apart(make_detector: Any) -> None:
    def unknown(texts: Sequence[str]) -> Any:
        return np.ones((len(texts), 64), np.float32)

    with pytest.raises(UsageError, match="gives all 2 classes one and the same vector"):
        make_detector(unknown, method="mcm").heads_(("zebra", "giraffe"))


def test_each_query_has_its_own_classes(make_detector: Any, make_batch: Any, golden: Any) -> None:
    batch = make_batch({"cls_embed": golden["image_features"][:1]}, CLASSES)
    first, second = Query(classes=("0", "1")), Query(classes=("2", "3", "4"))
    detector = make_detector(method="mcm")
    ((one, two),) = detector.score(replace(batch, queries=[[first, second]]))
    assert (one.details["classes"], two.details["classes"]) == (2, 3)
    assert one.value != two.value


def test_finite_in_half_precision_and_on_nothing(make_detector: Any, make_batch: Any) -> None:
    rng = np.random.default_rng(0)
    small = rng.standard_normal((3, 64)).astype(np.float16).astype(np.float32) * 1e-4
    large = rng.standard_normal((3, 64)).astype(np.float32) * 6e4
    pictures = np.concatenate([small, large, np.zeros((1, 64), np.float32)])
    features = {"cls_embed": pictures, "local_embed": np.stack([pictures] * 3, axis=1)}
    for method in METHODS:
        results = make_detector(hashed, method=method).score(make_batch(features, CLASSES))
        assert all(np.isfinite(scores[0].value) for scores in results)
        longer = make_batch({k: v * np.float32(8) for k, v in features.items()}, CLASSES)
        again = make_detector(hashed, method=method).score(longer)
        for scores, scaled in zip(results, again, strict=True):
            assert scores[0].value == pytest.approx(scaled[0].value, abs=1e-6)


def test_a_thousand_classes_do_not_blur_mcm(make_detector: Any, make_batch: Any) -> None:
    """Scores lie between 1.0e-3 and 1.1e-3: half precision would have few values there."""
    rng = np.random.default_rng(0)
    names = [f"class {i}" for i in range(1000)]
    pictures = rng.standard_normal((50, 64)).astype(np.float32)
    results = make_detector(hashed, method="mcm").score(make_batch({"cls_embed": pictures}, names))
    values = [scores[0].value for scores in results]
    assert len(set(values)) == 50
    assert -0.002 < min(values) < max(values) < -0.001


def test_needs_follow_the_method() -> None:
    assert Clipn().needs == {"cls_embed"}
    assert Clipn(ClipnOptions(method="gl_mcm")).needs == {"cls_embed", "local_embed"}


def test_logit_scale_is_the_bundles_unless_it_is_given(info: Any, make_detector: Any) -> None:
    assert make_detector(hashed).scale_ == 100
    assert make_detector(hashed, logit_scale=20).scale_ == 20
    detector = Clipn(ClipnOptions(method="neglabel"))
    detector.prepare(Context(bundle=replace(info, logit_scale=14.8), encode_text=hashed))
    assert detector.scale_ == 14.8


def test_a_closed_vocabulary_gets_words_it_knows(info: Any) -> None:
    from clipvet.detectors import Host
    from clipvet.detectors.clip import Runtime, find_bundle

    mini = find_bundle(None, Host.load().bundles)
    with Runtime(mini, needs=(), device="cpu") as runtime:
        asked: list[str] = []

        def encode(texts: Sequence[str]) -> Any:
            asked.extend(texts)
            return runtime.encode_text(texts)

        detector = Clipn(ClipnOptions(method="neglabel"))
        detector.prepare(Context(bundle=runtime.info, encode_text=encode))
        mined = detector.heads_(("bolt", "nut")).negatives
        assert mined is not None
        assert mined.words > 150
        assert [text for text in asked if runtime.unknown_words(text)] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mcm", "logit_scale": 3}, "logit_scale belongs to method atd or ctw or"),
        ({"local_weight": 0.5}, "local_weight belongs to method gl_mcm"),
        ({"method": "ctw", "temperature": 2}, "temperature belongs to method gl_mcm or mcm"),
        ({"templates": ["a photo"]}, "has no {} for the name of the class"),
        ({"method": "neglabel", "adjectives": "a.txt"}, "give nouns as well"),
        ({"method": "maxlogit"}, "Input should be"),
    ],
)
def test_options_that_do_not_fit(options: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClipnOptions.model_validate(options)


def test_method_names_what_ran(make_detector: Any, make_batch: Any, golden: Any) -> None:
    batch = make_batch({"cls_embed": golden["image_features"][:1]}, CLASSES)

    def method(**options: Any) -> str:
        return str(make_detector(**options).score(batch)[0][0].details["method"])

    assert method() == "CLIPN-ATD (golden no-tower, templates=own(1))"
    assert method(method="ctw", logit_scale=50) == (
        "CLIPN-CTW (golden no-tower, templates=own(1), logit_scale=50.0)"
    )
    assert method(method="mcm", temperature=0.5) == "MCM (templates=own(1), temperature=0.5)"
