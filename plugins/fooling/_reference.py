"""What is known of genuine images, put together: from an embedding and pixels to all numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import unit_rows
from clipvet.plugins.fooling._genuine import Genuine
from clipvet.plugins.fooling._options import STATISTICS, FoolingOptions
from clipvet.plugins.fooling._pixels import NAMES, PixelDistance, pixel_statistics
from clipvet.plugins.fooling._statistics import EmbeddingStatistics, PromptBank

__all__ = ["Reference", "feature_width"]


@dataclass(frozen=True, eq=False)
class Reference:
    """Genuine images, ready to compare with.

    Attributes:
        genuine: the images.
        embedding: statistics of an embedding.
        pixels: distance of pixel statistics.
    """

    genuine: Genuine
    embedding: EmbeddingStatistics
    pixels: PixelDistance

    @classmethod
    def of(
        cls, genuine: Genuine, bank: PromptBank, options: FoolingOptions, *, scale: float
    ) -> Reference:
        """From a sample of images."""
        statistics = EmbeddingStatistics(bank, genuine, scale=scale, shift=options.shift)
        return cls(genuine, statistics, PixelDistance(genuine.pixels))

    def features(
        self, embedding: NDArray[np.floating], pixels: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """What the classifier reads, float64 [E + 5 + 10]."""
        statistics = self.embedding(embedding)
        return np.concatenate(
            [
                unit_rows(embedding),
                [statistics[name] for name in STATISTICS],
                self.pixels.standard(pixel_statistics(pixels)),
            ]
        )


def feature_width(embed_dim: int) -> int:
    """F of :meth:`Reference.features`."""
    return embed_dim + len(STATISTICS) + len(NAMES)
