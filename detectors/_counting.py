"""Counts in sentences."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 image``, ``2 images``: a number with the noun in its form.

    Args:
        number: how many.
        noun: for one; may be several words, of which the last takes the s.
        plural: where an s at the end does not make it.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
