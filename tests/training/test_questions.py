"""Questions about rendered pictures: true to their kinds, and not to be told apart blindly."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from clipvet.plugins.unanswerable._rows import read_rows
from training.layouts import LayoutFacts, make_layout
from training.layouts.facts import shown_by
from training.questions import ask, fits, twins, write_easy_vqa, write_questions
from training.seeds import SEEDS
from training.vocabulary import WORDS, words_of

PICTURES = [make_layout(900_000 + seed, 32)[1] for seed in range(300)]


def rows_of(seed: int = 0) -> list[list[dict[str, object]]]:
    rng = np.random.default_rng(seed)
    return twins([ask(facts, rng) for facts in PICTURES], PICTURES, rng)


def right_answers(question: str, facts: LayoutFacts) -> set[str]:
    """What answers a question, told from its words and the facts alone."""
    words = question.rstrip("?").split()
    if words[:2] == ["how", "many"]:
        said = words[2:-2]
        shape = next(s for s, _ in facts.items if said[-1].startswith(s))
        count = facts.count(shape, said[0] if len(said) > 1 else "")
        return {("zero", "one", "two", "three", "four", "five", "six")[count]}
    if words[:2] == ["what", "colour"]:
        if facts.kind == "pictogram":
            return {facts.colour}
        return {colour for shape, colour in facts.items if shape == words[-1]}
    if words[-1] == "object":
        return {shape for shape, colour in facts.items if colour == words[3]}
    return set(shown_by(facts.pictogram))


def test_answers_are_there_or_not_as_the_kind_says() -> None:
    for facts, own in zip(PICTURES, rows_of(), strict=True):
        by_kind = {str(row["kind"]): row for row in own}
        asked = by_kind["answerable"]
        right = right_answers(str(asked["question"]), facts)
        assert len(right & set(asked["choices"])) == 1  # type: ignore[call-overload]
        for kind in {"absent_answer", "incompatible_answers"} & set(by_kind):
            row = by_kind[kind]
            assert row["question"] == asked["question"]
            assert not right & set(row["choices"])  # type: ignore[call-overload]
        absent = by_kind["absent_answer"]["choices"]
        assert len(absent) == len(set(absent)) == len(asked["choices"])  # type: ignore[arg-type,call-overload]


def test_hardly_a_picture_goes_without_a_kind() -> None:
    kinds = Counter(str(row["kind"]) for own in rows_of() for row in own)
    assert kinds["answerable"] == kinds["absent_answer"] == len(PICTURES)
    assert min(kinds.values()) > 0.95 * len(PICTURES)


def test_incompatible_questions_ask_for_what_is_not_there() -> None:
    rng = np.random.default_rng(1)
    asked = [ask(facts, rng) for facts in PICTURES]
    for one, facts in zip(asked, PICTURES, strict=True):
        assert fits(one, facts)
    known = {one.text: one for one in asked}
    found = 0
    for facts, own in zip(PICTURES, twins(asked, PICTURES, rng), strict=True):
        for row in own:
            if row["kind"] == "incompatible_question":
                found += 1
                assert not fits(known[row["question"]], facts)
    assert found > 280


def test_the_words_do_not_give_the_kind_away() -> None:
    """Each question, and each set of choices, occurs as often for every kind that borrows it."""
    rows = [row for own in rows_of() for row in own]
    asked, offered = (
        {
            kind: Counter(str(row[field]) for row in rows if row["kind"] == kind)
            for kind in ("answerable", "incompatible_answers", "incompatible_question")
        }
        for field in ("question", "choices")
    )
    total = sum(asked["answerable"].values())
    for counts in (asked, offered):
        common = counts["answerable"] & counts["incompatible_question"]
        assert sum(common.values()) > 0.95 * total
    common = offered["answerable"] & offered["incompatible_answers"]
    assert sum(common.values()) > 0.95 * total


def test_all_words_are_known() -> None:
    for own in rows_of():
        for row in own:
            choices = row["choices"]
            assert isinstance(choices, list)
            for text in (str(row["question"]), *choices):
                assert set(words_of(text)) <= set(WORDS)


def test_files_repeat_and_sides_are_apart(tmp_path: Path) -> None:
    for name, side in (("a", "train"), ("b", "train"), ("c", "held_out"), ("d", "sample")):
        write_questions(tmp_path / name, 5, side)  # type: ignore[arg-type]
    rows = read_rows(tmp_path / "a" / "questions.jsonl", labelled=True)
    assert len(rows) >= 15
    for file in sorted((tmp_path / "a").rglob("*.*")):
        twin = tmp_path / "b" / file.relative_to(tmp_path / "a")
        assert file.read_bytes() == twin.read_bytes()
    for name, side in (("a", "train"), ("c", "held_out"), ("d", "sample")):
        seeds = [int(file.stem) for file in (tmp_path / name / "images").iterdir()]
        assert len(seeds) == 5
        assert all(seed in SEEDS[side] for seed in seeds)


@pytest.fixture
def easy_vqa(tmp_path: Path) -> Path:
    entries = []
    for index, (shape, colour) in enumerate(
        [("circle", "red"), ("triangle", "blue"), ("rectangle", "gray"), ("circle", "blue")] * 4
    ):
        pairs = [
            ["what shape is present?", shape],
            [f"what is the {colour} shape?", shape],
            [f"what color is the {shape}?", colour],
            ["what color is the shape?", colour],
            ["is there a circle?", "yes"],
        ]
        entries.append({"file": f"images/{index}.png", "size": [64, 64], "qa": pairs})
    (tmp_path / "questions.json").write_text(json.dumps(entries), "utf-8")
    return tmp_path


def test_easy_vqa(easy_vqa: Path, tmp_path: Path) -> None:
    write_easy_vqa(tmp_path / "out", easy_vqa)
    rows = read_rows(tmp_path / "out" / "questions.jsonl", labelled=True)
    entries = json.loads((easy_vqa / "questions.json").read_text("utf-8"))
    answers = {(e["file"], q): a for e in entries for q, a in e["qa"]}
    kinds = Counter(row.kind for row in rows)
    assert kinds["answerable"] == kinds["absent_answer"] == 32
    assert min(kinds.values()) > 20
    for row in rows:
        answer = answers.get((row.image, row.question))
        assert (answer is not None) == (row.kind != "incompatible_question")
        assert (answer in row.choices) == (row.kind == "answerable")
        assert "present" not in row.question
        assert "the shape?" not in row.question
