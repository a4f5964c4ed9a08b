"""Captions of layouts."""

from __future__ import annotations

import numpy as np

from training.claims import Caption, Claim
from training.layouts.facts import LayoutFacts, shown_by
from training.layouts.names import COUNT_WORDS, PICTOGRAM_WORDS, SHAPE_COLOURS, SHAPES, SIGN_WORDS
from training.vocabulary import (
    PICTOGRAM_FRAMES,
    PICTOGRAM_QUESTIONS,
    QUESTION_FRAMES,
    RELATION_FRAMES,
    SHAPE_FRAMES,
    SIGN_NOUNS,
    SPELLINGS,
)

__all__ = ["layout_caption"]

_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def layout_caption(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    """A sentence that is true of a layout."""
    if facts.kind == "pictogram":
        return _asked_of_sign(facts, rng) if rng.random() < 0.15 else _sign(facts, rng)
    draw = rng.random()
    if draw < 0.15:
        return _how_many(facts, rng)
    if draw < 0.3:
        return _is_there(facts, rng)
    if facts.relations and draw < 0.55:
        return _relation(facts, rng)
    return _list_of_shapes(facts, rng)


def _list_of_shapes(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    """Everything there is, with or without its colours, or one item of it."""
    claims: list[Claim] = []
    phrases = []
    if rng.random() < 0.2:  # all things of one shape, whatever their colour
        shape = _one(rng, [s for s, _ in facts.items])
        number = facts.count(shape, "")
        phrases.append(_phrase(number, shape, "", rng))
        claims.append(("exactly", str(number), shape, ""))
    else:
        for k in rng.permutation(len(facts.items)):
            shape, colour = facts.items[k]
            phrases.append(_phrase(facts.counts[k], shape, colour, rng))
            claims.append(("exactly", str(facts.counts[k]), shape, colour))
    frame = _one(rng, SHAPE_FRAMES)
    if "{ground}" in frame:
        claims.append(("ground", facts.ground))
    ground = _spelled(facts.ground, rng)
    what = " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)
    verb = "is" if phrases[0].startswith(("a ", "one ", "1 ")) else "are"
    return Caption(frame.format(what=what, ground=ground, verb=verb), tuple(claims))


def _relation(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    relation = said = _one(rng, facts.relations)
    ends = [0, 1]
    if rng.random() < 0.5:
        said, ends = _OPPOSITE[relation], [1, 0]
    phrases = [_phrase(facts.counts[k], *facts.items[k], rng) for k in ends]
    claims: list[Claim] = [("relation", relation, *facts.items[0], *facts.items[1])]
    claims += [("exactly", str(facts.counts[k]), *facts.items[k]) for k in (0, 1)]
    frame = _one(rng, RELATION_FRAMES)
    return Caption(frame.format(first=phrases[0], relation=said, second=phrases[1]), tuple(claims))


def _how_many(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    shape, colour = facts.items[int(rng.integers(len(facts.items)))]
    if rng.random() < 0.15:
        shape = _one(rng, tuple(SHAPES))
    if rng.random() < 0.5:
        colour = ""
    number = facts.count(shape, colour)
    what = f"{_spelled(colour, rng)} {SHAPES[shape]}".strip()
    text = _one(rng, QUESTION_FRAMES["exactly"]).format(what=what, answer=_number(number, rng))
    return Caption(text, (("exactly", str(number), shape, colour),))


def _is_there(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    shape, colour = facts.items[int(rng.integers(len(facts.items)))]
    if rng.random() < 0.3:
        shape = _one(rng, tuple(SHAPES))
    if rng.random() < 0.3:
        colour = _one(rng, ("", *SHAPE_COLOURS))
    there = facts.count(shape, colour) > 0
    what = f"{_spelled(colour, rng)} {shape}".strip()
    text = _one(rng, QUESTION_FRAMES["has"]).format(what=what, answer="yes" if there else "no")
    claim = ("has", shape, colour) if there else ("exactly", "0", shape, colour)
    return Caption(text, (claim,))


def _sign(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    what = _one(rng, shown_by(facts.pictogram) if rng.random() < 0.6 else (facts.pictogram,))
    claims: list[Claim] = [("shows", what)]
    if facts.sign == "ban" and rng.random() < 0.5:
        return Caption(f"{what} is forbidden.", (*claims, ("sign", "ban")))
    noun = _one(rng, SIGN_NOUNS)
    frames: tuple[str, ...] = PICTOGRAM_FRAMES
    if facts.sign in SIGN_WORDS and rng.random() < 0.3:
        noun = f"{_one(rng, SIGN_WORDS[facts.sign])} sign"
        claims.append(("sign", facts.sign))
        frames = tuple(f for f in frames if "{what} {sign}" not in f)
    elif facts.sign == "label" and rng.random() < 0.6:
        noun = "label"
        claims.append(("sign", "label"))
    text = _one(rng, frames).format(what=what, sign=noun)
    if text.startswith(("a ", "the ")) and rng.random() < 0.3:
        text = text.rstrip(".") + f" on a {_spelled(facts.ground, rng)} background."
        claims.append(("ground", facts.ground))
    if not facts.sign and text.startswith(f"a {what}") and rng.random() < 0.6:
        text = f"a {_spelled(facts.colour, rng)}" + text.removeprefix("a")
        claims.append(("ink", facts.colour))
    return Caption(text, tuple(claims))


def _asked_of_sign(facts: LayoutFacts, rng: np.random.Generator) -> Caption:
    true = shown_by(facts.pictogram)
    what = _one(rng, true)
    if rng.random() < 0.5:
        what = _one(rng, shown_by(_one(rng, tuple(PICTOGRAM_WORDS))))
    shown = what in true
    text = _one(rng, PICTOGRAM_QUESTIONS).format(what=what, answer="yes" if shown else "no")
    return Caption(text, (("shows" if shown else "not shown", what),))


def _phrase(number: int, shape: str, colour: str, rng: np.random.Generator) -> str:
    """For example "two red circles", "a star"."""
    noun = shape if number == 1 else SHAPES[shape]
    lead = "a" if number == 1 and rng.random() < 0.7 else _number(number, rng)
    return " ".join(word for word in (lead, _spelled(colour, rng), noun) if word)


def _number(number: int, rng: np.random.Generator) -> str:
    return str(number) if rng.random() < 0.15 else COUNT_WORDS[number]


def _spelled(colour: str, rng: np.random.Generator) -> str:
    return SPELLINGS.get(colour, colour) if rng.random() < 0.25 else colour


def _one(rng: np.random.Generator, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]
