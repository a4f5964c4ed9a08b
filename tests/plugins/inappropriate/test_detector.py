from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from clipvet.detectors import Artefact, ArtefactMissing, Context, RecipeError, UsageError
from clipvet.plugins.inappropriate import Inappropriate, InappropriateOptions
from clipvet.plugins.inappropriate._prompts import CONCEPTS, PAIRS, concept_prompt
from tests.plugins.inappropriate.conftest import batch_of, text_tower, values

WIDTH = 64
RNG = np.random.default_rng(7)
PAIR = RNG.standard_normal((2, WIDTH)) + RNG.standard_normal(WIDTH)
EMBEDDINGS = RNG.standard_normal((9, WIDTH)) * 3
TUNED = PAIR + 0.1 * RNG.standard_normal((2, WIDTH))


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def softmax(logits: Any) -> Any:
    power = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


@pytest.fixture
def artefact(make_context: Any) -> Any:
    def make(pair: Any = TUNED, **facts: Any) -> Artefact:
        return Artefact(
            detector="inappropriate",
            bundle=make_context(PAIR).bundle,
            facts={"appropriate": 12, "inappropriate": 34} | facts,
            tensors={"vectors": np.asarray(pair, np.float32)},
        )

    return make


def test_pair_is_a_softmax_over_100_cosines(make_detector: Any) -> None:
    expected = softmax(100 * unit(EMBEDDINGS) @ unit(PAIR.astype(np.float32)).T)[:, 1]
    detector = make_detector(PAIR)
    np.testing.assert_allclose(values(detector, EMBEDDINGS), expected, atol=2e-6)
    method = detector.score(batch_of(EMBEDDINGS[:1]))[0][0].details["method"]
    assert method == "prompt-pair heuristic (not Q16), 1 pair"


@pytest.mark.parametrize("own", [False, True])
def test_ensemble_averages_the_log_odds_of_its_pairs(make_detector: Any, own: bool) -> None:
    pairs = (("a calm lake", "a burning house"), ("a", "b")) if own else PAIRS["ensemble"]
    options: dict[str, Any] = {"prompts": "ensemble"}
    if own:
        options = dict(
            zip(("appropriate_prompts", "inappropriate_prompts"), zip(*pairs, strict=True),
                strict=True)
        )  # fmt: skip
    encode = text_tower(PAIR)
    odds = [
        100 * unit(EMBEDDINGS) @ (unit(encode([bad])[0]) - unit(encode([good])[0]))
        for good, bad in pairs
    ]
    expected = 1 / (1 + np.exp(-np.mean(odds, axis=0)))
    detector = make_detector(PAIR, **options)
    np.testing.assert_allclose(values(detector, EMBEDDINGS), expected, atol=2e-6)
    method = detector.score(batch_of(EMBEDDINGS[:1]))[0][0].details["method"]
    count = "2 own pairs" if own else "7 pairs"
    assert method == f"prompt-pair heuristic (not Q16), {count}"


def test_the_fallback_warns_that_it_is_not_q16(
    make_context: Any, artefact: Any, tmp_path: Path
) -> None:
    said: list[str] = []
    context = make_context(PAIR)
    context = Context(bundle=context.bundle, encode_text=context.encode_text, warn=said.append)
    Inappropriate().prepare(context)
    assert len(said) == 1
    assert "not Q16" in said[0]
    artefact().save(tmp_path)
    detector = Inappropriate()
    detector.load(tmp_path)
    detector.prepare(context)
    assert len(said) == 1


def test_higher_is_worse_all_the_way(make_detector: Any) -> None:
    detector = make_detector(PAIR, vectors=TUNED)
    good, bad = unit(TUNED)
    path = np.array([good + t * (bad - good) for t in np.linspace(-2, 3, 40)])
    odds = [scores[0].details["log_odds"] for scores in detector.score(batch_of(path))]
    scores = values(detector, path)
    assert (np.diff(odds) > 0).all()
    assert (np.diff(scores) >= 0).all()
    assert scores[0] < 0.01
    assert scores[-1] > 0.99


def test_length_of_rows_and_embeddings_does_not_matter(make_detector: Any) -> None:
    scaled = TUNED * [[0.01], [300]]
    one = values(make_detector(PAIR, vectors=TUNED), EMBEDDINGS)
    other = values(make_detector(PAIR, vectors=scaled), EMBEDDINGS * 50)
    np.testing.assert_allclose(one, other, rtol=1e-5)
    by_dot = [
        values(make_detector(PAIR, vectors=rows, logits="dot"), EMBEDDINGS)
        for rows in (TUNED, scaled)
    ]
    assert np.abs(by_dot[0] - by_dot[1]).max() > 0.1


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1, 60000])
def test_finite_for_any_length_and_for_nothing(make_detector: Any, scale: float) -> None:
    embeddings = np.concatenate([EMBEDDINGS * scale, np.zeros((1, WIDTH)), unit(TUNED) * scale])
    with np.errstate(all="raise", under="ignore"):
        scores = values(make_detector(PAIR, vectors=TUNED), embeddings)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[len(EMBEDDINGS)] == 0.5


def test_half_precision_embeddings_move_little(make_detector: Any) -> None:
    detector = make_detector(PAIR, vectors=TUNED)
    full, half = (
        [s[0].details["log_odds"] for s in detector.score(batch_of(rows))]
        for rows in (EMBEDDINGS, EMBEDDINGS.astype(np.float16))
    )
    np.testing.assert_allclose(full, half, atol=0.05)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_batch_equals_single_bit_for_bit(make_detector: Any, count: int) -> None:
    detector = make_detector(PAIR, vectors=TUNED)
    order = RNG.permutation(9)[:count]
    together = values(detector, EMBEDDINGS[order])
    assert together.tolist() == [values(detector, EMBEDDINGS[i : i + 1])[0] for i in order]


