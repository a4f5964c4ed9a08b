"""What PatchCore remembers of good images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleIdentity, RecipeError
from clipvet.plugins.patchcore._options import PatchCoreOptions
from clipvet.plugins.patchcore._search import VectorBank

__all__ = ["ID", "Bank", "Memory"]

ID: Final = "patchcore"

# A memory was made with these: others need another memory.
_FIXED: Final = ("spaces", "neighbourhood", "distance", "coreset", "max_patches")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bank:
    """The memory of one space.

    Attributes:
        vectors: float32 [R, D], patches of good images.
        owners: int32 [R], which image each is of, from 0.
        seen: how many patches they were chosen from.
        unit: standard deviation of the distances of patches of good images to the nearest ones of
            other good images.
    """

    vectors: NDArray[np.float32]
    owners: NDArray[np.integer]
    seen: int
    unit: float


@dataclass(frozen=True, eq=False)
class Memory:
    """One bank for each space, as it is saved."""

    artefact: Artefact

    @classmethod
    def of(
        cls,
        banks: Mapping[str, Bank],
        *,
        bundle: BundleIdentity,
        options: PatchCoreOptions,
        images: int,
    ) -> Self:
        """The memory of ``images`` images: space -> bank."""
        facts: dict[str, Any] = options.model_dump(mode="json", include=set(_FIXED))
        facts |= {
            "images": images,
            "seen": {name: bank.seen for name, bank in banks.items()},
            "units": {name: bank.unit for name, bank in banks.items()},
        }
        tensors: dict[str, NDArray[Any]] = {}
        for name, bank in banks.items():
            tensors[name] = bank.vectors
            tensors[_owners(name)] = bank.owners.astype(np.int32)
        return cls(Artefact(detector=ID, bundle=bundle, facts=facts, tensors=tensors))

    @property
    def images(self) -> int:
        """Number of good images."""
        return int(self.artefact.facts["images"])

    @cached_property
    def banks(self) -> Mapping[str, Bank]:
        """Space -> bank.

        Raises:
            RecipeError: what it holds does not fit together.
        """
        facts, tensors = self.artefact.facts, self.artefact.tensors
        try:
            banks = {
                name: Bank(
                    vectors=tensors[name],
                    owners=tensors[_owners(name)],
                    seen=int(facts["seen"][name]),
                    unit=float(facts["units"][name]),
                )
                for name in facts["spaces"]
            }
            for name, bank in banks.items():
                _check_bank(name, bank)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecipeError(f"{ID}: the memory is damaged ({error}): fit it again") from error
        return banks

    @cached_property
    def searches(self) -> Mapping[str, VectorBank]:
        """Space -> its vectors, ready to be searched."""
        distance = self.artefact.facts["distance"]
        return {name: VectorBank(bank.vectors, distance) for name, bank in self.banks.items()}

    def check(self, bundle: BundleIdentity, options: PatchCoreOptions) -> None:
        """Raise :class:`RecipeError` if it was learned on another bundle or with other options."""
        self.artefact.check(bundle)
        asked = options.model_dump(mode="json", include=set(_FIXED))
        for name in _FIXED:
            learned = self.artefact.facts.get(name)
            if learned != asked[name]:
                raise RecipeError(
                    f"{ID}: the memory was learned with {ID}.{name}={learned}, the options say "
                    f"{asked[name]}: set {ID}.{name}, or fit again"
                )


def _owners(name: str) -> str:
    return f"{name}.images"


def _check_bank(name: str, bank: Bank) -> None:
    vectors = bank.vectors
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not vectors.size:
        raise ValueError(f"{name} has shape {list(vectors.shape)[:4]}, dtype {vectors.dtype}")
    if bank.owners.shape != vectors.shape[:1] or bank.owners.dtype.kind != "i":
        raise ValueError(f"{name} has {bank.owners.shape} images for {len(vectors)} vectors")
    if not np.isfinite(vectors).all() or not 0 < bank.unit < np.inf or bank.seen < len(vectors):
        raise ValueError(f"the numbers of {name} are not possible")
