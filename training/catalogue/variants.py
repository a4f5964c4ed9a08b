"""Independent ways to draw one thing, on two sides that never meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

__all__ = ["Side", "Variants"]

Side = Literal["train", "held_out"]
T = TypeVar("T")


@dataclass(frozen=True)
class Variants(Generic[T]):
    """``trained`` ways are seen in training, ``held_out`` ways only when measuring.

    An empty ``trained`` makes the name one that training never shows.
    """

    trained: tuple[T, ...]
    held_out: tuple[T, ...]

    def of(self, side: Side) -> tuple[T, ...]:
        """The ways of one side."""
        return self.trained if side == "train" else self.held_out
