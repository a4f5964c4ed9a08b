"""Questions about pictures, answerable and not, with choices.

``python -m training.questions OUT --count 3000`` renders layouts and writes OUT/images/<seed>.png
and OUT/questions.jsonl: fields ``image``, ``question``, ``choices`` and ``kind``. Every picture
gets an answerable question and three that are not: the right answer taken off (``absent_answer``),
the choices of another sort of question (``incompatible_answers``), the question of a picture that
shows what this one does not (``incompatible_question``). A wrong answer takes the place of the
right one, and every question and every set of choices is used once for each of the other kinds:
little is to be learned without the picture. The same arguments give the same files. ``--side
held_out`` draws what training never shows: for measuring, and never for learning.

``python -m training.questions OUT --easy-vqa FOLDER`` does the same to the questions of easy-VQA's
pictures, for measuring alone.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image

from training.layouts import LayoutFacts, make_layout
from training.layouts.facts import shown_by
from training.layouts.names import COUNT_WORDS, PICTOGRAM_WORDS, SHAPE_COLOURS, SHAPES
from training.seeds import SEEDS
from training.vocabulary import SIGN_NOUNS

__all__ = ["Asked", "ask", "fits", "main", "twins", "write_easy_vqa", "write_questions"]

SIDE = 192
"""Of a picture in pixels: what the embedded model reads."""

# Far from the seeds that training itself begins with, and from those of detector_data.
_FIRST = {"train": 700_000, "held_out": 700_000, "sample": 70_000}
_MOST_CHOICES = 4

Rng = np.random.Generator
T = TypeVar("T")
_COLOUR_OF = re.compile(r"what (?:color is|is the color of) the (?!shape)(\w+)\?")
_SHAPE_THAT_IS = re.compile(r"what is the (\w+) shape\?")

Topic = Literal["count", "colour", "shape", "sign"]
# What answers look like: choices of another sort cannot answer the question.
_SORTS: dict[Topic, str] = {
    "count": "number",
    "colour": "colour",
    "shape": "thing",
    "sign": "thing",
}

_ANSWERS: dict[Topic, tuple[str, ...]] = {
    "count": COUNT_WORDS[1:],
    "colour": SHAPE_COLOURS,
    "shape": tuple(SHAPES),
    "sign": tuple(PICTOGRAM_WORDS),
}


@dataclass(frozen=True)
class Asked:
    """A question that a picture answers.

    Attributes:
        text: the question.
        answer: the right one.
        topic: what is asked for.
        about: of what; words whose meaning depends on the topic.
    """

    text: str
    answer: str
    topic: Topic
    about: tuple[str, ...] = ()


def ask(facts: LayoutFacts, rng: Rng) -> Asked:
    """A question about a picture that has one right answer."""
    if facts.kind == "pictogram":
        if rng.random() < 0.5:
            text = f"what does the {_one(rng, SIGN_NOUNS)} show?"
            return Asked(text, facts.pictogram, "sign")
        text = f"what colour is the {facts.pictogram}?"
        return Asked(text, facts.colour, "colour", (facts.pictogram,))
    ways = [_count(facts, rng)]
    shapes = [shape for shape, _ in facts.items]
    if alone := [item for item in facts.items if shapes.count(item[0]) == 1]:
        shape, colour = _one(rng, alone)
        ways.append(Asked(f"what colour is the {shape}?", colour, "colour", (shape,)))
    colours = [colour for _, colour in facts.items]
    if alone := [item for item in facts.items if colours.count(item[1]) == 1]:
        shape, colour = _one(rng, alone)
        ways.append(Asked(f"what is the {colour} object?", shape, "shape", (colour,)))
    return _one(rng, ways)


def fits(asked: Asked, facts: LayoutFacts) -> bool:
    """Whether what is asked about may be in a picture; doubtful cases count as there."""
    match asked.topic:
        case "count":
            shape, colour = asked.about
            return facts.count(shape, colour) > 0
        case "colour":
            (thing,) = asked.about
            shown = facts.kind == "pictogram" and thing in shown_by(facts.pictogram)
            return shown or facts.count(thing, "") > 0
        case "shape":
            (colour,) = asked.about
            # The plate of a sign has colours that its facts do not tell.
            return facts.kind != "shapes" or colour == facts.ground or facts.count("", colour) > 0
        case "sign":
            return facts.kind == "pictogram"


def twins(
    asked: Sequence[Asked], pictures: Sequence[LayoutFacts], rng: Rng
) -> list[list[dict[str, Any]]]:
    """For each picture its rows: ``question``, ``choices``, ``kind``.

    A picture for which no question or no choices of another are left goes without that kind.

    Args:
        asked: a question for each picture, which it answers.
        pictures: what is true of them.
        rng: draws.
    """
    # Wrong choices are as frequent as right ones, or their rarity would give them away.
    pools: dict[tuple[object, ...], list[str]] = defaultdict(list)
    alike = [_alike(*pair) for pair in zip(asked, pictures, strict=True)]
    for key, one in zip(alike, asked, strict=True):
        pools[key].append(one.answer)
    choices = [_choices(one, pools[key], rng) for key, one in zip(alike, asked, strict=True)]
    foreign_choices = _exchanged(
        len(asked), lambda i, j: _SORTS[asked[i].topic] != _SORTS[asked[j].topic], rng
    )
    foreign_question = _exchanged(len(asked), lambda i, j: not fits(asked[j], pictures[i]), rng)
    rows: list[list[dict[str, Any]]] = []
    for i, one in enumerate(asked):
        offered, spare = choices[i]
        absent = [spare if choice == one.answer else choice for choice in offered]
        own = [(one.text, offered, "answerable"), (one.text, absent, "absent_answer")]
        if (j := foreign_choices[i]) is not None:
            own.append((one.text, choices[j][0], "incompatible_answers"))
        if (j := foreign_question[i]) is not None:
            own.append((asked[j].text, choices[j][0], "incompatible_question"))
        rows.append([{"question": q, "choices": c, "kind": kind} for q, c, kind in own])
    return rows


def write_questions(
    out: Path, count: int, side: Literal["train", "held_out", "sample"] = "train"
) -> None:
    """``count`` layouts and all their questions."""
    first = SEEDS[side].start + _FIRST[side]
    (out / "images").mkdir(parents=True, exist_ok=True)
    pictures: dict[str, LayoutFacts] = {}
    for seed in range(first, first + count):
        pixels, facts = make_layout(seed, SIDE)
        pictures[f"{seed}.png"] = facts
        Image.fromarray(pixels).save(out / "images" / f"{seed}.png")
    rng = np.random.default_rng([56, first, count])
    asked = [(name, ask(facts, rng)) for name, facts in pictures.items()]
    _write(out, asked, pictures, rng)


def write_easy_vqa(out: Path, folder: Path) -> None:
    """Questions of easy-VQA about shapes and colours; its images stay where they are."""
    pictures: dict[str, LayoutFacts] = {}
    asked: list[tuple[str, Asked]] = []
    rng = np.random.default_rng(57)
    for entry in json.loads((folder / "questions.json").read_text("utf-8")):
        name, answers = str(entry["file"]), dict(entry["qa"])
        # "what shape is present?" fits every picture, and yes and no are always both there.
        colours = [(q, m[1]) for q in sorted(answers) if (m := _COLOUR_OF.match(q))]
        shapes = [(q, m[1]) for q in sorted(answers) if (m := _SHAPE_THAT_IS.match(q))]
        if not colours and not shapes:
            continue
        if colours:
            text, shape = _one(rng, colours)
            colour = answers[text]
            asked.append((name, Asked(text, colour, "colour", (shape,))))
        if shapes:
            text, colour = _one(rng, shapes)
            shape = answers[text]
            asked.append((name, Asked(text, shape, "shape", (colour,))))
        pictures[name] = LayoutFacts("shapes", "", ((shape, colour),), (1,))
    out.mkdir(parents=True, exist_ok=True)
    _write(out, asked, pictures, rng)


def _write(
    out: Path, asked: list[tuple[str, Asked]], pictures: dict[str, LayoutFacts], rng: Rng
) -> None:
    rows = twins([one for _, one in asked], [pictures[name] for name, _ in asked], rng)
    lines = [
        json.dumps({"image": name, **row}) + "\n"
        for (name, _), own in zip(asked, rows, strict=True)
        for row in own
    ]
    (out / "questions.jsonl").write_text("".join(lines), encoding="utf-8")


def _count(facts: LayoutFacts, rng: Rng) -> Asked:
    shape, colour = _one(rng, facts.items)
    if rng.random() < 0.5:
        colour = ""
    what = f"{colour} {SHAPES[shape]}".strip()
    answer = COUNT_WORDS[facts.count(shape, colour)]
    return Asked(f"how many {what} are there?", answer, "count", (shape, colour))


def _choices(asked: Asked, pool: Sequence[str], rng: Rng) -> tuple[list[str], str]:
    """Two to four choices with the right one among them, and a wrong one that may replace it."""
    wanted = int(rng.integers(2, _MOST_CHOICES + 1))
    shuffled = [pool[place] for place in rng.permutation(len(pool))]
    wrong = [other for other in dict.fromkeys(shuffled) if not _same(asked, other)][:wanted]
    if len(wrong) < 2:  # too few pictures for a pool: any answer of this sort
        wrong += [w for w in _ANSWERS[asked.topic] if w not in wrong and not _same(asked, w)][:2]
    offered = [asked.answer, *wrong[1:]]
    return [offered[place] for place in rng.permutation(len(offered))], wrong[0]


def _alike(asked: Asked, facts: LayoutFacts) -> tuple[object, ...]:
    """Questions whose answers are equally frequent: a sign's ink is mostly black or white."""
    return (asked.topic, facts.kind, asked.topic == "count" and asked.about[1] == "")


def _same(asked: Asked, other: str) -> bool:
    """Whether another answer would be right as well."""
    if asked.topic != "sign":
        return other == asked.answer
    return other in PICTOGRAM_WORDS[asked.answer] or asked.answer in PICTOGRAM_WORDS[other]


def _exchanged(count: int, allowed: Callable[[int, int], bool], rng: Rng) -> list[int | None]:
    """For each index another one that is allowed for it, each used once; None if none is left."""
    left = [int(j) for j in rng.permutation(count)]
    found: list[int | None] = [None] * count
    for i in map(int, rng.permutation(count)):
        found[i] = next((j for j in left if allowed(i, j)), None)
        if found[i] is not None:
            left.remove(found[i])  # type: ignore[arg-type]
    return found


def _one(rng: Rng, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def main() -> None:
    """Write pictures and questions from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--side", choices=sorted(_FIRST), default="train")
    parser.add_argument("--easy-vqa", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    if args.easy_vqa is not None:
        write_easy_vqa(args.out, args.easy_vqa)
    else:
        write_questions(args.out, args.count, args.side)


if __name__ == "__main__":
    main()