def test_method_of_each_origin(
    make_detector: Any, released: Any, prompts: Any, tmp_path: Path
) -> None:
    def method(detector: Inappropriate) -> Any:
        width = len(detector.rule_.weights)
        details = detector.score(batch_of(np.ones((1, width))))[0][0].details
        return details["method"], details.get("vectors_sha256")

    official, own = tmp_path / "prompts.p", tmp_path / "own.npy"
    official.write_bytes(released["vit_b_32"])
    np.save(own, TUNED)
    name, digest = method(make_detector(prompts["vit_b_32"], vectors=official))
    assert name == "Q16 (released vectors, ViT-B/32)"
    assert digest.startswith("53cfd214d311")
    name, digest = method(make_detector(PAIR, vectors=own, logits="dot"))
    assert name == "Q16 rule, vectors of own.npy, logits=dot"
    assert len(digest) == 64
    name, _ = method(make_detector(prompts["vit_b_32"], vectors=official, resize="squash"))
    assert name == "Q16 (released vectors, ViT-B/32), resize=squash"
    name, digest = method(make_detector(PAIR, vectors=TUNED, resize="squash"))
    assert name == "Q16 re-trained (12 appropriate, 34 inappropriate images)"
    assert digest is None


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sha256": "b" * 64}, "was learned on bundle clip-of-the-test"),
        ({"preprocessing_sha256": "d" * 64}, "with another preprocessing"),
    ],
)
def test_foreign_artefacts(
    make_context: Any, artefact: Any, tmp_path: Path, facts: Any, message: str
) -> None:
    artefact().save(tmp_path)
    detector = Inappropriate()
    detector.load(tmp_path)
    with pytest.raises(RecipeError, match=message):
        detector.prepare(make_context(PAIR, **facts))


@pytest.mark.parametrize(
    "change",
    [
        {"pair": TUNED[:, :-1]},
        {"pair": TUNED[:1]},
        {"pair": np.full((2, WIDTH), np.nan)},
        {"appropriate": "many"},
        {"inappropriate": None},
        {"imported": "x.npy"},
    ],
)
def test_unsound_artefacts(make_context: Any, artefact: Any, tmp_path: Path, change: Any) -> None:
    artefact(**change).save(tmp_path)
    detector = Inappropriate()
    detector.load(tmp_path)
    with pytest.raises(RecipeError, match="train or import it again"):
        detector.prepare(make_context(PAIR))


def test_damaged_and_missing_artefacts(artefact: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissing):
        Inappropriate().load(tmp_path)
    artefact().save(tmp_path)
    tensors = tmp_path / "artefact.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-9])
    with pytest.raises(RecipeError, match="damaged"):
        Inappropriate().load(tmp_path)


def test_a_closed_vocabulary_has_no_fallback(
    make_context: Any, artefact: Any, tmp_path: Path
) -> None:
    context = make_context(PAIR, vocabulary="closed")
    with pytest.raises(ArtefactMissing, match="closed vocabulary of bundle clip-of-the-test"):
        Inappropriate().prepare(context)
    own = InappropriateOptions(appropriate_prompts=("good",), inappropriate_prompts=("bad",))
    by_prompts, by_vectors = Inappropriate(own), Inappropriate()
    artefact().save(tmp_path)
    by_vectors.load(tmp_path)
    for detector in (by_prompts, by_vectors):
        detector.prepare(context)
        details = detector.score(batch_of(EMBEDDINGS[:1]))[0][0].details
        assert "nearest_concept" not in details


def test_prompts_that_mean_the_same(make_context: Any) -> None:
    context = make_context(PAIR)
    blind = Context(
        bundle=context.bundle, encode_text=lambda texts: np.ones((len(texts), WIDTH), np.float32)
    )
    own = InappropriateOptions(appropriate_prompts=("x",), inappropriate_prompts=("y",))
    with pytest.raises(UsageError, match="'x' and 'y' are the same prompt"):
        Inappropriate(own).prepare(blind)


@pytest.mark.parametrize("given", [None, ("a knife", "a flower")])
def test_concepts_name_the_nearest_and_leave_the_score_alone(
    make_detector: Any, given: Any
) -> None:
    detector = make_detector(PAIR, vectors=TUNED, concepts=given)
    encode = text_tower(PAIR)
    for name in given or CONCEPTS:
        near = encode([concept_prompt(name)]) + 0.05
        (scores,) = detector.score(batch_of(near))
        assert scores[0].details["nearest_concept"] == name
        without = make_detector(PAIR, vectors=TUNED, concepts=())
        (plain,) = without.score(batch_of(near))
        assert plain[0].value == scores[0].value
        assert "nearest_concept" not in plain[0].details


def test_options() -> None:
    with pytest.raises(ValidationError, match="pairs"):
        InappropriateOptions(appropriate_prompts=("x",))
    with pytest.raises(ValidationError):
        InappropriateOptions(logits="sigmoid")  # type: ignore[arg-type]


def test_help_says_what_it_is_not() -> None:
    summary = (Inappropriate.__doc__ or "").splitlines()[0]
    assert "not a nudity, legality or child-safety filter" in summary
    assert "unflagged is not approval" in summary
