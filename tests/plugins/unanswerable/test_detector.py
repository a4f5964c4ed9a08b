from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from clipvet.detectors import ArtefactMissing, DetectorError, Query, QueryMissing, RecipeError
from clipvet.plugins.unanswerable import Unanswerable
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, KINDS
from tests.plugins.unanswerable.conftest import (
    WIDTH,
    asked,
    batch_of,
    context,
    edited,
    picture,
    rows_about,
)

RNG = np.random.default_rng(5)
EMBEDDINGS = RNG.standard_normal((7, WIDTH)) * 3
QUERIES = [
    asked("what colour is the car", "red", "blue", "green"),
    asked("what colour is the dog", "car", "cup"),
    asked("what colour is the tree"),
]


def values(detector: Unanswerable, embeddings: Any, queries: Sequence[Query]) -> Any:
    batch = batch_of(embeddings, [list(queries)] * len(embeddings))
    return np.array([[score.value for score in of_view] for of_view in detector.score(batch)])


@pytest.mark.parametrize(("head", "least"), [("pooled", 0.8), ("projection", 0.65)])
def test_it_tells_unanswerable_questions_about_other_pictures(
    make_detector: Any, head: str, least: float
) -> None:
    detector = make_detector(head)
    pairs = rows_about(80, seed=9)
    scores = [
        detector.score(
            batch_of([image], [[asked(row.question, *row.choices)]])
        )[0][0]
        for row, image in pairs
    ]  # fmt: skip
    bad = [row.kind != ANSWERABLE for row, _ in pairs]
    assert roc_auc_score(bad, [score.value for score in scores]) > least
    named = [s.details["kind"] == r.kind for s, (r, _) in zip(scores, pairs, strict=True)]
    if head == "pooled":
        assert np.mean(np.array(named)[bad]) > 0.6


@pytest.mark.parametrize("head", ["pooled", "projection"])
def test_kinds_and_the_answerable_rest_are_one(make_detector: Any, head: str) -> None:
    (scores,) = make_detector(head).score(batch_of(EMBEDDINGS[:1], [QUERIES]))
    for score in scores:
        assert score.value == pytest.approx(sum(score.details["kinds"].values()))
        assert score.details["kind"] in score.details["kinds"]
        assert 0 <= score.value <= 1
        assert "no VLM (trained on 1000 questions about 250 images)" in score.details["method"]
    assert tuple(scores[0].details["kinds"]) == KINDS
    assert "open question" in scores[2].details["method"]
    assert set(scores[2].details["kinds"]) == {"incompatible_question"}
    assert set(scores[2].details["blind"]) == {"question_only"}


def test_methods_have_names_of_their_own(make_detector: Any) -> None:
    methods = {
        make_detector(head).score(batch_of(EMBEDDINGS[:1], [QUERIES[:1]]))[0][0].details["method"]
        for head in ("pooled", "projection", "zero-training")
    }
    assert len(methods) == 3


@pytest.mark.parametrize("head", ["pooled", "projection"])
def test_blind_baselines_are_blind(make_detector: Any, head: str) -> None:
    detector = make_detector(head)
    batch = batch_of(EMBEDDINGS, [QUERIES] * 7)
    scored = detector.score(batch)
    for place in range(len(QUERIES)):
        blind = [of_view[place].details["blind"] for of_view in scored]
        assert all(one == blind[0] for one in blind)
        assert len({of_view[place].value for of_view in scored}) == 7
    first, second = scored[0][0].details["blind"], scored[0][1].details["blind"]
    assert set(first) == {"question_only", "option_count", "question_and_choices"}
    assert all(first[name] != second[name] for name in ("question_only", "question_and_choices"))


def test_blind_baselines_see_what_they_should(make_detector: Any) -> None:
    detector = make_detector()

    def blind(query: Query) -> Any:
        return detector.score(batch_of(EMBEDDINGS[:1], [[query]]))[0][0].details["blind"]

    one = blind(asked("what colour is the car", "red", "blue"))
    other = blind(asked("what colour is the car", "cup", "dog"))
    longer = blind(asked("what colour is the car", "red", "blue", "green"))
    assert one["question_only"] == other["question_only"] == longer["question_only"]
    assert one["option_count"] == other["option_count"]
    # That colours are asked for, and things offered, shows without the picture.
    assert other["question_and_choices"] > longer["question_and_choices"] + 0.3


