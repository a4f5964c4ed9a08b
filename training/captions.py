"""Captions of renders and layouts, and the prompts that detection and classification ask with."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from training.claims import Caption, Claim, state_of
from training.layouts.captions import layout_caption
from training.layouts.facts import LayoutFacts
from training.render import Facts
from training.synonyms import NAMES, called
from training.vocabulary import (
    BAD_STATES,
    DEFECT_NOUNS,
    DEFECT_PHRASES,
    GOOD_STATES,
    MORE_BAD_STATES,
    MORE_GOOD_STATES,
    PART_FRAMES,
    SPELLINGS,
    TEMPLATES,
)

__all__ = ["Caption", "caption", "class_prompts", "state_pair"]

# Not in the vocabulary, so it becomes [UNK]: prompts about unknown things keep their state.
_UNKNOWN_NAME = "qqq"
_AN = re.compile(r"\ba(?= [aeio])")
_STATES = {
    "bad": (*BAD_STATES, *MORE_BAD_STATES),
    "good": (*GOOD_STATES, *MORE_GOOD_STATES),
}
# The templates that claim nothing of the camera.
_PLAIN = tuple(t for t in TEMPLATES if t.startswith(("a photo of a {}", "a photo of the {}")))


def caption(facts: Facts | LayoutFacts, rng: np.random.Generator) -> Caption:
    """A sentence that is true of a picture."""
    if isinstance(facts, LayoutFacts):
        made = layout_caption(facts, rng)
    elif rng.random() < 0.2:
        made = _question(facts, rng)
    else:
        made = _description(facts, rng)
    # WinCLIP's templates say "a" before any name; people do not.
    if rng.random() < 0.5:
        made = replace(made, text=_AN.sub("an", made.text))
    return made


def state_pair(name: str, rng: np.random.Generator) -> tuple[str, str]:
    """A flawless and a damaged prompt from WinCLIP's grammar, of the name or of an "object"."""
    drop = rng.random()
    if drop < 0.35:
        name = "object"
    elif drop < 0.5:
        name = _UNKNOWN_NAME
    elif drop < 0.65:
        name = _one(rng, called(name))
    template = _one(rng, TEMPLATES)
    good, bad = _one(rng, GOOD_STATES), _one(rng, BAD_STATES)
    return template.format(good.format(name)), template.format(bad.format(name))


def class_prompts(name: str) -> list[str]:
    """The prompts of a name for zero-shot classification; their unit embeddings are averaged."""
    return [template.format(name) for template in _PLAIN]


def _description(facts: Facts, rng: np.random.Generator) -> Caption:
    """Name, state, and some of the attributes."""
    name, claims = _named(facts, rng)
    words = []
    coloured = "grey" not in facts.camera
    if coloured and rng.random() < 0.5:
        words.append(_spelled(facts.colour, rng))
        claims.append(("colour", facts.colour))
    if rng.random() < 0.4:
        words.append(facts.material)
        claims.append(("material", facts.material))
    noun = " ".join([*words, name])
    if facts.defect and rng.random() < 0.6:
        noun = _one(rng, DEFECT_PHRASES[facts.defect]).format(noun)
        claims.append(("defect", facts.defect))
    else:
        noun = _one(rng, _STATES[state_of(facts)]).format(noun)
        claims.append(("state", state_of(facts)))
    if coloured and facts.ground and rng.random() < 0.3:
        noun += f" on a {_spelled(facts.ground, rng)} background"
        claims.append(("ground", facts.ground))
    seen = [word for word in facts.camera if word != "grey"]
    if seen and rng.random() < 0.7:
        claims.append(("camera", seen[0]))
        return Caption(f"a {seen[0]} photo of a {noun}.", tuple(claims))
    template = "a photo of a {}." if rng.random() < 0.5 else _one(rng, TEMPLATES[6:11])
    return Caption(template.format(noun), tuple(claims))


def _question(facts: Facts, rng: np.random.Generator) -> Caption:
    """One fact, asked for and answered."""
    about = _one(rng, [k for k in PART_FRAMES if k != "colour" or "grey" not in facts.camera])
    frame = _one(rng, PART_FRAMES[about])
    name, claims = _named(facts, rng)
    if about == "called":
        name, answer = _one(rng, called(facts.name)), "yes"
        claims = [("called", name)]
        if "{answer}" in frame and rng.random() < 0.5:
            name, answer = _one(rng, called(_one(rng, NAMES))), "no"
            claims = [("not called", name)]
            if name in called(facts.name):
                answer, claims = "yes", [("called", name)]
        return Caption(frame.format(name=name, answer=answer), tuple(claims))
    if about == "defect":
        kind = facts.defect
        if not kind or rng.random() < 0.4:
            kind = _one(rng, tuple(DEFECT_PHRASES))
        present = kind == facts.defect
        claims.append(("defect" if present else "free of", kind))
        if "{name}" not in frame:
            claims = claims[-1:]
        answer = "yes" if present else "no"
        return Caption(
            frame.format(name=name, noun=DEFECT_NOUNS[kind], answer=answer), tuple(claims)
        )
    if about == "state":
        claims.append(("state", state_of(facts)))
        answer = "yes" if facts.defect else "no"
    elif about == "material":
        claims.append(("material", facts.material))
        answer = facts.material
    else:
        claims.append(("colour", facts.colour))
        answer = _spelled(facts.colour, rng)
    return Caption(frame.format(name=name, answer=answer), tuple(claims))


def _named(facts: Facts, rng: np.random.Generator) -> tuple[str, list[Claim]]:
    """What the thing is called: its name, a synonym, "object", or a word outside the vocabulary."""
    drop = rng.random()
    if drop < 0.06:
        return "object", []
    if drop < 0.12:
        return _UNKNOWN_NAME, []
    name = facts.name if drop < 0.75 else _one(rng, called(facts.name))
    return name, [("called", name)]


def _spelled(colour: str, rng: np.random.Generator) -> str:
    return SPELLINGS.get(colour, colour) if rng.random() < 0.25 else colour


def _one(rng: np.random.Generator, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]
