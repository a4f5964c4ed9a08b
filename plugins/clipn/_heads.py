"""Class names to class vectors, for both text towers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import UsageError, unit_rows
from clipvet.plugins.clipn._options import ClipnOptions, Method

__all__ = ["EncodeText", "class_vectors", "distinct_classes", "negated", "templates_for"]

EncodeText: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]

# CLIPN's authors average 128 templates, which are not repeated here: give them as options.
_CLIPN = ("a photo of a {}.", "a photo of the {}.", "a close-up photo of a {}.", "a photo of {}.")
_TEMPLATES: dict[Method, tuple[str, ...]] = {
    "atd": _CLIPN,
    "ctw": _CLIPN,
    "mcm": ("a photo of a {}",),
    "gl_mcm": ("a photo of a {}",),
    "neglabel": ("the nice {}",),
}
_PLAIN = ("a photo of a {}",)
_NAME = re.compile(r"(?:\b(?:an?|the) )?\{\}")
# 100 000 prompts (a thousand classes, a hundred templates) are never in memory together.
_PROMPTS_AT_ONCE = 4096


def templates_for(options: ClipnOptions, *, closed: bool) -> tuple[str, ...]:
    """The prompts of a class.

    Args:
        options: own templates, or those of the method.
        closed: a closed vocabulary may lack "nice", which NegLabel puts before every name.
    """
    if options.templates:
        return options.templates
    if closed and options.method == "neglabel":
        return _PLAIN
    return _TEMPLATES[options.method]


def negated(template: str) -> str:
    """A template that says "no": "a photo of a {}" becomes "a photo of no {}"."""
    return _NAME.sub("no {}", template)


def distinct_classes(names: Sequence[str], method: Method) -> tuple[str, ...]:
    """Each name once, in order.

    Raises:
        UsageError: one class, and a method that compares classes with one another.
    """
    classes = tuple(dict.fromkeys(names))
    if len(classes) == 1 and method in {"mcm", "gl_mcm"}:
        raise UsageError(
            f"clipn: method {method} compares classes with one another, and {classes[0]!r} is the "
            "only one: give two at least, or set clipn.method=neglabel"
        )
    return classes


def class_vectors(
    names: Sequence[str], templates: Sequence[str], encode_text: EncodeText
) -> NDArray[np.float64]:
    """Unit vectors [C, E]: the mean over templates of unit embeddings, at unit length.

    Args:
        names: C classes.
        templates: prompts with {} for the name.
        encode_text: prompts -> float32 [n, E], not normalised.
    """
    at_once = max(1, _PROMPTS_AT_ONCE // len(templates))
    rows = []
    for first in range(0, len(names), at_once):
        part = names[first : first + at_once]
        prompts = [template.replace("{}", name) for name in part for template in templates]
        units = unit_rows(encode_text(prompts))
        rows.append(units.reshape(len(part), len(templates), -1).mean(axis=1))
    return unit_rows(np.concatenate(rows))
