"""Which of some named concepts an image is nearest to: a label for reports, not a score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Context, unit_rows
from clipvet.plugins.inappropriate._options import InappropriateOptions
from clipvet.plugins.inappropriate._prompts import CONCEPTS, concept_prompt
from clipvet.plugins.inappropriate._scores import cosines

__all__ = ["ConceptNames"]


class ConceptNames:
    """The names and their text embeddings.

    Args:
        names: concepts; with none, no image gets a name.
        unit: their text embeddings at unit length, float64 [C, E].
    """

    def __init__(self, names: tuple[str, ...], unit: NDArray[np.float64]) -> None:
        self._names = names
        self._unit = unit

    @classmethod
    def of(cls, options: InappropriateOptions, context: Context) -> ConceptNames:
        """The names of the options, or the built-in ones if the bundle can know them."""
        names = options.concepts
        if names is None:
            names = CONCEPTS if context.bundle.vocabulary == "open" else ()
        prompts = [concept_prompt(name) for name in names]
        return cls(tuple(names), unit_rows(context.encode_text(prompts)))

    def nearest(self, embedding: NDArray[Any]) -> str | None:
        """The name with the largest cosine to an image embedding [E]; None without names."""
        if not self._names:
            return None
        return self._names[int(cosines(embedding, self._unit).argmax())]
