"""What WinCLIP+ remembers of good images, and how far a picture is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleIdentity, unit_rows

__all__ = ["ID", "Memory", "nearest_distance"]

ID = "winclip"

# A cosine of 640 to 1024 float32 terms carries an error of up to about 3e-7, so half of one
# minus a cosine below this cannot be told from the distance of a picture to itself.
NO_DISTANCE = 1e-6

# 8192 x 225 similarities are 7 MB, whatever the number of references.
CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Memory:
    """Unit vectors of all reference images: "patch" [R, W], "win2" and "win3" [R', E]."""

    artefact: Artefact

    @classmethod
    def of(
        cls,
        banks: Mapping[str, NDArray[np.float32]],
        *,
        bundle: BundleIdentity,
        patch_tokens: str,
        shots: int,
        coreset: Mapping[str, Any] | None = None,
    ) -> Memory:
        """The references of ``shots`` images.

        Args:
            banks: unit vectors by kind.
            bundle: whose vectors they are.
            patch_tokens: "raw" or "ln_post".
            shots: how many images.
            coreset: if the banks are a choice of the vectors: its ``size``, and by kind how many
                there were (``seen``).
        """
        facts: dict[str, Any] = {"patch_tokens": patch_tokens, "shots": shots}
        if coreset is not None:
            facts["coreset"] = dict(coreset)
        return cls(Artefact(detector=ID, bundle=bundle, facts=facts, tensors=banks))

    @property
    def banks(self) -> Mapping[str, NDArray[np.float32]]:
        """The vectors by kind."""
        return self.artefact.tensors

    @property
    def patch_tokens(self) -> str:
        """Which tokens of patches they are."""
        return str(self.artefact.facts["patch_tokens"])

    @property
    def coreset(self) -> int:
        """The most vectors of a kind that were to be kept; 0 if all were."""
        return int(self.artefact.facts.get("coreset", {}).get("size", 0))

    @property
    def shots(self) -> int:
        """Number of reference images."""
        return int(self.artefact.facts["shots"])


def nearest_distance(
    vectors: NDArray[np.float32], bank: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Half of one minus the largest cosine to any vector of a bank (equation 4).

    Args:
        vectors: [n, D], any length.
        bank: unit rows [R, D].

    Returns:
        [n] in 0..1; what float32 cannot tell from 0 (below 1e-6) is 0.
    """
    units = unit_rows(vectors).astype(np.float32)
    largest = np.full(len(vectors), -1.0, dtype=np.float32)
    for start in range(0, len(bank), CHUNK):
        similarity = units @ bank[start : start + CHUNK].T
        np.maximum(largest, similarity.max(axis=1), out=largest)
    distance = (1.0 - largest.astype(np.float64)) / 2
    nearest: NDArray[np.float64] = np.where(distance < NO_DISTANCE, 0.0, np.minimum(distance, 1.0))
    return nearest
