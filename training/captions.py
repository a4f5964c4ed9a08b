"""Captions of renders, and the pairs of state prompts that anomaly detection asks with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.render import Facts
from training.vocabulary import BAD_STATES, DEFECT_PHRASES, GOOD_STATES, TEMPLATES

__all__ = ["Caption", "caption", "state_pair"]

# Not in the vocabulary, so it becomes [UNK]: prompts about unknown things keep their state.
_UNKNOWN_NAME = "qqq"


@dataclass(frozen=True)
class Caption:
    """A text and the facts it states: true of every render whose facts agree with them."""

    text: str
    stated: tuple[tuple[str, str], ...]

    def fits(self, facts: Facts) -> bool:
        """Whether the text is true of these facts."""
        return all(
            (_state(facts) if key == "state" else getattr(facts, key)) == value
            for key, value in self.stated
        )


def caption(facts: Facts, rng: np.random.Generator) -> Caption:
    """A sentence that is true of a render: name, state, and some of its attributes."""
    stated: list[tuple[str, str]] = []
    name = facts.name
    drop = rng.random()
    if drop < 0.06:
        name = "object"
    elif drop < 0.12:
        name = _UNKNOWN_NAME
    else:
        stated.append(("name", facts.name))
    words = []
    grey = "grey" in facts.camera
    if rng.random() < 0.5 and not grey:
        words.append(facts.colour)
        stated.append(("colour", facts.colour))
    if rng.random() < 0.4:
        words.append(facts.material)
        stated.append(("material", facts.material))
    noun = " ".join([*words, name])
    if facts.defect and rng.random() < 0.6:
        noun = str(rng.choice(DEFECT_PHRASES[facts.defect])).format(noun)
        stated.append(("defect", facts.defect))
    else:
        noun = str(rng.choice(BAD_STATES if facts.defect else GOOD_STATES)).format(noun)
        stated.append(("state", _state(facts)))
    if facts.ground and not grey and rng.random() < 0.3:
        noun += f" on a {facts.ground} background"
        stated.append(("ground", facts.ground))
    seen = [w for w in facts.camera if w != "grey"]
    if seen and rng.random() < 0.7:
        text = f"a {seen[0]} photo of a {noun}."
        stated.append(("camera", facts.camera))  # type: ignore[arg-type]
    elif rng.random() < 0.5:
        text = f"a photo of a {noun}."
    else:
        text = str(rng.choice(TEMPLATES[6:11])).format(noun)
    return Caption(text, tuple(stated))


def state_pair(name: str, rng: np.random.Generator) -> tuple[str, str]:
    """A flawless and a damaged prompt from WinCLIP's grammar, of the name or of an "object"."""
    drop = rng.random()
    if drop < 0.35:
        name = "object"
    elif drop < 0.5:
        name = _UNKNOWN_NAME
    template = str(rng.choice(TEMPLATES))
    good, bad = str(rng.choice(GOOD_STATES)), str(rng.choice(BAD_STATES))
    return template.format(good.format(name)), template.format(bad.format(name))


def _state(facts: Facts) -> str:
    return "bad" if facts.defect else "good"
