"""Genuine images: what everything else is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, RecipeError
from clipvet.plugins.fooling._options import ID
from clipvet.plugins.fooling._pixels import NAMES

__all__ = ["LEAST", "MOST", "Genuine", "Sample"]

LEAST, MOST = 4, 2000
"""Fewest genuine images that say anything, and the most that are kept."""

Arrays = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Genuine:
    """A sample of genuine images, in two halves of any order.

    One half says where genuine images are; the other, which took no part in that, says how far
    from there they usually are. With one sample for both, every new image would be far away.

    Attributes:
        embeddings: float32 [n, E], as the tower gives them.
        pixels: float32 [n, 10], see :func:`pixel_statistics`.
        seen: images that the sample was drawn from.
    """

    embeddings: Arrays
    pixels: Arrays
    seen: int

    @property
    def halves(self) -> tuple[slice, slice]:
        """Rows of either half."""
        return slice(0, None, 2), slice(1, None, 2)

    @classmethod
    def of(cls, artefact: Artefact, *, embed_dim: int) -> Genuine:
        """Read what :meth:`tensors` wrote; raises :class:`RecipeError` if it is unsound."""
        try:
            embeddings = artefact.tensors["genuine.embeddings"]
            pixels = artefact.tensors["genuine.pixels"]
            seen = int(artefact.facts["genuine"])
            if embeddings.shape != (len(pixels), embed_dim) or pixels.shape[1:] != (len(NAMES),):
                raise ValueError("its arrays do not fit one another or the bundle")
            if len(pixels) < LEAST or not np.isfinite(embeddings).all():
                raise ValueError("its genuine images are too few or not finite")
            if not np.isfinite(pixels).all():
                raise ValueError("its pixel statistics are not finite")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise RecipeError(
                f"{ID}: the artefact is damaged ({error}): fit or train it again"
            ) from error
        return cls(embeddings, pixels, seen)

    def tensors(self) -> Mapping[str, Any]:
        """For an artefact."""
        return {"genuine.embeddings": self.embeddings, "genuine.pixels": self.pixels}


class Sample:
    """A uniform sample of a stream (algorithm R), the same for the same stream."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._embeddings: list[Arrays] = []
        self._pixels: list[Arrays] = []
        self.seen = 0

    def offer(self, embedding: Arrays, pixels: NDArray[np.float64]) -> None:
        """One image."""
        self.seen += 1
        if len(self._embeddings) < MOST:
            self._embeddings.append(np.array(embedding))
            self._pixels.append(pixels.astype(np.float32))
            return
        place = int(self._rng.integers(self.seen))
        if place < MOST:
            self._embeddings[place] = np.array(embedding)
            self._pixels[place] = pixels.astype(np.float32)

    def genuine(self) -> Genuine:
        """What was kept."""
        return Genuine(np.stack(self._embeddings), np.stack(self._pixels), self.seen)
