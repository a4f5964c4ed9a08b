"""Pictures for the text side: shapes and pictograms, equal for equal seeds, on two sides."""

from __future__ import annotations

import numpy as np
import pytest

from training import fonts
from training.layouts import make_layout
from training.layouts.outlines import OUTLINES
from training.seeds import SEEDS


def test_equal_seeds_give_equal_bytes_and_facts() -> None:
    for seed in range(12):
        (one, facts), (other, same) = make_layout(seed, 64), make_layout(seed, 64)
        assert one.dtype == np.uint8
        assert one.shape == (64, 64, 3)
        np.testing.assert_array_equal(one, other)
        assert facts == same


def test_facts_say_what_is_there() -> None:
    for seed in range(60):
        _, facts = make_layout(seed, 48)
        if facts.kind == "shapes":
            assert len(facts.items) == len(facts.counts) > 0
            assert all(1 <= count <= 6 for count in facts.counts)
            assert all(shape in OUTLINES for shape, _ in facts.items)
        else:
            assert facts.kind == "pictogram"
            assert facts.pictogram
            assert facts.drawing


def test_sides_share_no_drawing_of_a_pictogram() -> None:
    drawings = [
        {make_layout(SEEDS[side].start + i, 32)[1].drawing for i in range(250)} - {""}
        for side in ("train", "held_out")
    ]
    assert not drawings[0] & drawings[1]


@pytest.mark.parametrize("name", sorted(OUTLINES))
def test_every_shape_has_outlines_on_both_sides(name: str) -> None:
    ways = OUTLINES[name]
    assert ways.trained
    assert ways.held_out
    assert not set(ways.trained) & set(ways.held_out)


def test_fonts_are_named_with_their_licence() -> None:
    assert fonts.__doc__
    text = " ".join(str(value) for value in vars(fonts).values())
    assert "OFL" in text
    assert "Apache" in text
