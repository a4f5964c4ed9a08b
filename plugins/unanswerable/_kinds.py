"""The id, and the kinds of unanswerable questions that are told apart."""

from __future__ import annotations

from typing import Literal

__all__ = ["ANSWERABLE", "ID", "KINDS", "Kind", "SLOTS"]

ID = "unanswerable"
SLOTS = 4
"""Choices that CLIP-UP's projection takes."""

Kind = Literal["answerable", "absent_answer", "incompatible_answers", "incompatible_question"]
ANSWERABLE: Kind = "answerable"
# AAD, IASD and IVQD of the MM-UPD benchmark.
KINDS: tuple[Kind, ...] = ("absent_answer", "incompatible_answers", "incompatible_question")
