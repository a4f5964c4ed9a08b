"""docs/mini.md lists what the model knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import SURFACES
from training.defects import DEFECTS
from training.layouts.names import PICTOGRAM_WORDS, SHAPES
from training.palette import COLOURS, MATERIALS
from training.seeds import NEVER_TRAINED
from training.vocabulary import WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "mini.md").read_text("utf-8")
LISTS: dict[str, set[str]] = {
    "Parts": set(PARTS) - NEVER_TRAINED,
    "Surfaces": set(SURFACES) - NEVER_TRAINED,
    "Defects": set(DEFECTS),
    "Materials": set(MATERIALS),
    "Colours": set(COLOURS),
    "Shapes": set(SHAPES),
    "Pictograms": set(PICTOGRAM_WORDS),
}


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_the_page_lists_every_word_of_a_kind(kind: str) -> None:
    end = r"[.;]\s*(?:\n- |\n\n|counts|and the)"
    item = re.search(rf"^- {kind}: (.*?){end}", PAGE, re.DOTALL | re.MULTILINE)
    assert item is not None
    assert set(re.split(r",\s+", item[1])) == LISTS[kind]


def test_the_page_counts_the_words_and_names_what_is_never_trained() -> None:
    assert f"{len(WORDS)} words" in PAGE
    assert f"Never trained, and scored apart: {', '.join(sorted(NEVER_TRAINED))}." in PAGE
