"""A sentence, what it claims, and whether that is true of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from training.layouts.facts import LayoutFacts
from training.render import Facts
from training.synonyms import called

__all__ = ["Caption", "Claim", "state_of"]

# A key and the words it is about, for example ("colour", "red").
Claim = tuple[str, ...]


@dataclass(frozen=True)
class Caption:
    """A text and the claims it makes: true of every picture whose facts agree with all of them."""

    text: str
    stated: tuple[Claim, ...]

    def fits(self, facts: Facts | LayoutFacts) -> bool:
        """Whether the text is true of these facts."""
        if isinstance(facts, LayoutFacts):
            return all(facts.holds(claim) for claim in self.stated)
        return all(_holds(facts, claim) for claim in self.stated)


def state_of(facts: Facts) -> str:
    """The word for the state, "good" or "bad"."""
    return "bad" if facts.defect else "good"


def _holds(facts: Facts, claim: Claim) -> bool:
    """Whether a claim is true of a part or surface; claims about layouts never are."""
    match claim:
        case ("called", name):
            return name in called(facts.name)
        case ("not called", name):
            return name not in called(facts.name)
        case ("material", material):
            return facts.material == material
        case ("colour", colour):
            # A grey camera does not show colours.
            return facts.colour == colour and "grey" not in facts.camera
        case ("ground", colour):
            return facts.ground == colour and "grey" not in facts.camera
        case ("state", state):
            return state == state_of(facts)
        case ("defect", kind):
            return facts.defect == kind
        case ("free of", kind):
            return facts.defect != kind
        case ("camera", word):
            return word in facts.camera
    return False
