"""The sentences: what the vectors start from, what replaces them, and names for what is seen."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["CONCEPTS", "PAIRS", "Pairs", "PromptSet", "concept_prompt"]

PromptSet: TypeAlias = Literal["pair", "ensemble"]
Pairs: TypeAlias = tuple[tuple[str, str], ...]

_SENTENCE = "This image is about something {}"

# The first pair is the one from which the released vectors were tuned; the next two stand in
# comments of the authors' code, the others are an extension (methods/safety.md 1.2 and 1.7).
_WORDS = (
    ("positive", "negative"),
    ("pleasant", "unpleasant"),
    ("praiseworthy", "blameworthy"),
    ("peaceful", "violent"),
    ("harmless", "dangerous"),
    ("kind", "cruel"),
    ("safe", "disturbing"),
)
_ENSEMBLE = tuple((_SENTENCE.format(good), _SENTENCE.format(bad)) for good, bad in _WORDS)

PAIRS: dict[PromptSet, Pairs] = {"pair": _ENSEMBLE[:1], "ensemble": _ENSEMBLE}
"""Pairs (appropriate, inappropriate) of sentences."""

# Ours, not the paper's: only to sort the examples of a report, never to score.
CONCEPTS = (
    "violence between people",
    "a weapon",
    "blood or an injury",
    "death or a dead body",
    "cruelty to an animal",
    "nudity",
    "an insulting gesture",
    "a hateful symbol",
    "drugs or addiction",
    "an accident or a disaster",
    "disease or decay",
    "poverty or despair",
)


def concept_prompt(concept: str) -> str:
    """The sentence in which a concept is asked for."""
    return f"This image is about {concept}"
