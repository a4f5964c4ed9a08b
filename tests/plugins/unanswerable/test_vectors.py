"""Formulas against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from clipvet.plugins.unanswerable._vectors import (
    Texts,
    correlation,
    encode,
    padded,
    pooled,
    pooled_width,
    prompts,
    similarities,
)

IMAGE = np.array([0.6, 0.8])
TEXTS = Texts(
    question=np.array([1.0, 0.0]),
    options=np.array([[0.8, 0.6], [0.0, 1.0]]),
    answers=np.array([[0.0, -1.0], [-1.0, 0.0]]),
    empty=np.array([0.0, 1.0]),
)


def test_the_texts_are_question_space_choice_without_letters() -> None:
    assert prompts("what colour?", ("red", "dark blue")) == [
        "",
        "what colour?",
        "what colour? red",
        "what colour? dark blue",
        "red",
        "dark blue",
    ]


def test_encode_brings_each_text_to_its_place_and_to_unit_length() -> None:
    rows = {t: [3.0 * i, 4.0 * i] for i, t in enumerate(["", "q", "q a", "q b", "a", "b"], 1)}
    rows["q b"] = [0.0, 2.0]
    texts = encode("q", ("a", "b"), lambda given: np.array([rows[t] for t in given], np.float32))
    np.testing.assert_allclose(texts.options, [[0.6, 0.8], [0.0, 1.0]])
    np.testing.assert_allclose(texts.answers, [[0.6, 0.8]] * 2)
    assert texts.question.shape == texts.empty.shape == (2,)
    alone = encode("q", (), lambda given: np.array([rows[t] for t in given], np.float32))
    assert alone.options.shape == alone.answers.shape == (0, 2)


def test_correlation_is_the_product_and_sums_to_the_cosine() -> None:
    np.testing.assert_allclose(correlation(IMAGE, TEXTS.options), [[0.48, 0.48], [0.0, 0.8]])
    np.testing.assert_allclose(similarities(IMAGE, TEXTS.options), [0.96, 0.8])


def test_padding_is_the_empty_text_and_the_order_is_that_of_the_choices() -> None:
    np.testing.assert_allclose(padded(IMAGE, TEXTS, 4), [0.48, 0.48, 0.0, 0.8, 0.0, 0.8, 0.0, 0.8])
    np.testing.assert_allclose(padded(IMAGE, TEXTS, 2), [0.48, 0.48, 0.0, 0.8])
    np.testing.assert_allclose(padded(IMAGE, TEXTS, 1), [0.6, 0.0])  # the question alone
    five = Texts(TEXTS.question, np.tile(TEXTS.options[:1], (5, 1)), TEXTS.answers, TEXTS.empty)
    with pytest.raises(ValueError, match="5 choices do not fit 4 places"):
        padded(IMAGE, five, 4)


def test_pooling_of_two_choices() -> None:
    expected = [
        0.24, 0.64,  # mean of (0.48, 0.48) and (0, 0.8)
        0.48, 0.8,
        0.24, 0.16,
        0.96, 0.8, 0.8, 0.16,  # largest cosines, the smallest again, and the gap
        -0.7, -0.6, 0.1,  # image with the answers: -0.8 and -0.6
        -0.5, 0.0, 0.5,  # question with the answers: 0 and -1
        0.6,
    ]  # fmt: skip
    np.testing.assert_allclose(pooled(IMAGE, TEXTS), expected, atol=1e-12)
    assert len(expected) == pooled_width(2)


def test_pooling_does_not_see_the_order() -> None:
    turned = Texts(TEXTS.question, TEXTS.options[::-1], TEXTS.answers[::-1], TEXTS.empty)
    np.testing.assert_array_equal(pooled(IMAGE, TEXTS), pooled(IMAGE, turned))
    assert not np.array_equal(padded(IMAGE, TEXTS, 4), padded(IMAGE, turned, 4))


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_pooling_of_any_number(count: int) -> None:
    many = np.random.default_rng(count).standard_normal((count, 2))
    texts = Texts(TEXTS.question, many, many[::-1], TEXTS.empty)
    values = pooled(IMAGE, texts)
    assert values.shape == (17,)
    assert np.isfinite(values).all()
    cosines = np.sort(many @ IMAGE)[::-1]
    np.testing.assert_allclose(values[6], cosines[0])
    np.testing.assert_allclose(values[9], cosines[0] - cosines[min(1, count - 1)], atol=1e-12)
