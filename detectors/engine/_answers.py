"""What a detector is shown of a batch, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

from clipvet.detectors._detector import Batch, Score
from clipvet.detectors.engine._containment import Failure, pick
from clipvet.detectors.engine._finite import SPOILT, not_finite
from clipvet.detectors.engine._setup import Slot

__all__ = ["ask"]


def ask(slot: Slot, batch: Batch, owners: Sequence[int]) -> list[list[Score] | Failure]:
    """The detector's answers; views without a query that it could answer are not shown to it."""
    if slot.guarded is None:
        return [slot.failure or Failure("error", slot.id)] * len(batch)
    broken = not_finite(batch.features, slot.reads, len(batch))
    asked = [i for i, queries in enumerate(batch.queries) if queries and not broken[i]]
    answers: list[list[Score] | Failure] = [
        Failure("error", f"{slot.id}: bundle {slot.group} {SPOILT.format(names)}") if names else []
        for names in broken
    ]
    if asked:
        part = batch if len(asked) == len(batch) else pick(batch, asked)
        scored = slot.guarded.score(part, [owners[i] for i in asked])
        for i, answer in zip(asked, scored, strict=True):
            answers[i] = answer
    return answers
