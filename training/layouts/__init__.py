"""Pictures for the text side: coloured shapes, and pictograms on signs. No parts, no defects."""

from __future__ import annotations

from training.layouts.facts import LayoutFacts
from training.layouts.make import make_layout

__all__ = ["LayoutFacts", "make_layout"]