def test_the_option_count_is_balanced_in_the_training_data(make_detector: Any) -> None:
    details = make_detector().score(batch_of(EMBEDDINGS[:1], [QUERIES]))[0][0].details
    assert details["blind"]["option_count"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("head", ["pooled", "projection", "zero-training"])
def test_batch_equals_single_in_any_order(make_detector: Any, head: str) -> None:
    detector = make_detector(head)
    order = RNG.permutation(7)
    together = values(detector, EMBEDDINGS[order], QUERIES)
    for place, index in enumerate(order):
        alone = values(detector, EMBEDDINGS[index : index + 1], QUERIES)
        assert alone[0].tolist() == together[place].tolist()
        for query, value in zip(QUERIES, together[place], strict=True):
            assert values(detector, EMBEDDINGS[index : index + 1], [query])[0, 0] == value


def test_queries_of_each_view_are_its_own(make_detector: Any) -> None:
    detector = make_detector()
    scored = detector.score(batch_of(EMBEDDINGS[:3], [QUERIES[:2], [], QUERIES[2:]]))
    assert [len(of_view) for of_view in scored] == [2, 0, 1]
    assert scored[2][0].value == values(detector, EMBEDDINGS[2:3], QUERIES)[0, 2]


def test_the_order_of_choices_does_not_matter_to_the_pooled_head(make_detector: Any) -> None:
    detector = make_detector()
    one, turned = (
        asked("what colour is the car", *choices)
        for choices in (("red", "blue", "green"), ("green", "red", "blue"))
    )
    both = values(detector, EMBEDDINGS, [one, turned])
    np.testing.assert_allclose(both[:, 0], both[:, 1], rtol=1e-9)


def test_best_choice_and_margin(make_detector: Any) -> None:
    query = asked("what colour is the car", "blue", "red", "green")
    (score,) = make_detector().score(batch_of([picture("car", "red")], [[query]]))[0]
    assert score.details["best_choice"] == "red"
    assert score.details["margin"] > 0
    (score,) = make_detector().score(batch_of(EMBEDDINGS[:1], [[asked("what", "a")]]))[0]
    assert score.details["best_choice"] == "a"
    assert "margin" not in score.details


@pytest.mark.parametrize("head", ["pooled", "projection", "zero-training"])
@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1, 60000])
def test_finite_for_any_length_and_for_nothing(make_detector: Any, head: str, scale: float) -> None:
    detector = make_detector(head)
    found = values(detector, [*(EMBEDDINGS * scale), np.zeros(WIDTH)], QUERIES)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found[:7], values(detector, EMBEDDINGS, QUERIES), atol=1e-5)


def test_half_precision_embeddings_move_little(make_detector: Any) -> None:
    detector = make_detector()
    half = values(detector, EMBEDDINGS.astype(np.float16), QUERIES)
    np.testing.assert_allclose(half, values(detector, EMBEDDINGS, QUERIES), atol=0.02)


def test_more_choices_than_the_projection_takes(make_detector: Any) -> None:
    query = asked("what colour is the car", "red", "blue", "green", "black", "pink")
    with pytest.raises(DetectorError, match="takes 4 choices, this question has 5"):
        values(make_detector("projection"), EMBEDDINGS[:1], [query])
    assert 0 <= values(make_detector("pooled"), EMBEDDINGS[:1], [query])[0, 0] <= 1


def test_open_questions_need_what_they_were_trained_on(
    make_detector: Any, artefact: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load

    names = load((artefact / "artefact.safetensors").read_bytes())
    without = {n.replace(".", "__"): None for n in names if n.startswith("open.")}
    detector = make_detector("pooled", edited(artefact, tmp_path, **without))
    with pytest.raises(QueryMissing, match="the question has no choices"):
        values(detector, EMBEDDINGS[:1], QUERIES[2:])
    with pytest.raises(QueryMissing):
        values(detector, EMBEDDINGS[:1], [Query()])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sha256": "b" * 64}, "was learned on bundle clip-of-the-test"),
        ({"preprocessing_sha256": "d" * 64}, "with another preprocessing"),
    ],
)
def test_foreign_artefacts(artefact: Path, facts: Any, message: str) -> None:
    detector = Unanswerable()
    detector.load(artefact)
    with pytest.raises(RecipeError, match=message):
        detector.prepare(context(**facts))


@pytest.mark.parametrize(
    "changes",
    [
        {"pooled__hidden": None},
        {"pooled__hidden": np.zeros((32, 5), np.float32)},
        {"pooled__readout": np.zeros((3, 32), np.float32)},
        {"projection__weight": np.zeros((8, 4 * WIDTH - 1), np.float32)},
        {"projection__bias": np.full(8, np.nan, np.float32)},
        {"blind__image": np.zeros(WIDTH, np.float64)},
        {"blind__question__weight": np.zeros((1, WIDTH), np.float32)},
        {"blind__counts": np.zeros((2, 2), np.float32)},
        {"open__question__bias": None},
        {"open__readout": np.zeros((4, 8), np.float32)},
        {"kinds": None},
        {"kinds": ["answerable", "silly", "x", "y"]},
        {"kinds": 3},
        {"questions": "many"},
        {"images": None},
    ],
)
def test_unsound_artefacts(artefact: Path, tmp_path: Path, changes: Any) -> None:
    detector = Unanswerable()
    detector.load(edited(artefact, tmp_path, **changes))
    with pytest.raises(RecipeError, match=r"the artefact is damaged .* train it again"):
        detector.prepare(context())


def test_damaged_and_missing_artefacts(artefact: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissing):
        Unanswerable().load(tmp_path)
    for name in ("artefact.json", "artefact.safetensors"):
        (tmp_path / name).write_bytes((artefact / name).read_bytes())
    tensors = tmp_path / "artefact.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-9])
    with pytest.raises(RecipeError, match="damaged"):
        Unanswerable().load(tmp_path)


def test_saved_heads_score_as_those_in_memory(learned: Any, make_detector: Any) -> None:
    from clipvet.plugins.unanswerable._evaluation import scores_of
    from tests.plugins.unanswerable.conftest import samples

    detector = make_detector()
    for sample in samples(3, seed=4):
        query = asked(sample.row.question, *sample.row.choices)
        (score,) = detector.score(batch_of([sample.image], [[query]]))[0]
        assert score.value == pytest.approx(scores_of(learned, sample)["pooled"], abs=1e-4)
