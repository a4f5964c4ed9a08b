from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clipvet.plugins.unanswerable._evaluation import (
    evaluate,
    folds,
    named_rightly,
    scores_of,
    table_lines,
)
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, KINDS
from clipvet.plugins.unanswerable._learned import Learned
from clipvet.plugins.unanswerable._training import TrainConfig, _reordered, train_heads
from tests.plugins.unanswerable.conftest import bundle_info, samples

QUICK = TrainConfig(epochs=2, hidden=8, token_width=4)


def test_the_same_seed_gives_the_same_bits() -> None:
    own = samples(20)
    one, other, third = (
        train_heads(own, bundle_info(), replace(QUICK, seed=seed)) for seed in (1, 1, 2)
    )
    for name, values in one.pooled.tensors("x").items():
        np.testing.assert_array_equal(values, other.pooled.tensors("x")[name])
    np.testing.assert_array_equal(one.projection.weight, other.projection.weight)
    assert np.abs(one.pooled.hidden - third.pooled.hidden).max() > 0


def test_kinds_are_those_of_the_data() -> None:
    own = [s for s in samples(20) if s.row.kind in {ANSWERABLE, "absent_answer"}]
    learned = train_heads(own, bundle_info(), QUICK)
    assert learned.kinds == (ANSWERABLE, "absent_answer")
    assert learned.open is None
    scores = scores_of(learned, own[0])
    assert set(scores) >= {"pooled", "projection", "blind: question_and_choices"}


def test_choices_move_as_wholes_and_padding_stays() -> None:
    vectors = np.arange(2 * 4 * 3, dtype=float).reshape(2, 4, 3)
    vectors[0, 2:], vectors[1, 3:] = -1, -1  # the empty text, wherever it stands
    seen = set()
    for seed in range(40):
        flat = _reordered(vectors.reshape(2, 12), np.array([2, 3]), np.random.default_rng(seed))
        moved = flat.reshape(2, 4, 3)
        assert (moved[0, 2:] == -1).all()
        assert (moved[1, 3:] == -1).all()
        for row, count in ((0, 2), (1, 3)):
            order = moved[row, :count, 0].argsort()
            np.testing.assert_array_equal(moved[row, order], vectors[row, :count])
        seen.add(tuple(moved[1, :3, 0]))
    assert len(seen) == 6


def test_folds_keep_the_questions_of_an_image_together() -> None:
    own = samples(23)
    parts = folds(own, 5, seed=0)
    assert sorted(i for part in parts for i in part) == list(range(len(own)))
    names = [{own[i].row.image for i in part} for part in parts]
    assert sum(map(len, names)) == 23
    assert min(map(len, names)) >= 4


def test_evaluation_by_hand() -> None:
    own = samples(2)
    by_kind: dict[str, float] = {ANSWERABLE: 0.2, KINDS[0]: 0.1, KINDS[1]: 0.9, KINDS[2]: 0.2}
    table = evaluate(own, [{"x": by_kind[str(s.row.kind)]} for s in own])
    assert table == {"x": {KINDS[0]: 0.0, KINDS[1]: 1.0, KINDS[2]: 0.5, "all": 0.5}}
    only = [s for s in own if s.row.kind != KINDS[1]]
    table = evaluate(only, [{"x": 0.0} if s.row.kind != KINDS[0] else {} for s in only])
    assert table == {"x": {KINDS[2]: 0.5, "all": 0.5}}
    assert len(table_lines(table)) == 2


def test_what_can_be_learned_is_learned_and_how_blindly_is_told(learned: Learned) -> None:
    own = samples(120, seed=8)
    table = evaluate(own, [scores_of(learned, s) for s in own])
    assert table["pooled"]["all"] > 0.8
    assert table["pooled"]["incompatible_question"] > 0.8
    # Whether things are offered where a colour is asked for shows in the words alone ...
    assert table["blind: question_and_choices"]["incompatible_answers"] > 0.95
    # ... and what is in the picture does not.
    for name in ("question_only", "option_count", "question_and_choices"):
        assert table[f"blind: {name}"]["incompatible_question"] == pytest.approx(0.5, abs=0.1)
    named = named_rightly(learned, own)
    assert named is not None
    assert named > 0.6
    assert named_rightly(learned, [s for s in own if s.row.kind == ANSWERABLE]) is None
