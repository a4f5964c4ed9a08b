"""Thresholds that bad images choose, and which of them choose and which measure.

Such a threshold promises nothing about good images: it goes where the bad images at hand say.
``max-f1`` is the cut with the largest F1 of bad against held-out good images, of several the
highest; ``recall=R`` is the highest cut that flags at least the share R of the bad images.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from clipvet.detectors._counting import counted
from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._combination import JointCalibration, float_not_above
from clipvet.detectors.recipes._good_images import GoodImage
from clipvet.detectors.recipes._tables import BadImage

__all__ = ["CONFORMAL", "ThresholdRule", "choose_cut", "divide", "good_parts", "kind_of"]

CONFORMAL: Final = "conformal"

_ENOUGH = 20  # bad images, from which on one half chooses and the other measures


@dataclass(frozen=True, kw_only=True)
class ThresholdRule:
    """What chooses the threshold.

    Attributes:
        recall: share of bad images to flag; None for the largest F1.
    """

    recall: Fraction | None

    @classmethod
    def parse(cls, text: str) -> ThresholdRule | None:
        """``max-f1`` or ``recall=0.95``; None for ``conformal``, which asks no bad image.

        Raises:
            UsageError: for anything else.
        """
        name, equals, number = text.partition("=")
        if text == CONFORMAL:
            return None
        if text == "max-f1":
            return cls(recall=None)
        try:
            # Of 1e-99999999 a fraction would have to write out every digit.
            recall = Fraction(number if "/" in number else repr(float(number)))
        except (ValueError, ZeroDivisionError):
            recall = Fraction(0)
        if name == "recall" and equals and 0 < recall <= 1:
            return cls(recall=recall)
        raise UsageError(
            f"there is no threshold {text!r}: give conformal, max-f1, or recall=R with R above 0 "
            "and at most 1"
        )


def divide(images: Sequence[BadImage], rule: ThresholdRule | None) -> tuple[BadImage, ...]:
    """Say which images choose the threshold and which measure it.

    Without a rule all measure. With one, every second image chooses, kind by kind, if there are
    enough; else all do both, and what they measure is flattering.
    """
    ordered = sorted(images, key=lambda one: one.kind)  # stable: by content within a kind
    if rule is None:
        chooses, measures = [False, False], [True, True]
    elif len(ordered) < _ENOUGH:
        chooses, measures = [True, True], [True, True]
    else:
        chooses, measures = [True, False], [False, True]
    return tuple(
        one.model_copy(update={"chose": chooses[i % 2], "measured": measures[i % 2]})
        for i, one in enumerate(ordered)
    )


def good_parts(
    joint: JointCalibration, rule: ThresholdRule | None, bad: Sequence[BadImage]
) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """S of the calibrating good images that choose the threshold, and of those that measure it."""
    values = joint.values
    if rule is None:
        return values, values
    if rule.recall is not None:
        return (), values
    if all(one.measured for one in bad):
        return values, values
    return values[: len(values) // 2], values[len(values) // 2 :]


def choose_cut(
    joint: JointCalibration, rule: ThresholdRule, bad: Sequence[BadImage]
) -> JointCalibration:
    """The combination with the cut that the choosing images want.

    Raises:
        UsageError: no bad image chooses.
    """
    wrong = [joint.statistic.of(one.scores) for one in bad if one.chose]
    if not wrong:
        raise UsageError("a threshold that bad images choose needs bad images: give --bad BAD")
    choosing, measuring = good_parts(joint, rule, bad)
    if rule.recall is None:
        cut = _max_f1(choosing, wrong)
        origin = (
            f"largest F1 on {len(wrong)} bad and {counted(len(choosing), 'held-out good image')}"
        )
    else:
        cut = _below(sorted(wrong)[-math.ceil(rule.recall * len(wrong))])
        origin = f"recall {float(rule.recall):g} on {counted(len(wrong), 'bad image')}"
    flagged = sum(value > cut for value in measuring)
    together = joint.statistic.together()
    return joint.cut_at(
        cut,
        f"{origin}{together}: no false-alarm promise, it flags {flagged} of "
        f"{counted(len(measuring), 'held-out good image')}",
    )


def kind_of(image: GoodImage) -> str:
    """The type of defect: the sub-folder below the one that was given, or that one itself."""
    parts = image.id.split("/")
    return parts[1] if len(parts) > 2 else parts[0]


def _max_f1(good: Sequence[Fraction], bad: Sequence[Fraction]) -> Fraction:
    """Halfway below the lowest value that is flagged; F1 = 2 tp / (tp + fp + number of bad)."""
    of_good, of_bad = Counter(good), Counter(bad)
    values = sorted({*good, *bad}, reverse=True)
    found = wrong = 0
    best, place = Fraction(-1), 0
    for index, value in enumerate(values):
        found += of_bad[value]
        wrong += of_good[value]
        f1 = Fraction(2 * found, found + wrong + len(bad))
        if f1 > best:
            best, place = f1, index
    if place + 1 == len(values):
        return _below(values[place])
    return (values[place] + values[place + 1]) / 2


def _below(value: Fraction) -> Fraction:
    return Fraction(math.nextafter(float_not_above(value), -math.inf))
