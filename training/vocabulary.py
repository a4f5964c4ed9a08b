"""The closed world of ``mini``: the sentences of its captions, and every word in them.

A word that no caption says is unknown, and the runtime names it. Names that training never shows
are unknown too.
"""

from __future__ import annotations

import re

from training.layouts.names import (
    COUNT_WORDS,
    PICTOGRAM_WORDS,
    SHAPE_COLOURS,
    SHAPES,
    SIGN_WORDS,
)
from training.palette import COLOURS, MATERIALS
from training.synonyms import NAMES, called

__all__ = [
    "BAD_STATES",
    "CAMERA_WORDS",
    "DEFECT_NOUNS",
    "DEFECT_PHRASES",
    "FRAMES",
    "GOOD_STATES",
    "MORE_BAD_STATES",
    "MORE_GOOD_STATES",
    "PART_FRAMES",
    "PICTOGRAM_FRAMES",
    "PICTOGRAM_QUESTIONS",
    "QUESTION_FRAMES",
    "RELATION_FRAMES",
    "SHAPE_FRAMES",
    "SIGN_NOUNS",
    "SPELLINGS",
    "TEMPLATES",
    "WORDS",
    "words_of",
]

# WinCLIP's states and templates (methods note, section 0), so that its prompts are in the world.
GOOD_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
    "good {}",
    "intact {}",
)
BAD_STATES = (
    "damaged {}",
    "{} with flaw",
    "{} with defect",
    "{} with damage",
    "broken {}",
    "defective {}",
    "bad {}",
)
# Other ways to say the states, for captions alone.
MORE_GOOD_STATES = ("normal {}", "undamaged {}", "{} in good condition", "{} without anomaly")
MORE_BAD_STATES = ("faulty {}", "abnormal {}", "anomalous {}", "{} with an anomaly")
CAMERA_WORDS = ("cropped", "close-up", "bright", "dark", "jpeg corrupted", "blurry")
TEMPLATES = tuple(
    template
    for article in ("a", "the")
    for template in (
        *(f"a {word} photo of {article} {{}}." for word in CAMERA_WORDS),
        f"a photo of {article} {{}}.",
        f"a photo of {article} small {{}}.",
        f"a photo of {article} large {{}}.",
        f"a photo of {article} {{}} for visual inspection.",
        f"a photo of {article} {{}} for anomaly detection.",
    )
)
# defect kind -> ways to say it about a name
DEFECT_PHRASES: dict[str, tuple[str, ...]] = {
    "bent": ("bent {}", "deformed {}", "twisted {}"),
    "chip": ("chipped {}", "{} with a chip", "{} with a broken edge"),
    "crack": ("cracked {}", "{} with a crack"),
    "dent": ("dented {}", "{} with a dent", "{} with a bump"),
    "foreign body": ("{} with a foreign body", "contaminated {}", "{} with a fibre on it"),
    "hole": ("{} with a hole", "{} with a pit", "pierced {}"),
    "misplaced part": ("{} with a misplaced part", "misaligned {}"),
    "missing part": ("{} with a missing part", "incomplete {}"),
    "print error": ("{} with a print error", "misprinted {}"),
    "scratch": ("scratched {}", "{} with a scratch", "{} with scratches"),
    "stain": ("stained {}", "{} with a stain", "dirty {}", "{} with a spot"),
    "wrong colour": ("{} with a wrong colour", "discoloured {}", "{} with the wrong color"),
}
# defect kind -> the noun that is asked for
DEFECT_NOUNS: dict[str, str] = {
    **{kind: kind for kind in DEFECT_PHRASES},
    "bent": "deformation",
}
# Said in place of a colour's own word now and then.
SPELLINGS = {"grey": "gray"}

# What is said or asked of a part: claim -> sentences. {name} and {answer} as for the claim.
PART_FRAMES: dict[str, tuple[str, ...]] = {
    "called": ("what is this? a {name}.", "is this a {name}? {answer}.", "this is a {name}."),
    "material": ("what is the {name} made of? {answer}.", "a {name} made of {answer}."),
    "colour": ("what colour is the {name}? {answer}.", "the {name} is {answer}."),
    "state": ("is the {name} damaged? {answer}.", "is there a defect on the {name}? {answer}."),
    "defect": ("is there a {noun}? {answer}.", "does the {name} have a {noun}? {answer}."),
}
# {what} is a phrase such as "two red circles and a blue star".
SHAPE_FRAMES = (
    "{what}.",
    "a photo of {what}.",
    "a picture of {what}.",
    "{what} on a {ground} background.",
    "there {verb} {what}.",
    "an image of {what}.",
)
RELATION_FRAMES = ("{first} {relation} {second}.", "a photo of {first} {relation} {second}.")
QUESTION_FRAMES = {
    "exactly": ("how many {what} are there? {answer}.", "number of {what}: {answer}."),
    "has": ("is there a {what}? {answer}.",),
}
# {sign} is "sign", "symbol" and so on, with what is known of its shape.
PICTOGRAM_FRAMES = (
    "a {what} {sign}.",
    "a photo of a {what} {sign}.",
    "the {sign} for {what}.",
    "a photo of the {sign} for {what}.",
    "what does the {sign} show? {what}.",
    "a {sign} that says {what}.",
)
PICTOGRAM_QUESTIONS = (
    "does the sign show {what}? {answer}.",
    "is this a {what} symbol? {answer}.",
)
SIGN_NOUNS = ("sign", "symbol", "icon", "pictogram")
_GLUE = ", an are is object label forbidden on a background left right of above below and yes no"

FRAMES: tuple[str, ...] = (
    *TEMPLATES,
    *GOOD_STATES,
    *BAD_STATES,
    *MORE_GOOD_STATES,
    *MORE_BAD_STATES,
    *(phrase for phrases in DEFECT_PHRASES.values() for phrase in phrases),
    *(frame for frames in PART_FRAMES.values() for frame in frames),
    *SHAPE_FRAMES,
    *RELATION_FRAMES,
    *(frame for frames in QUESTION_FRAMES.values() for frame in frames),
    *PICTOGRAM_FRAMES,
    *PICTOGRAM_QUESTIONS,
    *SIGN_NOUNS,
    _GLUE,
)


def words_of(text: str) -> list[str]:
    """The words, numbers and signs of a text, lower-case, as the tokenizer separates them."""
    return re.findall(r"[^\W\d_]+|\d+|[^\w\s]", text.lower())


def _all_words() -> tuple[str, ...]:
    texts = [re.sub(r"\{\w*\}", " ", frame) for frame in FRAMES]
    texts += [*COLOURS, *MATERIALS, *SHAPE_COLOURS, *SPELLINGS.values(), *DEFECT_NOUNS.values()]
    texts += [name for own in NAMES for name in called(own)]
    texts += [*SHAPES, *SHAPES.values(), *COUNT_WORDS, *map(str, range(len(COUNT_WORDS)))]
    texts += [word for words in (*PICTOGRAM_WORDS.values(), *SIGN_WORDS.values()) for word in words]
    texts += ["danger hazard"]
    return tuple(sorted({word for text in texts for word in words_of(text)}))


WORDS: tuple[str, ...] = _all_words()
