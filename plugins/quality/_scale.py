"""What the measures usually are, and how far from that a picture is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, RecipeError
from clipvet.plugins.quality._options import CHECKS, ID, Check

__all__ = ["UNFITTED", "Scale", "words"]

Floats = NDArray[np.float64]

# Smallest deviations that mean anything: good images that agree better than that do not make
# a measure stricter.
_LEAST: Final[dict[Check, float]] = {
    "dark": 0.1,
    "exposure": 0.1,
    "clipped": 0.5,
    "low_contrast": 0.1,
    "low_information": 0.1,
    "blurry": 0.1,
    "lines": 1.0,
    "colour": 2.0,
}
# Without good images: what is usual, and what is one step away from it.
_FALLBACK: Final[dict[Check, tuple[float, float]]] = {
    "dark": (0.5, 0.5),
    "exposure": (6.5, 1.0),
    "clipped": (1.0, 5.0),
    "low_contrast": (0.2, 0.5),
    "low_information": (2.0, 0.7),
    "blurry": (1.0, 0.5),
    "lines": (2.0, 2.0),
    "colour": (np.nan, np.nan),
}
# Of these a good image has a usual amount, and less is as bad as more.
_TWO_SIDED: Final = np.isin(CHECKS, ("exposure", "colour"))
# Below and above the usual, and the number in a sentence.
_WORDS: Final[dict[Check, tuple[str, str, str]]] = {
    "dark": ("", "too dark", "the brightest 1 % is {} stops below white"),
    "exposure": ("too dark", "too bright", "mean brightness of {} of 8 stops"),
    "clipped": ("", "overexposed", "{} % of the pixels are clipped"),
    "low_contrast": ("", "low contrast", "contrast is {} stops below full"),
    "low_information": ("", "low information", "grey levels hold {} bits less than 8"),
    "blurry": ("", "blurry", "edges are blurred by {} px"),
    "lines": ("", "broken lines", "the oddest row or column has {} times the usual difference"),
    "colour": ("colour is lost", "too much colour", "channels are {} levels apart"),
}


@dataclass(frozen=True, eq=False)
class Scale:
    """Median and spread of each measure.

    Attributes:
        centre: float64 [8], in the order of ``CHECKS``; NaN where no good image has it.
        spread: float64 [8], > 0.
        images: how many good ones it comes from; 0 for the fixed scale.
    """

    centre: Floats
    spread: Floats
    images: int

    @classmethod
    def learned(cls, rows: Sequence[Floats]) -> Scale:
        """Median, and 1.4826 MAD widened by the smallest deviation that means anything."""
        table = np.stack(rows)
        seen = ~np.isnan(table).all(axis=0)
        centre, spread = np.full(len(CHECKS), np.nan), np.full(len(CHECKS), np.nan)
        centre[seen] = np.nanmedian(table[:, seen], axis=0)
        spread[seen] = 1.4826 * np.nanmedian(np.abs(table[:, seen] - centre[seen]), axis=0)
        least = np.array([_LEAST[check] for check in CHECKS])
        return cls(centre, np.hypot(spread, least), len(rows))

    @classmethod
    def of(cls, artefact: Artefact) -> Scale:
        """Read what :meth:`tensors` wrote; raises :class:`RecipeError` if it is unsound."""
        try:
            centre, spread = artefact.tensors["centre"], artefact.tensors["spread"]
            images = int(artefact.facts["images"])
            if not centre.shape == spread.shape == (len(CHECKS),):
                raise ValueError("it holds other measures")
            if np.isinf([centre, spread]).any() or (spread <= 0).any() or images < 1:
                raise ValueError("its numbers are unsound")
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(f"{ID}: the artefact is damaged ({error}): fit it again") from error
        return cls(centre.astype(np.float64), spread.astype(np.float64), images)

    def tensors(self) -> Mapping[str, Any]:
        """For an artefact."""
        return {"centre": self.centre, "spread": self.spread}

    def deviations(self, measures: Floats) -> Floats:
        """In spreads, float64 [8]; higher is worse. NaN where nothing is known to compare."""
        z: Floats = (measures - self.centre) / self.spread
        return np.where(_TWO_SIDED, np.abs(z), z)


UNFITTED: Final = Scale(
    centre=np.array([_FALLBACK[check][0] for check in CHECKS]),
    spread=np.array([_FALLBACK[check][1] for check in CHECKS]),
    images=0,
)
"""Round numbers, for a first look at a folder of pictures of any kind."""


def words(check: Check, value: float, usual: float) -> str:
    """What is wrong, by what number: ``too dark: ... 2.1 ..., usually 0.42``."""
    below, above, sentence = _WORDS[check]
    title = below if below and value < usual else above
    return f"{title}: {sentence.format(f'{value:.3g}')}, usually {usual:.3g}"
