"""What may be said of a layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.layouts.names import HAZARDS, PICTOGRAM_WORDS

__all__ = ["LayoutFacts", "shown_by"]


@dataclass(frozen=True)
class LayoutFacts:
    """Facts of a layout.

    Attributes:
        kind: What the layout is made of.
        ground: Colour of the ground.
        items: Shapes: each (shape, colour) once.
        counts: Shapes: how many there are of each item.
        relations: Shapes, where there are two items: how all of the first lie to all of the
            second, "left of", "right of", "above", "below".
        pictogram: Key of ``PICTOGRAM_WORDS``.
        colour: Colour of the pictogram.
        sign: What the pictogram stands on: "ban", "circle", "square", "triangle", "label", or
            empty where it is on the bare ground.
        drawing: Where the pictogram's drawing comes from, for scoring; captions never say it.
    """

    kind: Literal["shapes", "pictogram"]
    ground: str
    items: tuple[tuple[str, str], ...] = ()
    counts: tuple[int, ...] = ()
    relations: tuple[str, ...] = ()
    pictogram: str = ""
    colour: str = ""
    sign: str = ""
    drawing: str = ""

    def count(self, shape: str, colour: str) -> int:
        """How many of a shape and a colour there are; an empty word stands for any."""
        return sum(
            n
            for (own_shape, own_colour), n in zip(self.items, self.counts, strict=True)
            if shape in ("", own_shape) and colour in ("", own_colour)
        )

    def holds(self, claim: tuple[str, ...]) -> bool:
        """Whether a claim of a caption is true here; claims about parts never are."""
        if claim[0] == "ground":
            return claim[1] == self.ground
        if claim[0] in ("exactly", "has", "relation"):
            return self.kind == "shapes" and self._shapes_hold(claim)
        if self.kind != "pictogram":
            return False
        match claim:
            case ("shows", word):
                return word in shown_by(self.pictogram)
            case ("not shown", word):
                return word not in shown_by(self.pictogram)
            case ("ink", colour):
                return colour == self.colour
            case ("sign", sign):
                return sign == self.sign
        return False

    def _shapes_hold(self, claim: tuple[str, ...]) -> bool:
        match claim:
            case ("exactly", number, shape, colour):
                return self.count(shape, colour) == int(number)
            case ("has", shape, colour):
                return self.count(shape, colour) > 0
            case ("relation", word, *named):
                return word in self.relations and [*self.items[0], *self.items[1]] == named
        return False


def shown_by(pictogram: str) -> tuple[str, ...]:
    """Every word that is true of a pictogram."""
    danger = ("danger", "hazard") if pictogram in HAZARDS else ()
    return (*PICTOGRAM_WORDS[pictogram], *danger)
