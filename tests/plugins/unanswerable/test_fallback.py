from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Artefact, RecipeError, UsageError
from clipvet.plugins.unanswerable import Unanswerable, UnanswerableOptions
from clipvet.plugins.unanswerable._fallback import (
    STOCK_CHOICES,
    STOCK_QUESTIONS,
    Fallback,
    ImageBank,
    p_value,
)
from clipvet.plugins.unanswerable._vectors import encode
from tests.plugins.unanswerable.conftest import (
    WIDTH,
    asked,
    batch_of,
    bundle_info,
    context,
    encode_text,
    picture,
    unit,
)

QUESTION = "what colour is the car?"
CHOICES = ("red", "blue", "green")


def bank_of(count: int = 400, seed: int = 3) -> tuple[ImageBank, Any]:
    images = unit(np.random.default_rng(seed).standard_normal((count, WIDTH)) + 0.4)
    return ImageBank(images.mean(axis=0), np.cov(images, rowvar=False, ddof=0), count), images


def test_p_value_of_the_largest_z() -> None:
    assert p_value(np.array([0.0, -3.0])) == 0.5
    assert p_value(np.array([1.6448536])) == pytest.approx(0.05)
    assert p_value(np.array([-1.6448536])) == pytest.approx(0.95)


def test_bank_standardises_by_the_cosines_of_its_images() -> None:
    bank, images = bank_of()
    texts = encode(QUESTION, CHOICES, encode_text)
    image = unit(picture("car", "red"))
    cosines = images @ texts.options.T
    expected = (texts.options @ image - cosines.mean(axis=0)) / cosines.std(axis=0)
    np.testing.assert_allclose(bank.standing(image, texts.options), expected)
    found = Fallback(encode_text, bank).p_values(image, texts, np.empty((0, WIDTH)))
    tail = 0.5 * math.erfc(expected.max() / math.sqrt(2))
    assert found["absent_answer"] == pytest.approx(tail)


def test_without_a_bank_stock_texts_on_the_same_image_standardise() -> None:
    fallback = Fallback(encode_text)
    texts, image = encode(QUESTION, CHOICES, encode_text), unit(picture("car", "red"))
    found = fallback.p_values(image, texts, fallback.stock_options(QUESTION))
    stock = unit(encode_text(STOCK_QUESTIONS).astype(float)) @ image
    z = (texts.question @ image - stock.mean()) / stock.std()
    assert found["incompatible_question"] == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))
    answers = list(dict.fromkeys(c for choices in STOCK_CHOICES for c in choices))
    stock = unit(encode_text([f"{QUESTION} {a}" for a in answers]).astype(float)) @ image
    z = ((texts.options @ image).max() - stock.mean()) / stock.std()
    assert found["absent_answer"] == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))
    ours = (unit(encode_text(CHOICES).astype(float)) @ texts.question).mean()
    usual = [
        (unit(encode_text(choices).astype(float)) @ texts.question).mean()
        for choices in STOCK_CHOICES
    ]
    z = (ours - np.mean(usual)) / np.std(usual)
    assert found["incompatible_answers"] == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))


def test_scores_rise_as_the_picture_agrees_less(bank_folder: Any, make_detector: Any) -> None:
    detector = make_detector("zero-training", bank_folder())
    texts = encode(QUESTION, (), encode_text)
    other = np.random.default_rng(1).standard_normal(WIDTH)
    across = unit(other - (other @ texts.question) * texts.question)
    path = [np.cos(a) * texts.question + np.sin(a) * across for a in np.linspace(0, np.pi, 12)]
    scored = detector.score(batch_of(path, [[asked(QUESTION)]] * 12))
    assert (np.diff([of_view[0].value for of_view in scored]) > 0).all()


def test_it_says_what_it_is(make_detector: Any) -> None:
    detector = make_detector("zero-training")
    (scores,) = detector.score(
        batch_of([picture("car", "red")], [[asked(QUESTION, *CHOICES), asked(QUESTION)]])
    )
    for score in scores:
        assert score.details["method"] == (
            "zero-training p-values of cosines (not CLIP-UP), against stock texts"
        )
        assert score.value == max(score.details["kinds"].values())
        assert score.details["kinds"][score.details["kind"]] == score.value
        assert score.details["blind"]["question_only"] is None
    assert len(scores[0].details["kinds"]) == 3
    assert set(scores[1].details["kinds"]) == {"incompatible_question"}
    said: list[str] = []
    Unanswerable().prepare(context(said.append))
    assert len(said) == 1
    assert "has learned nothing for bundle clip-of-the-test" in said[0]
    asked_for = UnanswerableOptions(head="zero-training")
    Unanswerable(asked_for).prepare(context(said.append))
    assert len(said) == 1


def test_a_tower_to_which_all_texts_are_one() -> None:
    fallback = Fallback(lambda texts: np.ones((len(texts), WIDTH), np.float32))
    texts = encode(QUESTION, CHOICES, lambda texts: np.ones((len(texts), WIDTH), np.float32))
    found = fallback.p_values(unit(picture("car", "red")), texts, fallback.stock_options(QUESTION))
    assert set(found.values()) == {0.5}


@pytest.fixture
def bank_folder(tmp_path: Any) -> Any:
    bank, _ = bank_of()

    def write(**changes: Any) -> Any:
        tensors = {
            "mean": bank.mean.astype(np.float32),
            "covariance": bank.covariance.astype(np.float32),
        }
        facts = {"bank": changes.pop("bank", 400)}
        Artefact(
            detector="unanswerable", bundle=bundle_info(), facts=facts, tensors=tensors | changes
        ).save(tmp_path)
        return tmp_path

    return write


def test_bank_as_artefact(bank_folder: Any, make_detector: Any, artefact: Any) -> None:
    folder = bank_folder()
    detector = make_detector("zero-training", folder)
    details = detector.score(batch_of([picture("car", "red")], [[asked(QUESTION, *CHOICES)]]))
    assert details[0][0].details["method"].endswith("against a bank of 400 images")
    with pytest.raises(UsageError, match="is an image bank"):
        make_detector("pooled", folder)
    detector = Unanswerable(UnanswerableOptions(head="zero-training"))
    detector.load(artefact)
    with pytest.raises(UsageError, match="takes no trained artefact"):
        detector.prepare(context())


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(WIDTH - 1, np.float32)},
        {"covariance": np.full((WIDTH, WIDTH), np.nan, np.float32)},
        {"bank": "many"},
        {"bank": None},
    ],
)
def test_unsound_banks(bank_folder: Any, make_detector: Any, changes: Any) -> None:
    with pytest.raises(RecipeError, match="the image bank is damaged"):
        make_detector("zero-training", bank_folder(**changes))
