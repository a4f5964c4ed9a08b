"""What AnomalyCLIP has learned, as an artefact: two prototype vectors, and a projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleIdentity, RecipeError

__all__ = ["EMBEDDED", "ID", "Learned"]

ID = "anomalyclip"

EMBEDDED = Path(__file__).parent / "mini"
"""Prompts trained for the embedded bundle."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """The text side of AnomalyCLIP, which is constant, and what the image side lacks.

    Attributes:
        bundle: whose towers the prompts were learned with.
        prototypes: unit text features float32 [2, E], row 0 normal.
        projection: the bundle's ``visual.proj`` float32 [W, E]: no feature of a bundle is the
            class token projected without ``ln_post``, which is the image feature here.
        temperature: that the prompts were trained with.
        origin: where the prompts come from, in words, for ``details.method``.
        facts: anything else worth keeping.
    """

    bundle: BundleIdentity
    prototypes: NDArray[np.float32]
    projection: NDArray[np.float32]
    temperature: float
    origin: str
    facts: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write the artefact into an existing folder."""
        facts = {**self.facts, "temperature": self.temperature, "origin": self.origin}
        tensors = {"prototypes": self.prototypes, "projection": self.projection}
        Artefact(detector=ID, bundle=self.bundle, facts=facts, tensors=tensors).save(folder)

    @classmethod
    def load(cls, folder: Path) -> Learned:
        """Read what :meth:`save` wrote.

        Raises:
            ArtefactMissing: a file is not there.
            RecipeError: a file is damaged, or the content does not fit together.
        """
        return cls._of(Artefact.load(folder, detector=ID))

    @classmethod
    def for_bundle(cls, bundle: BundleIdentity) -> Learned | None:
        """The prompts that come with the package, if they were trained for this bundle."""
        stored = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=bundle)
        return None if stored is None else cls._of(stored)

    @classmethod
    def _of(cls, stored: Artefact) -> Learned:
        try:
            facts = dict(stored.facts)
            learned = cls(
                bundle=stored.bundle,
                prototypes=stored.tensors["prototypes"],
                projection=stored.tensors["projection"],
                temperature=float(facts.pop("temperature")),
                origin=str(facts.pop("origin")),
                facts=facts,
            )
            learned._check_numbers()
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(
                f"{ID}: the artefact is damaged ({error}): train or import it again"
            ) from error
        return learned

    def check(self, bundle: BundleIdentity, *, vision_width: int, embed_dim: int) -> None:
        """Raise :class:`RecipeError` if it belongs to another bundle or to other sizes."""
        tensors = {"prototypes": self.prototypes, "projection": self.projection}
        Artefact(detector=ID, bundle=self.bundle, facts={}, tensors=tensors).check(bundle)
        if self.projection.shape != (vision_width, embed_dim):
            raise RecipeError(
                f"{ID}: the artefact's projection is {list(self.projection.shape)}, bundle "
                f"{bundle.id} has [{vision_width}, {embed_dim}]: train or import it again"
            )

    def _check_numbers(self) -> None:
        width = self.projection.shape[-1]
        if self.projection.ndim != 2 or self.prototypes.shape != (2, width):
            shapes = f"{list(self.prototypes.shape)} and {list(self.projection.shape)}"
            raise ValueError(f"prototypes and projection are {shapes}")
        for name in ("prototypes", "projection"):
            array = getattr(self, name)
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError(f"{name} are not finite float32 numbers")
        if not np.allclose(np.linalg.norm(self.prototypes, axis=1), 1, atol=1e-3):
            raise ValueError("the prototypes are not of unit length")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"the temperature is {self.temperature}")
