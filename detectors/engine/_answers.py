"""What a detector is shown of a batch, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from clipvet.detectors._detector import Batch, Score
from clipvet.detectors.engine._containment import Failure, pick
from clipvet.detectors.engine._finite import spoilt
from clipvet.detectors.engine._setup import Slot

__all__ = ["ask"]


def ask(
    slot: Slot, batch: Batch, owners: Sequence[int], broken: Sequence[AbstractSet[str]]
) -> list[list[Score] | Failure]:
    """The detector's answers; views without a query that it could answer are not shown to it.

    Args:
        slot: of the detector.
        batch: with the features of its bundle.
        owners: the image of each view.
        broken: of each view the features that are not finite; it is not shown if one is read.
    """
    if slot.guarded is None:
        return [slot.failure or Failure("error", slot.id)] * len(batch)
    spoiling = [names & slot.reads for names in broken]
    asked = [i for i, queries in enumerate(batch.queries) if queries and not spoiling[i]]
    answers: list[list[Score] | Failure] = [
        Failure("error", f"{slot.id}: {spoilt(slot.group, names)}") if names else []
        for names in spoiling
    ]
    if asked:
        part = batch if len(asked) == len(batch) else pick(batch, asked)
        scored = slot.guarded.score(part, [owners[i] for i in asked])
        for i, answer in zip(asked, scored, strict=True):
            answers[i] = answer
    return answers
